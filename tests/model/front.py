"""A world for the model, with a master key and named keys, and the door to it."""

from s3ish.objects import named_keys
from s3ish.objects.encodings.keyring import Keyring
from tests.model.door import Door
from tests.model.state import NAMED
from tests.objects.support import SteadyClock, World

START_NS = (1_700_000_000 // 86_400 * 86_400 + 3600) * 10**9
"""One o'clock at night. What ends does so at noon or midnight, time goes on in steps of half a day: no step of the
clock within a request decides."""


class Front:
    """A world, and the application that answers for its store.

    Args:
        folder: of its volumes and its index.
    """

    def __init__(self, folder):
        self.arns = {}
        self.clock = SteadyClock()
        self.clock.ns = START_NS
        self.world = World(folder, clock=self.clock, keyring=Keyring([b"m" * 32], self.clock.random_bytes))

    async def open(self):
        """Start on what there is."""
        self.store = self.world.open()
        self._door = Door(self.store)
        for name, alias in NAMED.items():
            self.arns[name] = named_keys.arn_of(self.store, await named_keys.ensure(self.store, alias))

    async def close(self):
        """Stop."""
        await self.store.settle()
        await self.world.close()

    async def ask(self, *arguments, **named):
        """Send a request; see ``Door.ask``."""
        return await self._door.ask(*arguments, **named)
