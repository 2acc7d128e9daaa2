"""Running the application of the profile for tests: one process, no supervisor, nothing on a drive."""

import asyncio
import functools
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

import structlog
import uvicorn

from s3ish.config import Settings
from s3ish.http.certificates import Certificates
from s3ish.process.hooks import find_hooks, private_socket, run_hooks
from s3ish.process.serve import BACKLOG, configure, listen

log = structlog.get_logger()


class Prepared(Protocol):
    """An application that scripts may prepare; ``failure`` is why it could not begin, as far as it knows."""

    failure: str

    def begun(self) -> None:
        """It is as it is to be: a reset comes back to this."""


class _Preparation(NamedTuple):
    """What is done before others reach the server, where it listens to them then, and how it speaks to them."""

    run: Callable[[], Awaitable[None]]
    bound: socket.socket
    config: uvicorn.Config


def serve(
    settings: Settings,
    application: Prepared,
    bound: socket.socket,
    announce: Callable[[], None],
    certificates: Certificates | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP.

    Args:
        settings: all settings.
        application: what answers.
        bound: where it listens.
        announce: called when it can take the first request.
        certificates: of TLS; None for plain HTTP, which scripts of the start have in any case.

    Raises:
        CannotListen: another server was faster.
        HookFailed: a script of the start has failed.
        ChildProcessError: it cannot begin; the text says why, or the log.
    """
    preparation, sockets = None, [bound]
    if hooks := find_hooks(settings):
        private = private_socket()

        async def prepare() -> None:
            await run_hooks(hooks, settings, private)
            application.begun()

        preparation, sockets = (
            _Preparation(prepare, bound, configure(settings, lambda: application, certificates)),
            [private],
        )
        certificates = None
    else:
        listen(bound)
    server = Announced(configure(settings, lambda: application, certificates), announce, preparation)

    def end(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    try:
        server.run(sockets=sockets)
    except SystemExit as failed:
        reason = application.failure or "the log says why"
        raise ChildProcessError(f"the server cannot begin: {reason}") from failed
    if server.failure:
        raise server.failure


class Announced(uvicorn.Server):
    """A server that says when it serves.

    Args:
        config: what it runs.
        announce: called when others can reach it.
        preparation: what comes before that.

    ``failure`` is why it could not be prepared.
    """

    def __init__(
        self, config: uvicorn.Config, announce: Callable[[], None], preparation: _Preparation | None = None
    ) -> None:
        super().__init__(config)
        self._announce, self._preparation = announce, preparation
        self.failure: OSError | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See ``uvicorn.Server.startup``."""
        await super().startup(sockets)
        if not self.started:
            return
        if self._preparation:
            try:
                await self._preparation.run()
                await self._open(self._preparation)
            except OSError as failure:
                self.failure, self.should_exit = failure, True
                await self.shutdown(sockets)
                return
        self._announce()

    async def _open(self, preparation: _Preparation) -> None:
        """Take connections there too, in place of where scripts came. Raises OSError: another server was faster."""
        kind: Any = preparation.config.http
        protocol = functools.partial(
            kind,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        listen(preparation.bound)
        loop = asyncio.get_running_loop()
        others = self.servers
        self.servers = [await loop.create_server(protocol, sock=preparation.bound, backlog=BACKLOG)]
        for server in others:
            server.close()
