"""A gate that jobs on threads pass, and that is shut when what they work on must go away.

A cancelled coroutine leaves its thread running. The gate makes that harmless: files are closed or removed only when
no job is inside, and no job enters afterwards. A job that was given up, because it hangs, may stay inside for ever:
nobody waits for it, and the files stay open as long.
"""

import threading
from collections.abc import Callable

from s3ish.threads import is_given_up

_LOOK_SECONDS = 0.5
"""How often who waits looks whether those inside were given up."""


class ShutError(Exception):
    """The gate is shut: the blob was given up while a job was waiting for its thread."""


class FileGuard:
    """A gate; use it as the context of each job.

    Args:
        release: called when the gate is shut and the last job has left.
    """

    def __init__(self, release: Callable[[], None]) -> None:
        self._release = release
        self._inside: set[int] = set()
        self._shut = False
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            if self._shut:
                raise ShutError
            self._inside.add(threading.get_ident())

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside.discard(threading.get_ident())
            last = self._shut and not self._inside
            self._changed.notify_all()
        if last:
            self._let_go()

    def shut(self) -> None:
        """Let no caller in; idempotent, and does not wait for who is inside."""
        with self._changed:
            idle = not self._shut and not self._inside
            self._shut = True
        if idle:
            self._let_go()

    def drain(self) -> None:
        """Shut, and wait until none is inside but those that were given up."""
        with self._changed:
            self._shut = True
            while not all(map(is_given_up, self._inside)):
                self._changed.wait(_LOOK_SECONDS)
            idle = not self._inside
        if idle:
            self._let_go()

    def _let_go(self) -> None:
        """Release once, and forget the owner: what refers to each other stays in memory until it is searched for."""
        release, self._release = self._release, _nothing
        release()


def _nothing() -> None:
    pass
