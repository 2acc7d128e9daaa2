"""The application of the meantime: while the index moves, every request is asked to come back."""

import contextlib
import functools
from typing import Any

from s3ish.clock import Clock
from s3ish.errors import S3Error, ServiceUnavailable
from s3ish.observe.observer import Observer
from s3ish.process.lifespan import live
from s3ish.server import respond
from s3ish.server.body import RequestBody
from s3ish.server.control import admin
from s3ish.server.health import is_beside
from s3ish.server.pipeline import linger
from s3ish.server.request_record import read_headers
from s3ish.wire.shape import Written

_RETRY_SECONDS = 2
_MESSAGE = "The drive of the index has failed; the index moves to another one. Try again in a moment."


class Standby:
    """Answers ServiceUnavailable; health and metrics as always, but that it is not ready.

    Args:
        observer: whose metrics are shown.
        token: for whom; see ``admin``.
        clock: makes the ids of requests.
    """

    def __init__(self, observer: Observer, token: str, clock: Clock) -> None:
        self._clock = clock
        self._host_id = self._clock.token(15)
        self._admin = functools.partial(admin, observer, _is_ready, token)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(contextlib.nullcontext(), receive, send)
        elif is_beside(scope):
            await self._admin()(scope, receive, send)
        else:
            await self._refuse(scope, receive, send)

    def refuse(self, error: S3Error, path: str, client: str, *, answered: bool) -> Written:  # noqa: ARG002
        """See ``S3Application.refuse``; requests of the meantime are not logged."""
        return respond.refuse(error, path, self._new_request_id(), self._host_id)

    def _new_request_id(self) -> str:
        return self._clock.random_bytes(8).hex().upper()

    async def _refuse(self, scope: Any, receive: Any, send: Any) -> None:
        error = ServiceUnavailable(_MESSAGE, headers={"retry-after": str(_RETRY_SECONDS)})
        request_id = self._new_request_id()
        written = respond.describe(error, scope["raw_path"].decode("latin-1"), request_id, self._host_id)
        body = RequestBody(receive, read_headers(scope["headers"])[0])
        await respond.send(
            written,
            send,
            respond.Progress(),
            request_id,
            self._host_id,
            head=scope["method"] == "HEAD",
            linger=functools.partial(linger, body),  # this process ends soon: so does the connection
        )


async def _is_ready() -> bool:
    return False
