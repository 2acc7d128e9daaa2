"""A file: each message is a line, flushed to the drive before the message counts as taken.

The file is opened for each batch, so that it can be renamed away at any time. A line that a kill has cut is ended
before the next one is written; the message in it is written again.
"""

import os
from collections.abc import Sequence

from s3ish.targets.protocol import Message, Undelivered
from s3ish.threads import ThreadPool


class File:
    """A file that messages are appended to.

    Args:
        offload: runs what waits for the drive.
        path: of the file, which is made if it is not there.
    """

    batch = 256
    in_flight = 1

    def __init__(self, offload: ThreadPool, path: str) -> None:
        self._offload, self._path = offload, path

    async def send(self, messages: Sequence[Message]) -> None:
        """See ``Target.send``."""
        try:
            await self._offload.run(self._append, b"".join(message.body + b"\n" for message in messages))
        except OSError as error:
            raise Undelivered(error.strerror or str(error)) from error

    def _append(self, lines: bytes) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            end = os.fstat(descriptor).st_size
            if end and os.pread(descriptor, 1, end - 1) != b"\n":
                lines = b"\n" + lines
            while lines:
                lines = lines[os.write(descriptor, lines) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    async def close(self) -> None:
        """See ``Target.close``."""
