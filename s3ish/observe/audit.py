"""The audit log: who did what, to which key, from where, and which rule let them or did not. One JSON line a request.

It is a stream of its own beside the log, for those who must show later who had access. Secrets are in none of its
fields. A line is written when the request has ended, together with those of the same turn of the event loop; where it
cannot be written the log says so, and the request has been answered all the same.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from s3ish.batching import TurnBatch
from s3ish.observe.lines import printable

log = structlog.get_logger()

_MOST_LINES = 1024


Decision = Literal["allowed", "denied", "undecided"]
"""What became of a request's right; "undecided" if it failed for another reason before it was looked at."""


class AuditLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One request; ``by`` is the statement, list or setting that decided."""

    time: datetime
    request_id: str
    caller: str
    access_key: str = ""
    operation: str
    action: str = ""
    bucket: str = ""
    key: str = ""
    version_id: str = ""
    client: str
    agent: str = ""
    status: int
    error: str = ""
    decision: Decision
    by: str = ""


_FROM_CLIENTS = ("access_key", "bucket", "key", "version_id", "agent", "by")
_encoder = msgspec.json.Encoder()


class AuditLog:
    """Appends lines to a file, which may be moved away while the server runs: the next line makes a new one.

    Args:
        file: where lines go. It is made with mode 0600. One that cannot be opened is tried again with each line: it is
            the start that is refused for its sake (``require``), not a worker that takes another one's place.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None
        self._lines = TurnBatch(self._write, _MOST_LINES)
        self._fails = False
        self._write([])

    def add(self, line: AuditLine) -> None:
        """Append a line, together with the others of this turn of the event loop."""
        self._lines.add(line)

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._lines.flush()
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _write(self, lines: list[AuditLine]) -> None:
        for line in lines:
            for name in _FROM_CLIENTS:
                setattr(line, name, printable(getattr(line, name)))
        data = _encoder.encode_lines(lines)
        try:
            descriptor = self._follow()
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError as error:
            if not self._fails:
                log.error("the audit log cannot be written", file=str(self._file), error=str(error))
            self._fails = True
        else:
            self._fails = False

    def _follow(self) -> int:
        """Return the file, opened anew where another one has its name by now, or none."""
        held = self._descriptor
        if held is None or not _is_at(held, self._file):
            self._descriptor = _open(self._file)
            if held is not None:
                os.close(held)
        assert self._descriptor is not None, "it was opened"
        return self._descriptor


def require(file: str) -> None:
    """Make sure that an audit log can be written, "" for none. Raises OSError, whose text says why not."""
    try:
        if file:
            os.close(_open(Path(file)))
    except OSError as error:
        raise OSError(f"cannot write the audit log {file} (log.audit): {error.strerror}") from error


def _open(file: Path) -> int:
    return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_at(descriptor: int, file: Path) -> bool:
    """Whether a file that is open has this name."""
    held = os.fstat(descriptor)
    try:
        named = os.stat(file)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
