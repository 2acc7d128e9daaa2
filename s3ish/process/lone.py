"""The process that serves alone: one directory and one worker need no supervisor."""

import signal
import socket
from collections.abc import Callable

import structlog
import uvicorn

from s3ish.clock import Clock
from s3ish.process.supervisor import ATTEMPTS, Remedy

log = structlog.get_logger()

_LEAVE_SECONDS = 1
"""How long requests may take to end when the index is damaged: reads of it fail, and so will they."""


_LASTING_SECONDS = 600.0
"""A server that failed after so long has gone on well before: this is another failure."""


class Lone:
    """A process that serves alone. If the index is damaged it rebuilds it where it is, and goes on.

    Args:
        configure: returns what to run, given how to leave.
        bound: where it listens.
        remedy: for an index that is damaged.
        clock: tells how long it served.
        hang_up: what SIGHUP is for; None if it ends the server.
    """

    def __init__(
        self,
        configure: Callable[[Callable[[], None]], uvicorn.Config],
        bound: socket.socket,
        remedy: Remedy,
        clock: Clock,
        hang_up: Callable[[], None] | None = None,
    ) -> None:
        self._configure, self._bound, self._remedy, self._clock = configure, bound, remedy, clock
        self._hang_up = hang_up
        self._server: uvicorn.Server | None = None
        self._ended = self._left = False

    def run(self, announce: Callable[[], None]) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP. Raises ChildProcessError if it cannot, and what the remedy raises."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                signal.signal(number, self._on_signal)  # uvicorn raises it again when all is done
        self._server = uvicorn.Server(self._configure(self._leave))
        announce()
        clock, failures = self._clock, 0
        while True:
            begun = clock.monotonic()
            if self._went_well() or self._ended:
                return
            failures = failures + 1 if clock.monotonic() - begun < _LASTING_SECONDS else 1
            if failures > ATTEMPTS:
                raise ChildProcessError("the server cannot go on; the log says why")
            log.error("the index cannot be used; it is looked through, and rebuilt if it is damaged")
            with self._remedy.answering(self._bound):
                self._remedy.make_ready(self._left)
            self._left = False
            self._server = uvicorn.Server(self._configure(self._leave))

    def _went_well(self) -> bool:
        """Serve; tell whether that was all there is to do."""
        assert self._server, "run makes it"
        try:
            self._server.run(sockets=[self._bound.dup()])  # it closes them
        except SystemExit:  # it could not begin
            return False
        return not self._left

    def _on_signal(self, number: int, _frame: object) -> None:
        if number == signal.SIGHUP and self._hang_up:
            self._hang_up()
            return
        self._ended = True
        if self._server:
            self._server.should_exit = True

    def _leave(self) -> None:
        self._left = True
        if self._server:
            self._server.config.timeout_graceful_shutdown = _LEAVE_SECONDS
            self._server.should_exit = True
