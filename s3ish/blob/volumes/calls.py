"""The calls of the system that are under way on one volume, and what their errors mean.

Here alone an ``OSError`` of an open volume becomes a ``BlobError``. A call that a drive does not answer cannot be ended
from outside: its thread stays in it until the kernel gives up. So the volume is left alone instead (see watch.py): no
further call enters it, and the jobs that are in one are given up.
"""

import errno
import os
from threading import get_ident

from s3ish.blob.protocol import Away, BlobError, Missing, VolumeError, VolumesFull
from s3ish.blob.volumes.trouble import Trouble
from s3ish.threads import stop_if_given_up

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Calls:
    """The calls that are under way on one volume.

    Args:
        volume: its name, for messages.

    ``hung`` says that the volume does not answer: no call enters it. ``trouble`` is what tests have made wrong with it.
    """

    def __init__(self, volume: str) -> None:
        self.volume = volume
        self.hung = False
        self.trouble = Trouble()
        self.under_way: dict[int, Call] = {}
        self._stuck: set[Call] = set()

    def to(self, what: str, *, slow: bool = False) -> "Call":
        """Return the context of a call that works on a path or thing; ``slow`` if it may take however long."""
        return Call(self, what, slow)

    def advance(self) -> None:
        """Say that the caller's call has come further: it does not hang."""
        if call := self.under_way.get(get_ident()):
            call.steps += 1

    def leave_alone(self) -> list[int]:
        """Let no call in any more. Returns the threads that are in one."""
        self.hung = True
        threads = []
        for thread in list(self.under_way):
            if call := self.under_way.pop(thread, None):
                self._stuck.add(call)
                threads.append(thread)
        return threads

    @property
    def stuck(self) -> bool:
        """Whether a call that was under way when the volume was left alone has not come back."""
        return bool(self._stuck)

    def enter(self, call: "Call") -> None:
        """A call begins. Raises Away if the volume does not answer."""
        stop_if_given_up()
        if self.hung:
            raise Away(f"{self.volume} does not answer")
        self.begin(call)
        if self.trouble.kind != "ok":
            self._meet_trouble(call)

    def _meet_trouble(self, call: "Call") -> None:
        try:
            self.trouble.meet_call()
        except BaseException:
            self.leave(call)
            raise

    def begin(self, call: "Call") -> None:
        """A call begins that is not refused."""
        self.under_way[get_ident()] = call

    def leave(self, call: "Call") -> None:
        """A call has come back."""
        if self.under_way.pop(get_ident(), None) is not call:
            self._stuck.discard(call)


class Call:
    """The context of one call, which turns an OSError into Missing, Full or VolumeError."""

    __slots__ = ("_calls", "_what", "slow", "steps")

    def __init__(self, calls: Calls, what: str, slow: bool) -> None:
        self._calls, self._what = calls, what
        self.slow, self.steps = slow, 0

    def __enter__(self) -> None:
        self._calls.enter(self)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._calls.leave(self)
        if isinstance(error, OSError):
            raise self._translated(error) from error

    def _translated(self, error: OSError) -> BlobError:
        if isinstance(error, FileNotFoundError):
            return Missing(f"{self._calls.volume}: {self._what!r}")
        if error.errno in NO_ROOM:
            return VolumesFull(f"{self._calls.volume}: {error.strerror}")
        return VolumeError(f"{self._calls.volume}: {self._what!r}: {reason(error)}")


def reason(error: OSError) -> str:
    """Return what is wrong; if a right is missing, also who needs it: in a container it is a user of its own."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{error.strerror}; the user with id {os.geteuid()} needs the right to read and write it"
    return error.strerror or str(error)
