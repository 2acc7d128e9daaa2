"""What tests do with a server beside S3, under ``/-/test``: reset it, set its clock, plan faults, ask what was asked.

``docs/test-controls.yaml`` describes it for programs.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import msgspec
from msgspec import Meta, Struct

from s3ish.clock import Clock
from s3ish.server.control import may_control
from s3ish.server.planned_faults import FaultPlan, PlannedFaults
from s3ish.server.recorder import Recorder

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

PREFIX = "/-/test/"
MOTO_RESET = "/moto-api/reset"
_BODY_BYTES = 64 * 1024
_SNAPSHOT = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Snapshot(Protocol):
    """A store at one moment."""

    @property
    def objects(self) -> int:
        """How many keys have an object."""

    @property
    def taken(self) -> datetime:
        """When it was taken."""


class Resettable(Protocol):
    """A server that tests control."""

    clock: Clock
    faults: PlannedFaults
    recorder: Recorder

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """Those that are kept, by name."""

    async def reset(self, bucket: str = "", snapshot: str = "") -> None:
        """Be as after the start, or as in a snapshot: all, or one bucket. Raises LookupError: there is none."""

    def take(self, name: str) -> Snapshot:
        """Keep the store as it is under a name. Raises ValueError: there are too many."""

    async def restore(self, name: str) -> None:
        """Have the store be as in a snapshot. Raises LookupError: there is none."""

    def forget(self, name: str) -> None:
        """Remove a snapshot. Raises LookupError: there is none."""

    async def age(self) -> None:
        """Carry out what is due by the clock that was set."""


class ClockRequest(Struct, forbid_unknown_fields=True):
    """What time it is to be: a moment, or so many seconds from what it is; and whether it goes on from there."""

    at: datetime | None = None
    advance_seconds: Annotated[float, Meta(ge=-1e10, le=1e10)] | None = None
    running: bool = True


class ResetRequest(Struct, forbid_unknown_fields=True):
    """What is reset: a bucket, or everything where none is named; and to what, if not to what it was at start."""

    bucket: str = ""
    snapshot: str = ""


def is_control(scope: Any) -> bool:
    """Whether a request is for the test controls."""
    path: bytes = scope["raw_path"]
    return path.startswith(PREFIX.encode()) or (path == MOTO_RESET.encode() and bool(scope["method"] == "POST"))


def controls(server: Resettable, token: str) -> "Starlette":
    """Return the application of the test controls.

    Args:
        server: what they control.
        token: the bearer token that clients need; empty for those on loopback, without a proxy.
    """
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    def guarded(handle: Callable[["Request"], Awaitable[Any]]) -> Callable[["Request"], Awaitable["Response"]]:
        async def answer(request: "Request") -> "Response":
            if "origin" in request.headers or not may_control(request, token):  # no page of a browser is a test
                return JSONResponse({"error": "for tests on this machine, or with the token, alone"}, 403)
            try:
                return JSONResponse(await handle(request))
            except (ValueError, OverflowError) as error:  # of a body as well
                return JSONResponse({"error": str(error)}, 400)
            except OSError as error:  # of the seed
                return JSONResponse({"error": str(error)}, 500)
            except LookupError as error:
                return JSONResponse({"error": str(error)}, 404)

        return answer

    acts = _Controls(server)
    table: list[tuple[str, str, Callable[[Request], Awaitable[Any]]]] = [
        ("reset", "POST", acts.reset),
        ("snapshots", "GET", acts.list_snapshots),
        ("snapshots/{name}", "PUT", acts.take_snapshot),
        ("snapshots/{name}", "DELETE", acts.remove_snapshot),
        ("snapshots/{name}/restore", "POST", acts.restore_snapshot),
        ("clock", "GET", acts.show_clock),
        ("clock", "PUT", acts.set_clock),
        ("clock", "DELETE", acts.reset_clock),
        ("faults", "GET", acts.list_faults),
        ("faults", "POST", acts.add_fault),
        ("faults", "DELETE", acts.clear_faults),
        ("requests", "GET", acts.list_requests),
        ("requests", "DELETE", acts.clear_requests),
    ]
    routes = [Route(PREFIX + path, guarded(handle), methods=[method]) for path, method, handle in table]
    return Starlette(routes=[*routes, Route(MOTO_RESET, guarded(acts.reset_all), methods=["POST"])])


class _Controls:
    """The controls, one method each; they raise ValueError for what cannot be."""

    def __init__(self, server: Resettable) -> None:
        self._server = server

    async def reset(self, request: "Request") -> Any:
        text = await _body(request)
        wanted = msgspec.json.decode(text, type=ResetRequest) if text else ResetRequest()
        await self._server.reset(wanted.bucket, wanted.snapshot)
        return {"reset": wanted.bucket or "all"}

    async def reset_all(self, _request: "Request") -> Any:
        await self._server.reset()
        return {"status": "ok"}

    async def list_snapshots(self, _request: "Request") -> Any:
        found = self._server.snapshots.items()
        return {
            "snapshots": [
                {"name": name, "taken": it.taken.isoformat(), "objects": it.objects} for name, it in sorted(found)
            ]
        }

    async def take_snapshot(self, request: "Request") -> Any:
        name = request.path_params["name"]
        if not _SNAPSHOT.fullmatch(name):
            raise ValueError("a snapshot's name has up to 64 letters, digits, dots, hyphens and underscores")
        self._server.take(name)
        return await self.list_snapshots(request)

    async def restore_snapshot(self, request: "Request") -> Any:
        await self._server.restore(request.path_params["name"])
        return {"restored": request.path_params["name"]}

    async def remove_snapshot(self, request: "Request") -> Any:
        self._server.forget(request.path_params["name"])
        return await self.list_snapshots(request)

    async def show_clock(self, _request: "Request") -> Any:
        clock = self._server.clock
        return {"now": clock.service_now().isoformat(), "running": clock.service.is_running}

    async def set_clock(self, request: "Request") -> Any:
        wanted = msgspec.json.decode(await _body(request), type=ClockRequest)
        clock = self._server.clock
        if wanted.at is not None and wanted.advance_seconds is not None:
            raise ValueError("give at or advance_seconds, not both")
        at = wanted.at or clock.service_now() + timedelta(seconds=wanted.advance_seconds or 0)
        if at.tzinfo is None:
            raise ValueError("at needs a time zone: 2030-01-01T00:00:00Z")
        if not 1971 <= at.year <= 2200:
            raise ValueError("the year must be from 1971 to 2200")
        since = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        nanoseconds = (since // timedelta(microseconds=1)) * 1000
        clock.service.set(nanoseconds, clock.now_ns(), running=wanted.running)
        await self._server.age()
        return await self.show_clock(request)

    async def reset_clock(self, request: "Request") -> Any:
        self._server.clock.service.reset()
        return await self.show_clock(request)

    async def list_faults(self, _request: "Request") -> Any:
        return {"faults": msgspec.to_builtins(self._server.faults.plans)}

    async def add_fault(self, request: "Request") -> Any:
        self._server.faults.add(msgspec.json.decode(await _body(request), type=FaultPlan))
        return await self.list_faults(request)

    async def clear_faults(self, request: "Request") -> Any:
        self._server.faults.clear()
        return await self.list_faults(request)

    async def list_requests(self, request: "Request") -> Any:
        recorder, query = self._server.recorder, request.query_params
        found = recorder.found(query.get("operation", ""), query.get("bucket", ""))
        return {"counts": dict(recorder.counts), "requests": found}

    async def clear_requests(self, request: "Request") -> Any:
        self._server.recorder.clear()
        return await self.list_requests(request)


async def _body(request: "Request") -> bytes:
    """Return the body. Raises ValueError if it is too long."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY_BYTES:
            raise ValueError(f"the body has more than {_BODY_BYTES} bytes")
    return body
