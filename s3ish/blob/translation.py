"""What the errors of the system mean for an open volume: there an ``OSError`` becomes a ``BlobError`` here alone."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from s3ish.blob.protocol import Full, Missing, VolumeError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def translated(volume: object, what: str) -> Iterator[None]:
    """Turn an OSError into Missing, Full or VolumeError.

    Args:
        volume: where it happens, for the message; made a string only then.
        what: the path or thing that is worked on.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise Missing(f"{volume}: {what!r}") from error
    except OSError as error:
        if error.errno in NO_ROOM:
            raise Full(f"{volume}: {error.strerror}") from error
        raise VolumeError(f"{volume}: {what!r}: {error.strerror}") from error
