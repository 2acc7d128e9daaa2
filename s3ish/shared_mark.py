"""A mark in memory that the processes of a server share: that it is another one says that something has changed."""

import mmap
import os
from collections.abc import Callable
from multiprocessing.reduction import DupFd
from typing import Any, Self

_BYTES = 8


class SharedMark:
    """Random bytes. To read them costs no call of the kernel.

    Processes that are forked share it. Where ``file`` is given, a process that begins as a program of its own does so
    too, when the mark is handed to it.

    A reader reads the mark before what it is about, and a writer changes it after that. So who was answered that
    something has changed finds another mark than any reader that has not seen the change.

    Args:
        file: the descriptor of what holds the bytes; none for memory without one.
    """

    def __init__(self, file: int = -1) -> None:
        self._file = file
        self._memory = mmap.mmap(file, _BYTES)

    @classmethod
    def for_programs(cls) -> Self:
        """Return a mark that can be handed to another program."""
        file = os.memfd_create("s3ish-mark")
        os.ftruncate(file, _BYTES)
        return cls(file)

    @property
    def value(self) -> bytes:
        """The mark."""
        return self._memory[:]

    def change(self, value: bytes) -> None:
        """Let the mark be another one: eight random bytes, which no other change has taken."""
        self._memory[:] = value

    def __reduce__(self) -> tuple[Callable[[Any], "SharedMark"], tuple[Any]]:
        """Hand the mark to a program that begins."""
        return _received, (DupFd(self._file),)


def _received(handed: Any) -> SharedMark:
    return SharedMark(handed.detach())
