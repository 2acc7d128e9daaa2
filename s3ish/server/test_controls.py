"""What tests do with a server beside S3, under ``/-/test``: reset it, set its clock, plan faults, ask what was asked.

``docs/test-controls.yaml`` describes it for programs.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeVar

import msgspec
from msgspec import Meta, Struct

from s3ish.api.catalogue import catalogue
from s3ish.clock import Clock
from s3ish.errors import S3Error
from s3ish.server import prices
from s3ish.server.control import may_control
from s3ish.server.fault_plan import FaultPlan
from s3ish.server.health import names_bucket
from s3ish.server.json_body import field_names, read_json
from s3ish.server.planned_faults import PlannedFaults
from s3ish.server.recorder import Recorder

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from s3ish.server.storage_faults import StorageFaults

B = TypeVar("B", bound=Struct)

PREFIX = "/-/test/"
MOTO_RESET, LOCALSTACK_RESET = "/moto-api/reset", "/_localstack/state/reset"
_ROOT, _RESETS = PREFIX.rstrip("/").encode(), (MOTO_RESET.encode(), LOCALSTACK_RESET.encode())
_BODY_BYTES = 64 * 1024
DriveTrouble = Literal["full", "unflushed", "hanging", "ok"]
HarmKind = Literal["lose", "flip"]
_NONE = "this server has no test controls: start it with --test, or set test.controls (S3ISH_TEST_CONTROLS=true)"
_FORBIDDEN = (
    "for tests on this machine, which call it localhost or by its address, or with the token of test.token "
    "(S3ISH_TEST_TOKEN), alone"
)
_EXAMPLE = "2030-01-01T00:00:00Z"
_SNAPSHOT = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,64}")


class Snapshot(Protocol):
    """A store at one moment."""

    @property
    def objects(self) -> int:
        """How many keys have an object."""

    @property
    def taken(self) -> datetime:
        """When it was taken."""


class World(Protocol):
    """What tests control: a store, its clock, and what requests meet and leave behind."""

    clock: Clock
    faults: PlannedFaults
    recorder: Recorder

    @property
    def storage(self) -> "StorageFaults | None":
        """What harms its drives; None if it has none."""

    async def listed(self) -> Mapping[str, Snapshot]:
        """Return the snapshots by name."""

    async def reset(self, bucket: str = "", snapshot: str = "") -> None:
        """Be as after the start, or as in a snapshot: all, or one bucket. Raises LookupError: there is none."""

    async def take(self, name: str) -> None:
        """Keep the store as it is under a name. Raises ValueError: there are too many, or it is too large."""

    async def restore(self, name: str) -> None:
        """Have the store be as in a snapshot. Raises LookupError: there is none."""

    async def fork(self, name: str, other: Any) -> None:
        """Have another world begin again, with a snapshot. Raises LookupError: there is none."""

    async def forget(self, name: str) -> None:
        """Remove a snapshot. Raises LookupError: there is none."""

    async def age(self) -> None:
        """Carry out what is due by the clock that was set."""


class Worlds(Protocol):
    """The worlds of a server."""

    @property
    def names(self) -> list[str]:
        """The keys that have one of their own."""

    async def of(self, name: str) -> World:
        """Return the world of a key, begun if it is new; the main one's without. Raises ValueError: it is no name."""

    async def remove(self, name: str) -> None:
        """Take a world away. Raises LookupError: there is none."""


class ClockRequest(Struct, forbid_unknown_fields=True):
    """What time it is to be: a moment, or so many seconds from what it is; and whether it goes on from there."""

    at: str | None = None
    advance_seconds: Annotated[float, Meta(ge=-1e10, le=1e10)] | None = None
    running: bool = True


class ResetRequest(Struct, forbid_unknown_fields=True):
    """What is reset: a bucket, or everything where none is named; and to what, if not to what it was at start."""

    bucket: str = ""
    snapshot: str = ""


class ForkRequest(Struct, forbid_unknown_fields=True):
    """Which world begins again: the access key that names it."""

    world: str


class DriveRequest(Struct, forbid_unknown_fields=True):
    """What is to be wrong with a drive."""

    drive: Annotated[int, Meta(ge=0)]
    trouble: DriveTrouble


class HarmRequest(Struct, forbid_unknown_fields=True):
    """Which shard of an object is to be lost, or to have another bit."""

    bucket: str
    key: str
    harm: HarmKind
    shard: Annotated[int, Meta(ge=0)] = 0
    part: Annotated[int, Meta(ge=1)] = 1


