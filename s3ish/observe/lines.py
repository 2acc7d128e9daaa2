"""The one line of every request, and how what clients name becomes fit to be logged."""

from datetime import datetime
from typing import Literal

import msgspec

MAX_CHARACTERS = 1024
"""The longest value of a line."""


class RequestLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the log tells of one request.

    ``path`` is that of a request whose target names nothing. ``error`` is the code of S3's error, or why there was
    no whole answer; ``reason`` names the statement, list or setting that refused it. ``received`` and ``sent`` are
    body bytes, ``seconds`` its duration. ``trace_id`` is that of its trace, where there are traces. ``torn`` says
    who ended an answer behind its status: "client" or "server".
    """

    event: Literal["request"] | None = None
    level: Literal["info"] | None = None
    timestamp: datetime | None = None
    method: str
    operation: str
    bucket: str
    key: str
    path: str = ""
    status: int
    error: str
    reason: str = ""
    received: int
    sent: int
    seconds: float
    user: str
    client: str
    request_id: str
    trace_id: str = ""
    torn: str = ""


def printable(text: str, most: int = MAX_CHARACTERS, *, lines: bool = False) -> str:
    """Return a text cut to a length, with what could break a line or move a terminal's cursor escaped.

    Args:
        most: how many characters of it are kept.
        lines: whether it may have several lines, as a traceback has.
    """
    if len(text) <= most and (text.replace("\n", "") if lines else text).isprintable():
        return text
    clipped = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(
        character
        if character.isprintable() or (lines and character == "\n")
        else character.encode("unicode_escape").decode()
        for character in clipped
    )
