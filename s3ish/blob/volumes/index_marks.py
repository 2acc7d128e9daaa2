"""What a volume remembers of the index that names what is on it, so that one from the past is recognised.

``.s3ish/generation`` says in decimal how many starts it has seen, ``.s3ish/commits`` how many commits: an index that
has seen fewer does not know what was stored since. It was put back from a copy, or its log was lost, or its drive was
away. The generation is flushed. The commits are not: what a cut of the power takes from them weakens them, no more.
``.s3ish/behind`` says that it has missed a start, and may still hold what was removed meanwhile; it has the sequence of
the moment when it was back. The generation does not say it: it is that of the last start that the volume has seen, as
what was written since is on it.
``.s3ish/lacking`` is what becomes of that mark when all was removed: what was written before may still be missing.
"""

import os
from collections.abc import Callable
from contextlib import suppress

import xxhash

from s3ish.blob.volumes.calls import Calls
from s3ish.blob.volumes.identity import PRIVATE

GENERATION, COMMITS = f"{PRIVATE}/generation", f"{PRIVATE}/commits"
BEHIND, LACKING = f"{PRIVATE}/behind", f"{PRIVATE}/lacking"
FOR_EVER = 1 << 63
"""After every sequence."""
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class IndexMarks:
    """The marks of the index on one volume.

    Args:
        calls: of the volume.
        root: a descriptor of its root directory, open as long as the marks are used.
        sync: flushes a descriptor.
    """

    def __init__(self, calls: Calls, root: int, sync: Callable[[int], None]) -> None:
        self._calls, self._root, self._sync = calls, root, sync

    def generation(self) -> int:
        """Return how many starts the index has seen; 0 if that is unknown.

        Raises VolumeError if the volume does not answer.
        """
        with self._calls.to(GENERATION), suppress(OSError, ValueError):
            return int(self._read(GENERATION))
        return 0

    def commits(self) -> int:
        """Return how many commits it has seen at the least; 0 if that is unknown.

        Raises VolumeError if the volume does not answer.
        """
        with self._calls.to(COMMITS), suppress(OSError):
            return _number(self._read(COMMITS))
        return 0

    def write_generation(self, number: int) -> None:
        """Replace the generation atomically and durably. Raises VolumesFull, VolumeError."""
        temporary = f"{GENERATION}.new"
        with self._calls.to(GENERATION):
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=self._root)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600, dir_fd=self._root)
            try:
                os.write(descriptor, b"%d\n" % number)
                self._sync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, GENERATION, src_dir_fd=self._root, dst_dir_fd=self._root)
        self._sync_entries()

    def behind(self) -> int:
        """Return until when it may have missed removals, as a sequence; 0 if it has missed none.

        Raises VolumeError if the volume does not answer.
        """
        return self._until(BEHIND)

    def lacking(self) -> int:
        """Return until when it may have missed what was written, as ``behind`` does."""
        return self._until(LACKING)

    def _until(self, path: str) -> int:
        with self._calls.to(path):
            try:
                return _number(self._read(path)) or FOR_EVER
            except FileNotFoundError:
                return 0
            except OSError:
                return FOR_EVER

    def fall_behind(self, until: int) -> None:
        """Remember durably until when it may have missed removals. Raises VolumesFull, VolumeError."""
        with self._calls.to(BEHIND):
            descriptor = os.open(BEHIND, os.O_WRONLY | os.O_CREAT | _FLAGS, 0o600, dir_fd=self._root)
        try:
            with self._calls.to(BEHIND):
                os.pwrite(descriptor, _text(until), 0)
            self._sync(descriptor)
        finally:
            os.close(descriptor)
        self._sync_entries()

    def catch_up(self) -> None:
        """All that was removed meanwhile is removed from it; nothing was added. Raises VolumeError."""
        with self._calls.to(BEHIND), suppress(FileNotFoundError):
            os.rename(BEHIND, LACKING, src_dir_fd=self._root, dst_dir_fd=self._root)

    def be_complete(self) -> None:
        """It has all that was written meanwhile. Raises VolumeError."""
        with self._calls.to(LACKING), suppress(FileNotFoundError):
            os.unlink(LACKING, dir_fd=self._root)

    def write_commits(self, number: int) -> None:
        """Write the number of commits over the one that is there. Raises VolumesFull, VolumeError."""
        with self._calls.to(COMMITS):
            descriptor = os.open(COMMITS, os.O_WRONLY | os.O_CREAT | _FLAGS, 0o600, dir_fd=self._root)
            try:
                os.pwrite(descriptor, _text(number), 0)  # always as long
            finally:
                os.close(descriptor)

    def _sync_entries(self) -> None:
        with self._calls.to(PRIVATE):
            folder = os.open(PRIVATE, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=self._root)
        try:
            self._sync(folder)
        finally:
            os.close(folder)

    def _read(self, path: str) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | _FLAGS, dir_fd=self._root)
        try:
            return os.read(descriptor, 100)
        finally:
            os.close(descriptor)


def _number(text: bytes) -> int:
    """Return the number in a text; 0 if that is damaged."""
    with suppress(ValueError):
        number = int(text.partition(b" ")[0])
        return number if text == _text(number) else 0
    return 0


def _text(number: int) -> bytes:
    digits = b"%020d" % number
    return b"%b %08x\n" % (digits, xxhash.xxh32_intdigest(digits))
