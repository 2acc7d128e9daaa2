"""A server without its HTTP side on simulated disks, an index in memory, a seeded clock; and its image after a crash.

An image is what a restart finds: the trees of the disks and the rows of the index. The running machine goes on after
an image has been taken of it, so that one run gives the image of a crash at each of its steps.
"""

import hashlib
import logging
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import pytest
import structlog

from s3ish.blob.erasure import coder, core, sidecar
from s3ish.blob.erasure.core import BlobSettings
from s3ish.blob.erasure.store import ErasureStore
from s3ish.blob.volumes import folders, volume
from s3ish.blob.volumes.flusher import Flusher
from s3ish.blob.volumes.identity import Identity
from s3ish.blob.volumes.volume import Volume
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.blob.wrappers.unsealed import UnsealedStore
from s3ish.clock import Clock
from s3ish.index.memory import MemoryIndex, Rows
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.orphans import SweepJob
from s3ish.integrity.startup import recover
from s3ish.model import Link
from s3ish.objects import ingest, multipart, worlds
from s3ish.objects.encodings import cipher
from s3ish.objects.encodings.keyring import Keyring
from s3ish.objects.pins import part_of
from s3ish.objects.store import Store
from s3ish.tables import records
from s3ish.tables.catalogue import TABLES
from s3ish.threads import InlinePool
from tests.blob.support import PlainTree
from tests.objects.encodings.toy import encodings, toy
from tests.sim.disk import Disk, Kept, System
from tests.witness import witnessed

STRIPE, INLINE = 64, 16
START_NS = 1_700_000_000_000_000_000
TICK_NS, TICK_DRAWS = 10**12, 10**4
"""A machine boots at the next of these, so that images that are alike go on alike."""


NEVER_SECONDS = 1e6
"""After which the flusher of a machine flushes by itself: the time that a run takes must not count."""


class Image(NamedTuple):
    """What a crash leaves: each disk as path -> bytes (None: a folder), the index's rows, the clock, the ids drawn."""

    trees: tuple
    rows: frozenset = frozenset()
    ns: int = START_NS
    draws: int = 0

    @property
    def key(self):
        """Equal for images between which a restart cannot tell."""
        return (*(frozenset(tree.items()) for tree in self.trees), self.rows)


def blank(volumes):
    """Return the image of a new machine."""
    return Image(({},) * volumes)


class SimClock(Clock):
    """Time and ids that are the same in every run: each look at the clock takes a millisecond."""

    def __init__(self, ns, draws):
        super().__init__()
        self.ns, self.draws = ns, draws

    def now_ns(self):
        self.ns += 1_000_000
        return self.ns

    def random_bytes(self, count):
        self.draws += 1
        return hashlib.shake_128(self.draws.to_bytes(8, "big")).digest(count)


class SimIndex(MemoryIndex):
    """An index whose commits are steps: a crash at one finds it undone, a crash at the next finds it durable."""

    def __init__(self, machine, rows):
        tables = {}
        for layout in TABLES.layouts:
            values = {key: value for name, key, value in rows if name == layout.name}
            tables[layout.name] = Rows(sorted(values), values)
        super().__init__(TABLES.layouts, tables)
        self._machine, self._seen = machine, rows

    async def commit(self, changes, expect=()):
        self._machine.step("commit")
        await super().commit(changes, expect)
        self._seen = None

    @property
    def rows(self):
        if self._seen is None:
            tables = self.snapshot()
            self._seen = frozenset((table, *row) for table, rows in tables.items() for row in rows.values.items())
        return self._seen


