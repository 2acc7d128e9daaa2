"""The files that the engine of a child process can see: the object, and none of the machine's."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
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


class Files(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Files that are there, and do not change.

    Args:
        size_of: returns the length of one in bytes.
        opened: opens one.
    """

    protocol = "object"

    def __init__(self, size_of: Callable[[str], int], opened: Callable[[str], io.RawIOBase]) -> None:
        super().__init__()
        self._size_of, self._opened = size_of, opened

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self._size_of(path), "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:  # noqa: ARG002 - the form of the protocol
        return True

    def glob(self, path: str, **_: Any) -> list[str]:
        return [path]

    def modified(self, path: str) -> Any:  # noqa: ARG002 - the form of the protocol
        return datetime(2000, 1, 1, tzinfo=UTC)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.RawIOBase:
        if mode != "rb":
            raise PermissionError(mode)
        return self._opened(path)


def object_file(size: int, ask: Callable[[int, int], bytes]) -> Files:
    """Return one object of which ranges are asked for.

    Args:
        size: its length in bytes.
        ask: returns so many bytes from a place on.
    """
    return Files(lambda _: size, lambda _: _Ranges(size, ask))


def stream_files(feed: Feed) -> Files:
    """Return files that are read one after the other.

    Args:
        feed: what stands in them.
    """
    return Files(lambda path: feed.size(_number(path)), lambda path: _Stream(feed, _number(path)))


def _number(path: str) -> int:
    return int(path.rpartition("/")[2])
