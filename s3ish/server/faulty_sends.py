"""What stands between an answer and the connection where a fault is planned: the body is cut, changed or slow."""

import asyncio
from typing import Any

from s3ish.http.exchange import AnswerTorn

RESET = "s3ish.reset"
"""The message that asks for the connection to be reset; ``answer_whole`` understands it."""
_PIECES_PER_SECOND = 20


async def answer_whole(application: Any, scope: Any, receive: Any, send: Any) -> None:
    """Have a request answered. An answer that a plan keeps back, or cuts, ends the connection.

    Raises:
        AnswerTorn: it was.
    """
    is_whole = resets = False

    async def sending(message: Any) -> None:
        nonlocal is_whole, resets
        if message["type"] == RESET:
            resets = True
            return
        await send(message)
        is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)

    await application(scope, receive, sending)
    if not is_whole:
        raise AnswerTorn(resets=resets)


def cut(send: Any, count: int, *, resets: bool) -> Any:
    """Send so many bytes of the body, then end or reset the connection; a body that is not longer stays whole.

    Args:
        send: ASGI's send.
        count: how many bytes.
        resets: whether it is reset.
    """
    left = count

    async def sending(message: Any) -> None:
        nonlocal left
        if message["type"] != "http.response.body":
            await send(message)
            return
        body = message.get("body", b"")
        if len(body) <= left:
            left -= len(body)
            await send(message)
            return
        await send({"type": "http.response.body", "body": body[:left], "more_body": True})
        if resets:
            await send({"type": RESET})
        raise ConnectionResetError("cut by a plan")

    return sending


def flipped(send: Any, place: int) -> Any:
    """Change a bit of the body's byte at a place; a body that is shorter stays as it is."""
    at = 0

    async def sending(message: Any) -> None:
        nonlocal at
        if message["type"] == "http.response.body":
            body = message.get("body", b"")
            if at <= place < at + len(body):
                changed = bytearray(body)
                changed[place - at] ^= 1
                message = {**message, "body": bytes(changed)}
            at += len(body)
        await send(message)

    return sending


def slowed(send: Any, rate: int) -> Any:
    """Send the body at so many bytes a second."""
    most = max(1, rate // _PIECES_PER_SECOND)

    async def sending(message: Any) -> None:
        body = message.get("body", b"")
        while len(body) > most:
            await send({"type": "http.response.body", "body": bytes(body[:most]), "more_body": True})
            await asyncio.sleep(most / rate)
            body = body[most:]
        if body:
            await asyncio.sleep(len(body) / rate)
        await send({**message, "body": body} if "body" in message else message)

    return sending
