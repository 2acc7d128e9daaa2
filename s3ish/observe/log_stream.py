"""Where the log goes. What cannot be written there is lost: no request fails for it, and no server ends.

The disk of the log may be full, and who reads a pipe may have gone. When lines can be written again the log says how
many were lost.
"""

from contextlib import suppress
from threading import RLock
from typing import Any, BinaryIO

import structlog


class LogStream:
    """A stream of lines that always takes them, and the logger that structlog hands them to.

    Its lock lets who holds it write: the line that reports lost ones comes in the middle of another one's turn.

    Args:
        stream: where they go.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream: Any = getattr(stream, "raw", stream)  # what is buffered and cannot be written would stay
        self._turn = RLock()
        self._lost = 0
        self._is_torn = False

    def write(self, lines: str | bytes) -> int:
        """Write lines, or lose them."""
        data = lines.encode("utf-8", "backslashreplace") if isinstance(lines, str) else lines
        with self._turn:
            if self._has_written(data) and self._lost:
                count, self._lost = self._lost, 0
                structlog.get_logger().warning("lines of the log could not be written", count=count)
        return len(data)

    def _has_written(self, data: bytes) -> bool:
        left = memoryview(b"\n" + data if self._is_torn else data)
        try:
            while left:
                count = self._stream.write(left)
                if not count:
                    raise BlockingIOError
                left, self._is_torn = left[count:], count < len(left)
        except (OSError, ValueError):  # the latter: it is closed
            self._lost += data.count(b"\n")
            return False
        return True

    def flush(self) -> None:
        """Have what was written be where it goes."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def line(self, text: str | bytes) -> None:
        """Write one line of an event."""
        self.write(text + "\n" if isinstance(text, str) else text + b"\n")
        self.flush()

    debug = info = warning = error = critical = line