def is_control(scope: Any, domains: tuple[str, ...] = (), sites: tuple[str, ...] = ()) -> bool:
    """Whether a request is for the test controls, and not for a key of a bucket that its host names.

    Args:
        domains, sites: see ``names_bucket``.
    """
    path: bytes = scope["raw_path"]
    if path in _RESETS:  # a bucket may be called moto-api, and the key may be that of an upload in parts
        query: bytes = scope["query_string"]
        if scope["method"] != "POST" or (query and not query.startswith(b"world=")):
            return False
    elif not path.startswith(_ROOT) or path[len(_ROOT) : len(_ROOT) + 1] not in (b"", b"/"):
        return False
    return not names_bucket(scope, domains, sites)


def no_controls() -> "Response":
    """Return what a server without controls answers to who looks for them: an application."""
    from starlette.responses import JSONResponse

    return JSONResponse({"error": _NONE}, 404)


def controls(worlds: Worlds, token: str, domains: tuple[str, ...] = ()) -> "Starlette":
    """Return the application of the test controls.

    Args:
        worlds: what they control; the query parameter ``world`` says which, the main one without.
        token: the bearer token that clients need; empty for those on loopback, without a proxy.
        domains: names of the server, beside those that every machine has for itself.
    """
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    def refused(request: "Request", error: Exception) -> "Response":
        """Answer what is no control, or another method of one."""
        if not _may(request, token, domains):
            return JSONResponse({"error": _FORBIDDEN}, 403)
        status = getattr(error, "status_code", 404)
        methods = {method for path, method, _ in table if _matches(path, request.url.path)}
        told = f"there is no control {request.url.path}; there is {PREFIX} with: {names}"
        if methods:
            told = f"{request.url.path} takes {' and '.join(sorted(methods))}, not {request.method}"
        return JSONResponse({"error": told}, status, headers=getattr(error, "headers", None))

    def guarded(handle: Callable[["Request"], Awaitable[Any]]) -> Callable[["Request"], Awaitable["Response"]]:
        async def answer(request: "Request") -> "Response":
            if not _may(request, token, domains):
                return JSONResponse({"error": _FORBIDDEN}, 403)
            try:
                _check_query(request)
                return JSONResponse(await handle(request))
            except tuple(_STATUSES) as error:
                status = next(status for kind, status in _STATUSES.items() if isinstance(error, kind))
                return JSONResponse({"error": str(error)}, status)
            except S3Error as error:
                return JSONResponse({"error": error.message}, error.status)

        return answer

    acts = _Controls(worlds)
    table: list[tuple[str, str, Callable[[Request], Awaitable[Any]]]] = [
        ("reset", "POST", acts.reset),
        ("snapshots", "GET", acts.list_snapshots),
        ("snapshots/{name}", "PUT", acts.take_snapshot),
        ("snapshots/{name}", "DELETE", acts.remove_snapshot),
        ("snapshots/{name}/restore", "POST", acts.restore_snapshot),
        ("snapshots/{name}/fork", "POST", acts.fork_snapshot),
        ("worlds", "GET", acts.list_worlds),
        ("worlds/{name}", "DELETE", acts.remove_world),
        ("clock", "GET", acts.show_clock),
        ("clock", "PUT", acts.set_clock),
        ("clock", "DELETE", acts.reset_clock),
        ("faults", "GET", acts.list_faults),
        ("faults", "POST", acts.add_fault),
        ("faults", "DELETE", acts.clear_faults),
        ("requests", "GET", acts.list_requests),
        ("requests", "DELETE", acts.clear_requests),
        ("cost", "GET", acts.show_cost),
        ("drives", "GET", acts.list_drives),
        ("drives", "POST", acts.set_drive),
        ("drives", "DELETE", acts.clear_drives),
        ("shards", "POST", acts.harm_shard),
    ]
    names = ", ".join(dict.fromkeys(path.partition("/")[0] for path, _, _ in table))
    routes = [Route(PREFIX + path, guarded(handle), methods=[method]) for path, method, handle in table]
    routes += [Route(path, guarded(acts.reset_all), methods=["POST"]) for path in (MOTO_RESET, LOCALSTACK_RESET)]
    application = Starlette(routes=routes, exception_handlers={404: refused, 405: refused})
    application.router.redirect_slashes = False  # a client that follows no redirect would think it done
    return application


