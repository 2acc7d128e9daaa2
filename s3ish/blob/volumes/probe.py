"""Whether a directory takes writes and answers at all.

Asked in child processes: a process that waits for a drive that does not answer cannot end before the drive does.
"""

import os
import select
import signal
from collections.abc import Sequence
from contextlib import suppress

from s3ish.blob.volumes.identity import PRIVATE

SILENT = "does not answer"
"""The state of a volume that does not."""

_FILE = f"{PRIVATE}/probe"
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def write_and_remove(root: int) -> None:
    """Write, flush and remove a small file below the root of a volume, given as a descriptor. Raises OSError."""
    descriptor = os.open(_FILE, _FLAGS, 0o600, dir_fd=root)
    try:
        os.write(descriptor, b"answers")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    with suppress(FileNotFoundError):  # of another process
        os.unlink(_FILE, dir_fd=root)


def probe(roots: Sequence[str], seconds: float) -> list[str]:
    """Return "ok" for each root of a volume that takes writes, else what is wrong with it.

    Args:
        roots: their paths.
        seconds: how long to wait for the next of them to answer.
    """
    children = [_ask(root) for root in roots]
    found = [SILENT] * len(roots)
    waiting = {answer: number for number, (_, answer) in enumerate(children)}
    poll = select.poll()
    for answer in waiting:
        poll.register(answer, select.POLLIN)
    while waiting and (ready := poll.poll(seconds * 1000)):
        for answer, _ in ready:
            found[waiting.pop(answer)] = os.read(answer, 1000).decode() or "unknown"
            poll.unregister(answer)
    for process, answer in children:
        os.close(answer)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, os.WNOHANG)
    return found


def _ask(root: str) -> tuple[int, int]:
    """Begin to ask for the state of a volume. Returns the process, and a pipe on which it answers."""
    receiver, sender = os.pipe()
    process = os.fork()
    if not process:
        try:
            os.closerange(0, 3)  # a reader of what the parent prints waits for their end
            os.write(sender, _state(root).encode())
        finally:
            os._exit(0)
    os.close(sender)
    return process, receiver


def _state(root: str) -> str:
    try:
        write_and_remove(os.open(root, os.O_RDONLY | os.O_DIRECTORY))
    except OSError as error:
        return f"takes no writes: {error.strerror}"
    return "ok"
