"""What is not S3: health, readiness and metrics, under ``/-/``, which can be no bucket.

The health paths of other servers are answered too, because probes in many compose files and test libraries ask for
them; see ``health``.
"""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from s3ish.errors import InvalidRequest
from s3ish.observe.observer import Observer
from s3ish.server import health
from s3ish.server.health import ADMIN_OF_MINIO, LIVE, METRICS, READY
from s3ish.server.target import check_host

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_FORWARDED = frozenset(
    (
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-proto",
        "x-real-ip",
    )
)

_NO_ADMIN = "This is s3ish, which has no admin interface of MinIO's; docs/replacing.md says what takes its place."


async def _no_buckets() -> list[tuple[str, int, int]]:
    return []


def admin(
    observer: Observer,
    is_ready: Callable[[], Awaitable[bool]],
    token: str,
    largest: Callable[[], Awaitable[list[tuple[str, int, int]]]] = _no_buckets,
    domains: tuple[str, ...] = (),
    scripts: Sequence[str] = (),
) -> "Starlette":
    """Return the application of the administrative routes.

    Args:
        observer: whose metrics are shown.
        is_ready: whether requests can be served now.
        token: the bearer token for metrics; empty allows clients on loopback only, and none through a proxy.
        largest: returns name, bytes and objects of the buckets that metrics show.
        domains: names of the server, beside those that every machine has for itself.
        scripts: the names of the scripts of the start, all of which have ended well.
    """
    # deferred: a tenth of the server's start, for routes that many a server is never asked for
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    async def live(_request: "Request") -> "Response":
        return PlainTextResponse("ok\n")

    async def ready(_request: "Request") -> "Response":
        return PlainTextResponse("ok\n") if await is_ready() else PlainTextResponse("not ready\n", 503)

    async def localstack(_request: "Request") -> "Response":
        is_running = await is_ready()
        # as LocalStack writes it: health checks in compose files look for "s3": "running" in the text
        text = '{"services": {"s3": "%s"}}' % ("running" if is_running else "starting")
        return Response(text, 200 if is_running else 503, media_type="application/json")

    async def localstack_info(_request: "Request") -> "Response":
        return JSONResponse({"edition": "s3ish", "is_license_activated": False})

    async def localstack_init(request: "Request") -> "Response":
        is_done = await is_ready()
        stages = dict.fromkeys(("BOOT", "START", "READY"), is_done) | {"SHUTDOWN": False}
        completed = stages if request.url.path == health.LOCALSTACK_INIT else is_done
        state = "SUCCESSFUL" if is_done else "UNKNOWN"
        each = [{"stage": "READY", "name": name, "state": state} for name in scripts]
        return JSONResponse({"completed": completed, "scripts": each})

    async def metrics(request: "Request") -> "Response":
        if not may_control(request, token, domains):
            return PlainTextResponse("forbidden\n", 403)
        content_type, text = observer.render(await largest())
        return Response(text, headers={"content-type": content_type})

    async def admin_of_minio(_request: "Request") -> "Response":
        return JSONResponse({"Code": "NotImplemented", "Message": _NO_ADMIN}, 501)

    routes = [Route(path, live) for path in LIVE] + [Route(path, ready) for path in READY]
    others = [Route(health.LOCALSTACK, localstack), Route(health.LOCALSTACK_INFO, localstack_info)]
    others += [Route(path, localstack_init) for path in (health.LOCALSTACK_INIT, health.LOCALSTACK_INIT_READY)]
    others += [Route(path, metrics) for path in METRICS]
    methods = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]
    others.append(Route(ADMIN_OF_MINIO + "{rest:path}", admin_of_minio, methods=methods))
    return Starlette(routes=[*routes, *others])


def may_control(request: "Request", token: str, domains: tuple[str, ...] = ()) -> bool:
    """Whether a client may see what is not for all: it has the token or, where there is none, is on this machine.

    A browser on this machine may show it to its user, and to no page: neither to one that has the server's address, as
    an object of a bucket has, nor to one that gave its own name this machine's address (DNS rebinding).

    Args:
        domains: see ``admin``.
    """
    if token:
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    if not _FORWARDED.isdisjoint(request.headers):  # a proxy on this machine speaks for another client
        return False
    if request.headers.get("sec-fetch-site", "none") != "none" or not _is_own(request.headers.get("host", ""), domains):
        return False
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _is_own(host: str, domains: tuple[str, ...]) -> bool:
    """Whether a Host is an address, or a name that no page of another site can have."""
    try:
        name = check_host(host) if host else ""
    except InvalidRequest:
        return False
    is_of_network = "." not in name  # one label, and [::1] as well
    if is_of_network or name.endswith(".localhost") or name in domains:
        return True
    try:
        return bool(ip_address(name))
    except ValueError:
        return False