class _Controls:
    """The controls, one method each; they raise ValueError for what cannot be, LookupError for what is not there."""

    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds

    async def _world(self, request: "Request") -> World:
        return await self._worlds.of(request.query_params.get("world", ""))

    async def list_worlds(self, _request: "Request") -> Any:
        return {"worlds": self._worlds.names}

    async def remove_world(self, request: "Request") -> Any:
        await self._worlds.remove(request.path_params["name"])
        return await self.list_worlds(request)

    async def reset(self, request: "Request") -> Any:
        wanted = await _wanted(request, ResetRequest, if_empty=ResetRequest())
        await (await self._world(request)).reset(wanted.bucket, wanted.snapshot)
        return {"reset": wanted.bucket or "all"}

    async def reset_all(self, request: "Request") -> Any:
        await (await self._world(request)).reset()
        return {"status": "ok"}

    async def list_snapshots(self, request: "Request") -> Any:
        found = (await (await self._world(request)).listed()).items()
        return {
            "snapshots": [
                {"name": name, "taken": it.taken.isoformat(), "objects": it.objects} for name, it in sorted(found)
            ]
        }

    async def take_snapshot(self, request: "Request") -> Any:
        name = request.path_params["name"]
        if not _SNAPSHOT.fullmatch(name):
            raise ValueError("a snapshot's name has up to 64 letters, digits, dots, hyphens and underscores")
        await (await self._world(request)).take(name)
        return await self.list_snapshots(request)

    async def restore_snapshot(self, request: "Request") -> Any:
        await (await self._world(request)).restore(request.path_params["name"])
        return {"restored": request.path_params["name"]}

    async def fork_snapshot(self, request: "Request") -> Any:
        wanted = await _wanted(request, ForkRequest)
        world, other = await self._world(request), await self._worlds.of(wanted.world)
        await world.fork(request.path_params["name"], other)
        return {"forked": request.path_params["name"], "world": wanted.world}

    async def remove_snapshot(self, request: "Request") -> Any:
        await (await self._world(request)).forget(request.path_params["name"])
        return await self.list_snapshots(request)

    async def show_clock(self, request: "Request") -> Any:
        return _shown((await self._world(request)).clock)

    async def set_clock(self, request: "Request") -> Any:
        wanted = await _wanted(request, ClockRequest)
        world = await self._world(request)
        _set(world.clock, wanted)
        await world.age()
        return _shown(world.clock)

    async def reset_clock(self, request: "Request") -> Any:
        clock = (await self._world(request)).clock
        clock.service.reset()
        return _shown(clock)

    async def list_faults(self, request: "Request") -> Any:
        plans = (await self._world(request)).faults.plans
        return {
            "faults": [{"plan": msgspec.to_builtins(it.plan), "matched": it.matched, "met": it.met} for it in plans]
        }

    async def add_fault(self, request: "Request") -> Any:
        plan = await _wanted(request, FaultPlan)
        (await self._world(request)).faults.add(plan)
        return await self.list_faults(request)

    async def clear_faults(self, request: "Request") -> Any:
        (await self._world(request)).faults.clear()
        return await self.list_faults(request)

    async def list_requests(self, request: "Request") -> Any:
        """Return the requests that are asked for; refuse if there are not as many as expected."""
        recorder, query = (await self._world(request)).recorder, dict(request.query_params)
        query.pop("world", "")
        expected, limit = query.pop("expect", ""), query.pop("limit", "")
        for name in (expected, limit):
            if name and not (name.isascii() and name.isdigit()):
                raise ValueError("expect and limit are whole numbers")
        if "op" in query:
            query["operation"] = query.pop("op")
        _check_operation(query.get("operation", ""))
        found = recorder.found(query)
        if expected:
            _check_count(len(found), int(expected), is_whole=recorder.is_whole)
        return {
            "counts": dict(recorder.counts),
            "count": len(found),
            "received": sum(it["received"] for it in found),
            "sent": sum(it["sent"] for it in found),
            "requests": found[-int(limit) :] if limit and int(limit) else [] if limit else found,
        }

    async def show_cost(self, request: "Request") -> Any:
        recorder = (await self._world(request)).recorder
        items = prices.estimate(recorder.charged, recorder.sent_bytes)
        return {
            "region": prices.REGION,
            "prices_of": prices.AS_OF,
            "dollars": round(sum(item.dollars for item in items), 8),
            "items": [item._asdict() for item in items],
        }

    async def list_drives(self, request: "Request") -> Any:
        return {"drives": _storage(await self._world(request)).drives}

    async def set_drive(self, request: "Request") -> Any:
        wanted = await _wanted(request, DriveRequest)
        _storage(await self._world(request)).set(wanted.drive, wanted.trouble)
        return await self.list_drives(request)

    async def clear_drives(self, request: "Request") -> Any:
        _storage(await self._world(request)).clear()
        return await self.list_drives(request)

    async def harm_shard(self, request: "Request") -> Any:
        wanted = await _wanted(request, HarmRequest)
        storage = _storage(await self._world(request))
        return {"harmed": await storage.harm(wanted.bucket, wanted.key, wanted.part, wanted.shard, wanted.harm)}

    async def clear_requests(self, request: "Request") -> Any:
        (await self._world(request)).recorder.clear()
        return await self.list_requests(request)


