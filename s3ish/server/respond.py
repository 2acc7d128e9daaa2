"""From results and errors to bytes on the wire."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from s3ish.errors import S3Error
from s3ish.http.exchange import WHOLE
from s3ish.wire.headers import encode
from s3ish.wire.shape import Headers, Written
from s3ish.wire.xml import DECLARATION, escape

Send = Callable[[dict[str, Any]], Awaitable[None]]
Linger = Callable[[], Awaitable[None]]

_MAX_ECHO = 1024
"""The longest piece of a request that an error repeats."""
_INEXPRESSIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML 1.0 has no form for: an error that repeated them could not be read."""


class Progress(Struct):
    """How far an answer has come: whether its status is sent, how many bytes of its body, and whether all of them."""

    begun: bool = False
    sent: int = 0
    whole: bool = False


def describe(error: S3Error, resource: str, request_id: str, host_id: str) -> Written:
    """Return the answer to a request that failed.

    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#RESTErrorResponses
    """
    headers = list(error.headers.items())
    if error.status in (304,):
        return Written(error.status, headers)
    details = "".join(f"<{name}>{_clip(str(value))}</{name}>" for name, value in error.details.items())
    body = (
        f"{DECLARATION}<Error><Code>{error.code}</Code><Message>{_clip(error.message)}</Message>{details}"
        f"<Resource>{_clip(resource)}</Resource><RequestId>{request_id}</RequestId><HostId>{host_id}</HostId></Error>"
    ).encode("utf-8", "replace")
    headers.append(("content-type", "application/xml"))
    return Written(error.status, headers, body)


def refuse(error: S3Error, resource: str, request_id: str, host_id: str) -> Written:
    """Return the whole answer to a request that failed before there was one; see ``describe``."""
    written = describe(error, resource, request_id, host_id)
    written.headers += _identity(request_id, host_id)
    return written


def _clip(text: str) -> str:
    return escape(_INEXPRESSIBLE.sub("\ufffd", text[:_MAX_ECHO]))


def _identity(request_id: str, host_id: str) -> Headers:
    """Return the headers that every answer has."""
    return [("x-amz-request-id", request_id), ("x-amz-id-2", host_id), ("server", "s3ish")]


async def send(
    written: Written,
    send: Send,
    progress: Progress,
    request_id: str,
    host_id: str,
    *,
    head: bool,
    linger: Linger | None = None,
    whole: bool = False,
) -> None:
    """Send an answer.

    Args:
        progress: kept up to date, also when this fails.
        head: leave the body out, as HEAD wants it.
        linger: given where the connection must end because the request's body was not read; awaited between the last
            byte of the answer and that end.
        whole: the server takes an answer in one message.

    Raises:
        ConnectionError: the client has gone.
    """
    headers = [*_identity(request_id, host_id), *written.headers]
    named = dict(headers)
    bodiless, length = written.status in (204, 304), int(named.get("content-length", 0))
    if written.flow is None and not bodiless and "content-length" not in named:
        length = len(written.body)
        if not head or length:
            headers.append(("content-length", str(length)))
    body = b"" if head or bodiless else written.body
    if whole and not linger and (written.flow is None or head) and "connection" not in named:
        message = {"type": WHOLE, "status": written.status, "headers": headers, "length": length, "body": body}
        await send(message)
        progress.begun, progress.sent, progress.whole = True, len(body), True
        return
    if linger:
        headers.append(("connection", "close"))
    await send({"type": "http.response.start", "status": written.status, "headers": encode(headers)})
    progress.begun = True
    if written.flow is None or head:
        await send({"type": "http.response.body", "body": body, "more_body": linger is not None})
        progress.sent = len(body)
    else:
        async for piece in written.flow:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            progress.sent += len(piece)
            del piece  # the next may come much later
    progress.whole = True
    if linger:
        await linger()
    if linger or (written.flow and not head):
        await send({"type": "http.response.body", "body": b""})
