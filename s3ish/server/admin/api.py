"""The admin API: users, groups, policies and roles as JSON, under ``/-/admin``, which can be no bucket.

Requests are signed as those for S3 are, for the service s3 or s3ish, in the Authorization header: a URL that is handed
on must not give away users. The body is covered by the signature.
"""

import hashlib
import json
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from msgspec.structs import replace

from s3ish.auth.authenticator import Authenticator, is_presigned
from s3ish.auth.claims import service_of
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.principals import principal_of
from s3ish.auth.request import HttpRequest
from s3ish.auth.sigv4 import ALGORITHM
from s3ish.errors import AccessDenied, InvalidURI, MethodNotAllowed, NoSuchEntity, S3Error
from s3ish.identity.registry import Registry
from s3ish.observe.observer import Observer
from s3ish.server.admin.call import AdminCall
from s3ish.server.admin.routes import PREFIX, ROUTES, Route
from s3ish.server.answered import Answered
from s3ish.server.body import RequestBody
from s3ish.server.caller import refuse_session
from s3ish.server.document_room import DocumentRoom
from s3ish.server.query import read_query
from s3ish.wire.shape import Written

_MAX_BYTES = 256 * 1024
_SIGNED_FOR = ("s3", "s3ish")


class AdminApi:
    """Answers calls.

    Args:
        authenticator: who a call is from.
        registry: the users.
        observer: which knows what was refused.
    """

    def __init__(self, authenticator: Authenticator, registry: Registry, observer: Observer) -> None:
        self._authenticator, self._registry, self._observer = authenticator, registry, observer
        self._room = DocumentRoom()

    async def answer(
        self, body: RequestBody, request: HttpRequest, path: str, circumstances: Circumstances, request_id: str
    ) -> Answered:
        """Answer a call; errors are answered in JSON.

        Args:
            request: what its signature is for.
            path: as sent, from the prefix of this API on.
        """
        answered = Answered(Written(500, []))
        try:
            await self._registry.keep_up()
            self._authenticator.refuse_stranger(_signed(request, b""), circumstances.now)
            data = await body.document(_MAX_BYTES, needs_digest=False, room=self._room)
            await self._registry.keep_up()
            user = self._authenticator.identify(_signed(request, data), circumstances.now).user
            if user is None:
                raise AccessDenied
            answered.principal = principal_of(user)
            self._registry.note_use(user)
            refuse_session(user)
            route, names = _route(request.method, path)
            answered.action = route.action
            call = AdminCall(
                principal=answered.principal,
                registry=self._registry,
                circumstances=circumstances,
                refusals=self._observer.refusals,
                names=names,
                query=read_query(request.raw_query),
                body=data,
            )
            result = await route.handler(call)
            answered.written = _json(route.status, result) if result is not None else Written(route.status, [])
        except S3Error as error:
            answered.error = error
            shown = {"code": error.code, "message": error.message, "request_id": request_id}
            answered.written = _json(error.status, {"error": shown})
            answered.written.headers += error.headers.items()
        return answered


def _signed(request: HttpRequest, data: bytes) -> HttpRequest:
    """Return a request as its signature must cover it. Raises AccessDenied: it is not signed, or in another way."""
    service = service_of(request.headers.get("authorization", ""))
    in_query = request.raw_query and is_presigned(read_query(request.raw_query).keys())
    if in_query or service not in _SIGNED_FOR or not request.headers["authorization"].startswith(ALGORITHM):
        raise AccessDenied(f"Sign the request by {ALGORITHM} in the Authorization header, for the service s3.")
    headers = {**request.headers, "x-amz-content-sha256": hashlib.sha256(data).hexdigest()}
    return replace(request, headers=headers, service=service)


def _route(method: str, raw_path: str) -> tuple[Route, Mapping[str, str]]:
    """Return the call that a request is, and the names in its path.

    Raises:
        NoSuchEntity, MethodNotAllowed, InvalidURI: it is none.
    """
    parts = raw_path.removeprefix(PREFIX).split("/")
    there = [(route, _names(route.path.split("/"), parts)) for route in ROUTES if _fits(route.path.split("/"), parts)]
    if not there:
        raise NoSuchEntity("There is no such path; docs/admin-api.yaml has those that there are.")
    for route, names in there:
        if route.method == method:
            return route, names
    allowed = ", ".join(sorted({route.method for route, _ in there}))
    raise MethodNotAllowed(headers={"allow": allowed})


def _fits(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) == len(parts) and all(
        wanted == part or (wanted.startswith("{") and part) for wanted, part in zip(pattern, parts, strict=True)
    )


def _names(pattern: list[str], parts: list[str]) -> Mapping[str, str]:
    pairs = zip(pattern, parts, strict=True)
    return {wanted[1:-1]: _decoded(part) for wanted, part in pairs if wanted.startswith("{")}


def _decoded(part: str) -> str:
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError as error:
        raise InvalidURI from error


def _json(status: int, value: object) -> Written:
    return Written(status, [("content-type", "application/json")], json.dumps(value).encode())
