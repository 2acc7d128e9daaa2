"""The worlds of a server for tests: one for each access key ``test-<name>`` that came, and one for all other keys.

A world of its own begins, with the first request for it, as the main one did at start. So the processes of a test run,
and the runs on a shared server, need no prefixes: each uses a key of its own.
"""

import asyncio

from s3ish.engines import users
from s3ish.errors import ServiceUnavailable
from s3ish.server.claimed_world import MAIN, NAME
from s3ish.world import Shared, World

_LOOK_SECONDS = 30.0
"""How often idle worlds are looked for, at the most."""


class Worlds:
    """See the module.

    Args:
        shared: what they have in common.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._most, self._idle_seconds = shared.settings.test.worlds, shared.settings.test.world_idle_seconds
        self.main = World(shared)
        self._configured = {MAIN, *(user.access_key for user in users(shared.settings))}
        self._own: dict[str, World] = {}
        self._looking: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Begin the main world. Raises CannotFurnish."""
        await self.main.begin()
        self._looking = asyncio.create_task(self._look())

    async def end(self) -> None:
        """End all worlds."""
        if self._looking:
            self._looking.cancel()
        for name in list(self._own):
            await self.remove(name)
        await self.main.end()

    @property
    def names(self) -> list[str]:
        """The access keys whose worlds there are."""
        return sorted(self._own)

    async def of(self, name: str) -> World:
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
            await self._remove_idle()
            if len(self._own) >= self._most and name not in self._own:
                raise ServiceUnavailable(f"There are {self._most} worlds of keys test-<name> already (test.worlds).")
            begun = World(self._shared, name)
            await begun.begin(self.main.start)
            world = self._own.setdefault(name, begun)
        world.touch()
        return world

    async def remove(self, name: str) -> None:
        """Take a world away. Raises LookupError: there is none of that key."""
        if name not in self._own:
            raise LookupError(f"there is no world {name!r}")
        await self._own.pop(name).end()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(min(_LOOK_SECONDS, self._idle_seconds))
            await self._remove_idle()

    async def _remove_idle(self) -> None:
        for name in [name for name, world in self._own.items() if world.idle_seconds >= self._idle_seconds]:
            await self.remove(name)
