"""A server on a thread of the process of a test, with everything in memory."""

import asyncio
from collections.abc import Sequence
from threading import Event
from typing import Self

import uvicorn
from msgspec.structs import replace

from s3ish.config import AuthSettings, Secret, ServerSettings, Settings, StorageSettings, TestSettings
from s3ish.process.serve import bind, configure, listen
from s3ish.process.serve_memory import Announced
from s3ish.testing.running import Running
from s3ish.threads import OwnThread
from s3ish.worlds.memory_app import MemoryApplication

_START_SECONDS = 30
_LOOK_SECONDS = 0.001


class Server(Running):
    """A server of this process, on a thread of its own; nothing outlives it.

    Args:
        port: where it listens on loopback; 0 for any free port.
        access_key, secret_key: the root user's keys.
        buckets: made before it serves: ``name[:public][:versioned][:lock]``.
        seed: a folder of folders, one a bucket, whose files become objects.
        region: what it says its region is; it takes signatures for any.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        access_key: str = "test",
        secret_key: str = "test",  # noqa: S107 - it serves this machine, for the time of a test
        buckets: Sequence[str] = (),
        seed: str = "",
        region: str = "us-east-1",
    ) -> None:
        super().__init__("", access_key, secret_key, region)
        self._port = port
        names = (buckets,) if isinstance(buckets, str) else tuple(buckets)
        self._settings = replace(
            Settings(),
            server=ServerSettings(port=port, workers=1, region=region, shutdown_seconds=1),
            storage=StorageSettings(default_buckets=names, seed=seed),
            auth=AuthSettings(access_key=access_key, secret_key=Secret(secret_key)),
            test=TestSettings(profile=True),
        )
        self._server: uvicorn.Server | None = None
        self._application: MemoryApplication | None = None
        self._thread: OwnThread | None = None

    def start(self) -> Self:
        """Serve; returned is the server itself. Raises RuntimeError if it cannot, CannotListen if the port is taken."""
        self._begin().wait(_START_SECONDS)
        return self._begun()

    def _begin(self) -> Event:
        """Begin on a thread. Returns what is set when it serves, or cannot. Raises CannotListen, RuntimeError."""
        if self._server:
            raise RuntimeError("the server serves already: make another one")
        bound = bind("127.0.0.1", self._port)
        try:
            listen(bound)
        except BaseException:
            bound.close()
            raise
        self.endpoint = f"http://127.0.0.1:{bound.getsockname()[1]}"
        settled = Event()
        application = self._application = MemoryApplication(self._settings)
        config = configure(self._settings, lambda: application)
        server = self._server = Announced(config, settled.set)

        def run() -> None:
            try:
                server.run(sockets=[bound])
            except SystemExit:  # said by its lifespan
                pass
            finally:
                bound.close()
                settled.set()

        self._thread = OwnThread("s3ish test server", run)
        return settled

    def _begun(self) -> Self:
        """Return itself, if it serves. Raises RuntimeError."""
        if self._server is None or not self._server.started:
            self.stop()
            reason = self._application.failure if self._application else ""
            raise RuntimeError(f"the server cannot begin: {reason or 'the log says why'}")
        return self

    def stop(self) -> None:
        """End it, and all connections to it."""
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        settled = self._begin()
        async with asyncio.timeout(_START_SECONDS):
            while not settled.is_set():  # noqa: ASYNC110 - a thread sets it
                await asyncio.sleep(_LOOK_SECONDS)
        return self._begun()

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.should_exit = True
        while self._thread and not self._thread.ended:  # noqa: ASYNC110 - as above
            await asyncio.sleep(_LOOK_SECONDS)
        self.stop()
