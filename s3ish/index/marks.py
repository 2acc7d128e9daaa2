"""Marks: names that a process holds for a while, which every process on the same index sees.

They are locks of the kernel's on the bytes of a file, one byte a name. So a mark costs no write and waits for no drive,
and one whose process has died is gone. Two names may share a byte: then one looks marked because the other is.
"""

import fcntl
import os
import struct
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

import xxhash

from s3ish.index.protocol import Unavailable

_LOCK = "hhqqi4x"
"""The kernel's ``struct flock``: kind, what ``start`` counts from, start, length, process."""


class Marks:
    """The marks of this process, and a look at those of the others.

    Locks of an open file (``F_OFD_SETLK``), unlike those of a process, stay when another descriptor of the file is
    closed, and are seen by another index in the same process.

    Args:
        path: the file; made if it is not there. None where no other process uses the index.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = -1 if path is None else os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._own: Counter[int] = Counter()

    def add(self, name: bytes) -> "HeldMark":
        """Mark a name. Raises Unavailable."""
        place = _place(name)
        if place not in self._own:
            self._lock(fcntl.F_RDLCK, place)
        self._own[place] += 1
        return HeldMark(self, place)

    def __contains__(self, name: bytes) -> bool:
        """Whether any process has marked a name. Raises Unavailable."""
        place = _place(name)
        if place in self._own:
            return True
        return self._file >= 0 and self._call(fcntl.F_OFD_GETLK, fcntl.F_WRLCK, place) != fcntl.F_UNLCK

    def remove(self, place: int) -> None:
        """Take a mark back; see ``HeldMark.release``."""
        if self._own[place] > 1:
            self._own[place] -= 1
        elif self._own.pop(place, None):  # none is there once all were taken back
            self._lock(fcntl.F_UNLCK, place)

    def close(self) -> None:
        """Take back all marks."""
        self._own.clear()
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _lock(self, kind: int, place: int) -> None:
        if self._file >= 0:
            self._call(fcntl.F_OFD_SETLK, kind, place)

    def _call(self, command: int, kind: int, place: int) -> int:
        """Return the kind of the lock in the kernel's answer."""
        try:
            answer = fcntl.fcntl(self._file, command, struct.pack(_LOCK, kind, os.SEEK_SET, place, 1, 0))
        except OSError as error:
            raise Unavailable(f"the kernel gives no lock: {error.strerror}") from error
        return int(struct.unpack(_LOCK, answer)[0])


class HeldMark:
    """A name that is marked until ``release``; use it as a context."""

    def __init__(self, marks: Marks, place: int) -> None:
        self._marks: Marks | None = marks
        self._place = place

    def release(self) -> None:
        """Take the mark back; idempotent."""
        marks, self._marks = self._marks, None
        if marks:
            marks.remove(self._place)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _place(name: bytes) -> int:
    """Return the byte that stands for a name."""
    return xxhash.xxh3_64_intdigest(name) >> 2  # a length fits behind it
