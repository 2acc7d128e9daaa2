"""The process that serves alone: one directory and one worker need no supervisor."""

import signal
import socket
from collections.abc import Callable

import structlog
import uvicorn

from s3ish.process.supervisor import ATTEMPTS, Remedy

log = structlog.get_logger()

_LEAVE_SECONDS = 1
"""How long requests may take to end when the index is damaged: reads of it fail, and so will they."""


class Lone:
    """A process that serves alone. If the index is damaged it rebuilds it where it is, and goes on.

    Args:
        configure: returns what to run, given how to leave.
        bound: where it listens.
        remedy: for an index that is damaged.
    """

    def __init__(
        self, configure: Callable[[Callable[[], None]], uvicorn.Config], bound: socket.socket, remedy: Remedy
    ) -> None:
        self._configure, self._bound, self._remedy = configure, bound, remedy
        self._server: uvicorn.Server | None = None
        self._ended = self._left = False

    def run(self, announce: Callable[[], None]) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP. Raises ChildProcessError if it cannot, and what the remedy raises."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                signal.signal(number, lambda *_: self._end())  # uvicorn raises it again when all is done
        for attempt in range(ATTEMPTS + 1):
            if attempt:
                log.error("the index is damaged; it is looked through, and rebuilt")
                with self._remedy.answering(self._bound):
                    self._remedy.make_ready(True)
            self._left = False
            self._server = uvicorn.Server(self._configure(self._leave))
            if not attempt:
                announce()
            try:
                self._server.run(sockets=[self._bound.dup()])  # it closes them
            except SystemExit as failed:
                if not self._left:
                    raise ChildProcessError("the server cannot begin; the log says why") from failed
            if self._ended or not self._left:
                return
        raise ChildProcessError("the index is damaged again and again; the log says more")

    def _end(self) -> None:
        self._ended = True
        if self._server:
            self._server.should_exit = True

    def _leave(self) -> None:
        self._left = True
        if self._server:
            self._server.config.timeout_graceful_shutdown = _LEAVE_SECONDS
            self._server.should_exit = True
