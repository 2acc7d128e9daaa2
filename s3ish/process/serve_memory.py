"""Running the application of the profile for tests: one process, no supervisor, nothing on a drive."""

import signal
import socket
from collections.abc import Callable

import structlog
import uvicorn

from s3ish.config import Settings
from s3ish.process.serve import configure, listen

log = structlog.get_logger()


def serve(settings: Settings, application: object, bound: socket.socket, announce: Callable[[], None]) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP.

    Args:
        settings: all settings.
        application: what answers.
        bound: where it listens.
        announce: called when it can take the first request.

    Raises:
        CannotListen: another server was faster.
        ChildProcessError: it cannot begin; the log says why.
    """
    server = Announced(configure(settings, lambda: application), announce)
    listen(bound)

    def end(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    try:
        server.run(sockets=[bound])
    except SystemExit as failed:
        raise ChildProcessError("the server cannot begin; the log says why") from failed


class Announced(uvicorn.Server):
    """A server that says when it serves."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See ``uvicorn.Server.startup``."""
        await super().startup(sockets)
        if self.started:
            self._announce()
