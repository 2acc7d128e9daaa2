"""A gate that jobs on threads pass, and that is shut when what they work on must go away.

A cancelled coroutine leaves its thread running. The gate makes that harmless: files are closed or removed only when
no job is inside, and no job enters afterwards.
"""

import threading
from collections.abc import Callable


class ShutError(Exception):
    """The gate is shut: the blob was given up while a job was waiting for its thread."""


class Gate:
    """A gate; use it as the context of each job.

    Args:
        release: called once, when the gate is shut and the last job has left.
    """

    def __init__(self, release: Callable[[], None]) -> None:
        self._release = release
        self._inside = 0
        self._shut = False
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            if self._shut:
                raise ShutError
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            last = self._shut and not self._inside
            self._changed.notify_all()
        if last:
            self._release()

    def shut(self) -> None:
        """Let nobody in any more; idempotent, and does not wait for who is inside."""
        with self._changed:
            idle = not self._shut and not self._inside
            self._shut = True
        if idle:
            self._release()

    def drain(self) -> None:
        """Shut, and wait until nobody is inside."""
        with self._changed:
            self._shut = True
            self._changed.wait_for(lambda: not self._inside)