class Machine:
    """A machine that boots from an image.

    Args:
        system: its operating system.
        lost: positions of volumes that are out of reach.

    ``watch(name)`` is called before every step.
    """

    index_type = SimIndex
    encoding = ()

    def __init__(self, system, image, lost=()):
        self.clock = SimClock((image.ns // TICK_NS + 1) * TICK_NS, (image.draws // TICK_DRAWS + 1) * TICK_DRAWS)
        self.watch = None
        self.disks = [Disk(self, tree) for tree in image.trees]
        self.index = self.index_type(self, image.rows)
        self.system = system
        count = len(self.disks)
        volumes = [
            None
            if position in lost
            else Volume(f"/volume{position}", system.mount(disk), Identity("set", position, count, f"volume{position}"))
            for position, disk in enumerate(self.disks)
        ]
        blobs = ErasureStore(
            Volumes(volumes),
            BlobSettings(k=2, m=1, stripe_bytes=STRIPE, inline_bytes=INLINE),
            clock=self.clock,
            offload=InlinePool(),
        )
        blobs.core.flusher = Flusher(blobs.volumes, blobs.core.run, delay_seconds=NEVER_SECONDS)
        blobs.core.watch.soon = lambda: None  # nothing hangs here, and nobody waits for its timer
        keyring = Keyring([b"m" * 32], self.clock.random_bytes)
        self.store = Store(
            self.index,
            blobs,
            self.clock,
            blobs.core.offload,
            "us-east-1",
            encodings=encodings(self.encoding).having({cipher.NAME: cipher.codec_of(keyring)}),
            keyring=keyring,
            upkeep=blobs.upkeep,
            piece_bytes=STRIPE,
        )

    def step(self, name):
        if self.watch:
            self.watch(name)

    def image(self, choice=None):
        """Return what a crash at this moment leaves; without a choice, what a clean stop leaves."""
        choice = choice or Kept()
        trees = tuple(disk.survivors(choice) for disk in self.disks)
        return Image(trees, self.index.rows, self.clock.ns, self.clock.draws)

    async def start(self):
        """Do what a server does before its first request."""
        await recover(self.store)

    async def work(self):
        """Do what a server does in the background, to the end."""
        inside = [GarbageJob(Inside(self, name).store) for name in await worlds.listed(self.store)]
        for job in (*inside, GarbageJob(self.store), SweepJob(self.store, self.clock.now_ns())):
            while (await job.step()).more:
                pass

    async def flush(self):
        """Let the second pass after which nothing waits to be flushed."""
        await self.store.blobs.core.flusher.close()

    async def off(self):
        """End: no timer and no descriptor of this machine is left."""
        self.watch = None
        await self.flush()
        self.store.blobs.volumes.close()
        for disk in self.disks:
            self.system.forget(disk)


class Inside:
    """A machine as one of its worlds sees it."""

    def __init__(self, machine, name):
        whole = machine.store
        self.encoding = machine.encoding
        self.store = Store(
            part_of(whole.index, name),
            UnsealedStore(whole.blobs),
            whole.clock,
            whole.offload,
            whole.region,
            encodings=whole.encodings,
            keyring=whole.keyring,
            upkeep=whole.upkeep,
            piece_bytes=STRIPE,
        )


class EncodingMachine(Machine):
    """Stores other bytes than it is given, and more of them."""

    encoding = (toy(),)


class EncryptingMachine(Machine):
    """Encrypts what it is given, under a master key that all machines have."""

    encoding = (Link(cipher.NAME, {}),)


@contextmanager
def simulated():
    """The system on which machines run, in the place of the real one."""
    with pytest.MonkeyPatch.context() as patch, _silence(), witnessed():
        system = System()
        patch.setattr(volume, "os", system)
        patch.setattr(folders, "os", system)
        patch.setattr(volume, "Tree", PlainTree)
        patch.setattr(volume, "syncfs", system.syncfs)
        patch.setattr(volume, "_sync_file_range", None)  # it promises nothing
        patch.setattr(ingest, "FREE_BYTES", INLINE)  # so that what is longer counts as short, not as next to nothing
        for module, pure in ((coder, "coder"), (sidecar, "decode"), (records, "decode")):  # for speed
            patch.setattr(module, pure, lru_cache(10_000)(getattr(module, pure)))
        patch.setattr(core, "coder", coder.coder)
        patch.setattr(multipart, "MIN_PART_BYTES", 0)
        yield system


@contextmanager
def _silence():
    """Let nothing be logged."""
    old = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**old)
