"""Log lines for people: one short line an event, coloured on a terminal.

What stands in them comes from clients. It is escaped and cut here, so that no key writes a line of its own or moves a
cursor.
"""

import os
import sys
from collections.abc import MutableMapping, Sequence
from datetime import datetime
from typing import Any

from s3ish.observe.lines import RequestLine, printable

_NAME_CHARACTERS = 120
"""How much of a bucket and key is shown: a line of a terminal, or two. JSON has more."""

_PLAIN, _DIM, _RED, _GREEN, _YELLOW, _CYAN = "\x1b[0m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"
_OF_STATUS = {2: _GREEN, 3: _CYAN, 4: _YELLOW, 5: _RED}
_OF_LEVEL = {"warning": _YELLOW, "error": _RED, "critical": _RED}


class Console:
    """Writes lines.

    Args:
        coloured: whether for a terminal that shows colours.
    """

    def __init__(self, *, coloured: bool) -> None:
        self._coloured = coloured

    def requests(self, lines: Sequence[RequestLine], now: datetime) -> bytes:
        """Return the lines of requests that have ended: ``12:01:02 404 GET tour/missing.txt NoSuchKey 0.4 ms``."""
        time = self._paint(f"{now.astimezone():%H:%M:%S}", _DIM)
        return "".join(f"{time} {self._request(line)}\n" for line in lines).encode()

    def event(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        """Return the line of any other event, as a processor of structlog; a traceback follows on lines of its own."""
        time = datetime.fromisoformat(event.pop("timestamp")).astimezone()
        level, text, trace = event.pop("level"), event.pop("event"), event.pop("exception", "")
        fields = "".join(f" {name}={_value(value)}" for name, value in event.items())
        prefix = "" if level in ("info", "debug") else self._paint(level, _OF_LEVEL[level]) + " "
        return f"{self._paint(f'{time:%H:%M:%S}', _DIM)} {prefix}{text}{fields}" + (f"\n{trace}" if trace else "")

    def _request(self, line: RequestLine) -> str:
        status = self._paint(str(line.status), _OF_STATUS.get(line.status // 100, _RED))
        name = f"{line.bucket}/{line.key}" if line.bucket else line.path or "/"
        words = (
            status,
            printable(line.method, 20),
            printable(name, _NAME_CHARACTERS),
            line.error,
            _taken(line.seconds),
        )
        return " ".join(word for word in words if word)

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._coloured else text


def shows_colours() -> bool:
    """Whether standard error is a terminal that is to show colours; see https://no-color.org."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _taken(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def _value(value: object) -> str:
    text = value if isinstance(value, str) else printable(str(value))
    return text if text and " " not in text else repr(text)
