"""A worker process: forked from the supervisor where that is safe, so that it begins at once and shares its memory.

A process with one thread can be forked: what its other threads hold would be held for ever in the child. So where a
thread of the supervisor waits for a drive that does not answer, the worker begins as a new program instead, which takes
a second longer. So it does where a drive may have stopped answering: the child would wait when it closes what it got.
"""

import gc
import multiprocessing
import pickle
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from socket import socket
from typing import Any

import uvicorn
import uvicorn.lifespan.on
import uvicorn.loops.uvloop
from uvicorn.supervisors.multiprocess import SIGNALS, Process

from s3ish.clock import Clock

_SILENT_SECONDS = 30.0
"""How long a worker may leave the question unanswered whether it lives: a machine with too much to do is slow."""

_fork = multiprocessing.get_context("fork")


class Worker(Process):
    """A process that serves.

    Args:
        config: what it runs.
        sockets: where it listens.
        clock: tells how long it has not answered.
        release: called in a forked process: closes what only the supervisor is to hold, its locks above all.
        may_fork: whether no drive is suspected of not answering.

    ``ready`` says whether it served when it was last heard of.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket],
        clock: Clock,
        release: Callable[[], None],
        *,
        may_fork: bool = True,
    ) -> None:
        super().__init__(config, sockets)
        self.ready = False
        self._clock = clock
        self._asked: float | None = None
        self._mask: set[Any] = set()
        self._forks = may_fork and threading.active_count() == 1
        if self._forks:
            self.process = _fork.Process(target=self._begin, args=(sockets, release))  # type: ignore[assignment]

    def start(self) -> None:
        """Begin."""
        if not self._forks:
            super().start()
            return
        gc.freeze()  # memory stays shared until it is written to, and the collector writes to it
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def is_alive(self, timeout: float = _SILENT_SECONDS) -> bool:
        """Whether the process is there, and has not left a question unanswered for too long. Does not wait."""
        if not self.process.is_alive():
            return False
        try:
            if self._asked is None:
                self.parent_conn.send(b"ping")
                self._asked = self._clock.monotonic()
            if self.parent_conn.poll(0):
                self.ready = self.parent_conn.recv()
                self._asked = None
        except (OSError, EOFError, pickle.UnpicklingError):
            return False
        return self._asked is None or self._clock.monotonic() - self._asked < timeout

    def always_pong(self) -> None:
        """Answer the supervisor, on a thread of the worker, until the supervisor closes the pipe."""
        with suppress(EOFError, OSError):
            super().always_pong()

    def hang_up(self) -> None:
        """Close this process's ends of the pipes to it."""
        self.parent_conn.close()
        self.child_conn.close()

    def _begin(self, sockets: list[socket], release: Callable[[], None]) -> None:
        """Serve, as a process that was forked: with none of the supervisor's signal handlers, locks and pipes."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # of a terminal, to all processes: the supervisor tells its workers
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        release()
        self.parent_conn.close()
        self.target(sockets)
