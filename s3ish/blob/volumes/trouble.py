"""What is wrong with a volume on purpose, so that tests see what becomes of it; nothing unless a server was asked."""

import errno
import os
from threading import Event
from typing import Literal

from s3ish.threads import stop_if_given_up

Kind = Literal["full", "unflushed", "hanging", "ok"]
"""No room for anything more; every flush fails; no call comes back; nothing is wrong."""


class Trouble:
    """What is wrong with one volume. It is set on the event loop and met on threads."""

    def __init__(self) -> None:
        self.kind: Kind = "ok"
        self._over = Event()

    def set(self, kind: Kind) -> None:
        """Let it be that from now on; calls that hang come back."""
        over, self._over, self.kind = self._over, Event(), kind
        over.set()

    def meet_call(self) -> None:
        """A call to the volume begins: it may hang. Raises GivenUp if its job was given up meanwhile."""
        if self.kind == "hanging":
            self._over.wait()
            stop_if_given_up()

    def meet_write(self) -> None:
        """Something is about to be written. Raises OSError."""
        if self.kind == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def meet_flush(self) -> None:
        """Something is about to be flushed. Raises OSError."""
        if self.kind == "unflushed":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
