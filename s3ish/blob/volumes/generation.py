"""Which generation of the index was the last to name what is on a volume: in ``.s3ish/generation``, in decimal.

An index with a lower number is from the past, and does not know what was stored since.
"""

import os
from collections.abc import Callable
from contextlib import suppress

from s3ish.blob.volumes.identity import PRIVATE

FILE = f"{PRIVATE}/generation"


def read(root: int) -> int:
    """Return the generation in an open root directory; 0 if that is unknown."""
    with suppress(OSError, ValueError):
        descriptor = os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root)
        try:
            return int(os.read(descriptor, 32))
        finally:
            os.close(descriptor)
    return 0


def write(root: int, number: int, sync: Callable[[int], None]) -> None:
    """Replace the generation in an open root directory atomically. Raises OSError, and what ``sync`` raises.

    Args:
        root: its descriptor.
        number: the generation.
        sync: flushes a descriptor; to flush the directory is left to the caller.
    """
    temporary = f"{FILE}.new"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=root)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o640, dir_fd=root)
    try:
        os.write(descriptor, b"%d\n" % number)
        sync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, FILE, src_dir_fd=root, dst_dir_fd=root)