def _may(request: "Request", token: str, domains: tuple[str, ...]) -> bool:
    """Whether a client may control the server: no page of a browser is a test."""
    return "origin" not in request.headers and may_control(request, token, domains)


def _matches(control: str, path: str) -> bool:
    """Whether a path is that of a control, which may have a name in braces."""
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", PREFIX + control), path) is not None


def _check_query(request: "Request") -> None:
    """Raise ValueError for a parameter that is none: it would be another world that is asked."""
    unknown = set(request.query_params) - {"world"}
    if unknown and request.url.path != f"{PREFIX}requests":
        raise ValueError(f"there is no query parameter {min(unknown)!r}; there is: world")


def _storage(world: World) -> "StorageFaults":
    """Return what harms the drives. Raises ValueError: there are none."""
    if world.storage is None:
        raise ValueError("this server keeps everything in memory: set test.controls on one with drives")
    return world.storage


class Unexpected(Exception):
    """What was expected of the requests is not so."""


_STATUSES = {ValueError: 400, OverflowError: 400, OSError: 500, LookupError: 404, Unexpected: 409}
"""What is answered to an error; one of the operating system is of the seed."""


def _check_count(count: int, expected: int, *, is_whole: bool) -> None:
    """Raise Unexpected unless as many requests were found as were expected."""
    if not is_whole:
        raise Unexpected("only the newest requests are kept: clear them before what is to be counted")
    if count != expected:
        raise Unexpected(f"{count} requests match, not {expected}")


def _check_operation(name: str) -> None:
    """Raise ValueError for a name that is an operation's but for a slip: none would ever be found."""
    from difflib import get_close_matches

    names = {operation.name.lower(): operation.name for operation in catalogue()}
    if name not in names.values() and (near := get_close_matches(name.lower(), names, 1, 0.85)):
        raise ValueError(f"no operation is called {name[:64]}: is it {names[near[0]]}?")


def _shown(clock: Clock) -> Any:
    return {"now": clock.service_now().isoformat(), "running": clock.service.is_running}


def _set(clock: Clock, wanted: ClockRequest) -> None:
    """Set a clock. Raises ValueError: it cannot be that time."""
    if wanted.at is not None and wanted.advance_seconds is not None:
        raise ValueError("give at or advance_seconds, not both")
    at = clock.service_now() + timedelta(seconds=wanted.advance_seconds or 0)
    if wanted.at is not None:
        at = _moment(wanted.at)
    if not 1971 <= at.year <= 2200:
        raise ValueError("the year must be from 1971 to 2200")
    since = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    nanoseconds = (since // timedelta(microseconds=1)) * 1000
    clock.service.set(nanoseconds, clock.now_ns(), running=wanted.running)


def _moment(text: str) -> datetime:
    """Return the moment that a text names. Raises ValueError: it names none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:64]!r} is no moment in ISO 8601: {_EXAMPLE}") from None
    if at.tzinfo is None:
        raise ValueError(f"at needs a time zone: {_EXAMPLE}")
    return at


async def _wanted(request: "Request", kind: type[B], if_empty: B | None = None) -> B:
    """Return what the body says. Raises ValueError: it is too long, empty, or something else."""
    text = await _body(request)
    if text:
        return read_json(text, kind)
    if if_empty is None:
        raise ValueError(f"a JSON object is wanted as the body, with some of: {', '.join(field_names(kind))}")
    return if_empty


async def _body(request: "Request") -> bytes:
    """Return the body. Raises ValueError if it is too long."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY_BYTES:
            raise ValueError(f"the body has more than {_BODY_BYTES} bytes")
    return body
