"""The worlds of a server for tests: one for each access key ``test-<name>`` that came, and one for all other keys.

A world of its own begins, with the first request for it, as the main one did at start. So the processes of a test run,
and the runs on a shared server, need no prefixes: each uses a key of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar

import structlog

from s3ish.config import Settings
from s3ish.engines import users
from s3ish.errors import S3Error, ServiceUnavailable
from s3ish.server import test_controls
from s3ish.server.claimed_world import MAIN, NAME, claimed_world, claimed_world_of_form, is_form
from s3ish.server.faulty_sends import answer_whole
from s3ish.server.pipeline import S3Application
from s3ish.wire.shape import Written

log = structlog.get_logger()

_LOOK_SECONDS = 30.0
"""How often idle worlds are looked for, at the most."""

Refuse = Callable[..., Written]
"""See ``S3Application.refuse``."""


class World(test_controls.World, Protocol):
    """A world that requests come to."""

    @property
    def idle_seconds(self) -> float:
        """For how long it has not been used."""

    def touch(self) -> None:
        """Take note that it is used now."""

    def request(self) -> AbstractAsyncContextManager[S3Application]:
        """Lend what answers, to a request. Raises S3Error."""

    async def end(self) -> None:
        """The server ends."""

    async def remove(self) -> None:
        """Nothing of it is to stay. Raises S3Error."""


W = TypeVar("W", bound=World)


class Worlds(Generic[W]):
    """See the module.

    Args:
        main: the world of all other keys.
        make: returns the world of a key, begun. Raises S3Error.
    """

    def __init__(self, settings: Settings, main: W, make: Callable[[str], Awaitable[W]]) -> None:
        self._most, self._idle_seconds = settings.test.worlds, settings.test.world_idle_seconds
        self.main, self._make = main, make
        self._configured = {MAIN, *(user.access_key for user in users(settings))}
        self._own: dict[str, W] = {}
        self._making = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None

    async def begin(self, names: Sequence[str] = ()) -> None:
        """Let requests come; some worlds are there already. Raises S3Error."""
        for name in names:
            self._own[name] = await self._make(name)
        self._looking = asyncio.create_task(self._look())

    async def end(self) -> None:
        """End all worlds."""
        if self._looking:
            self._looking.cancel()
            await asyncio.wait([self._looking])  # what it was removing is there again then
        for world in (*self._own.values(), self.main):
            await world.end()
        self._own.clear()

    @property
    def names(self) -> list[str]:
        """The access keys whose worlds there are."""
        return sorted(self._own)

    async def of(self, name: str) -> W:
        """Return the world of an access key, begun if it is new. Those of settings, and ``MAIN``, are of the main one.

        Raises:
            ValueError: it is no key that may have one.
            ServiceUnavailable: there are too many.
        """
        if name in self._configured:
            return self.main
        world = self._own.get(name)
        if world is None:
            if not NAME.fullmatch(name):
                raise ValueError("a world is named by its access key: test-, and up to 64 letters, digits and .-_")
            async with self._making:
                world = self._own.get(name) or await self._begun(name)
        world.touch()
        return world

    async def remove(self, name: str) -> None:
        """Take a world away. Raises LookupError: there is none of that key; S3Error: it is still there."""
        if name not in self._own:
            raise LookupError(f"there is no world {name!r}")
        async with self._making:
            await self._take_away(name)

    async def answer(self, scope: Any, receive: Any, send: Any, refuse: Refuse) -> None:
        """Answer a request for S3, in the world that it names.

        Args:
            refuse: writes what is answered to one that no world takes.
        """
        name = claimed_world(scope)
        if name == MAIN and is_form(scope):
            name, scope, receive = await claimed_world_of_form(scope, receive)
        try:
            world = await self.of(name)
        except S3Error as error:
            await _send_refusal(scope, send, refuse, error)
            return
        async with world.request() as s3:
            await answer_whole(s3, scope, receive, send)

    async def _begun(self, name: str) -> W:
        await self._remove_idle()
        if len(self._own) >= self._most:
            raise ServiceUnavailable(f"There are {self._most} worlds of keys test-<name> already (test.worlds).")
        world = self._own[name] = await self._make(name)
        return world

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(min(_LOOK_SECONDS, self._idle_seconds))
            async with self._making:
                await self._remove_idle()

    async def _remove_idle(self) -> None:
        for name, world in list(self._own.items()):
            if world.idle_seconds >= self._idle_seconds:
                try:
                    await self._take_away(name)
                except S3Error as error:  # it is tried again
                    log.warning("a world of tests cannot be removed", world=name, error=error.message)

    async def _take_away(self, name: str) -> None:
        """Remove a world; requests that come to it meanwhile wait for the next one of its name."""
        if world := self._own.pop(name, None):
            try:
                await world.remove()
            except BaseException:
                self._own[name] = world
                raise


async def _send_refusal(scope: Any, send: Any, refuse: Refuse, error: S3Error) -> None:
    client = (scope.get("client") or ("",))[0]
    written = refuse(error, scope["raw_path"].decode("latin-1"), client, answered=True)
    headers = [(name.encode(), value.encode()) for name, value in written.headers]
    headers += [(b"content-length", b"%d" % len(written.body)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": written.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else written.body})
