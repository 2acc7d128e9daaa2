"""The files that the engine of a child process can see: the object, and none of the machine's."""

import io
from collections.abc import Callable
from threading import Lock, local
from typing import Any

import fsspec

from s3ish.select.feed import Feed

OBJECT = "object://it"
"""The name of an object of which ranges are read."""


class _Place(local):
    """Where a thread reads next: the engine has several read one file, each of which seeks before it reads."""

    at = 0


class _Readable(io.RawIOBase):
    """What is read and not written."""

    def __init__(self, size: int) -> None:
        self._size, self._place = size, _Place()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place.at = offset + (0, self._place.at, self._size)[whence]
        return self._place.at

    def tell(self) -> int:
        return self._place.at


class _Ranges(_Readable):
    """An object of which ranges are asked for."""

    def __init__(self, size: int, ask: Callable[[int, int], bytes]) -> None:
        super().__init__(size)
        self._ask = ask

    def readinto(self, buffer: Any) -> int:
        view, at = memoryview(buffer).cast("B"), self._place.at
        length = max(0, min(len(view), self._size - at))
        if length:
            view[:length] = self._ask(at, length)
            self._place.at = at + length
        return length


class _Stream(_Readable):
    """A file that is read once, from its begin to its end."""

    def __init__(self, feed: Feed, number: int) -> None:
        super().__init__(feed.size(number))
        self._feed, self._number, self._done, self._lock = feed, number, 0, Lock()

    def readinto(self, buffer: Any) -> int:
        view, at = memoryview(buffer).cast("B"), self._place.at
        with self._lock:
            length = min(len(view), self._size - at)
            if length <= 0:
                return 0
            if at != self._done:
                raise OSError("a stream is read in its order")
            data = self._feed.read(self._number, length)
            view[: len(data)] = data
            self._done = self._place.at = at + len(data)
            return len(data)


class _Files(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Files that are there, and do not change."""

    protocol = "object"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self._size_of(path), "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:  # noqa: ARG002 - the form of the protocol
        return True

    def glob(self, path: str, **_: Any) -> list[str]:
        return [path]

    def modified(self, path: str) -> Any:  # noqa: ARG002 - the form of the protocol
        from datetime import UTC, datetime

        return datetime(2000, 1, 1, tzinfo=UTC)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.RawIOBase:
        if mode != "rb":
            raise PermissionError(mode)
        return self._opened(path)

    def _size_of(self, path: str) -> int:
        raise NotImplementedError

    def _opened(self, path: str) -> io.RawIOBase:
        raise NotImplementedError


class ObjectFile(_Files):
    """One object of which ranges are asked for.

    Args:
        size: its length in bytes.
        ask: returns so many bytes from a place on.
    """

    def __init__(self, size: int, ask: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size, self._ask = size, ask

    def _size_of(self, path: str) -> int:  # noqa: ARG002 - there is one
        return self._size

    def _opened(self, path: str) -> io.RawIOBase:  # noqa: ARG002 - there is one
        return _Ranges(self._size, self._ask)


class StreamFiles(_Files):
    """Files that are read one after the other.

    Args:
        feed: what stands in them.
    """

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._feed = feed

    def _size_of(self, path: str) -> int:
        return self._feed.size(_number(path))

    def _opened(self, path: str) -> io.RawIOBase:
        return _Stream(self._feed, _number(path))


def _number(path: str) -> int:
    return int(path.rpartition("/")[2])
