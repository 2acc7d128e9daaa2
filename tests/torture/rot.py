"""Rot: files of blobs and rows of the index are damaged, and no wrong byte is ever read, all is found, all is repaired.

``python -m tests.torture.rot --damages 10000 --rebuilds 100``. In each round up to m shards, copies of sidecars, and
rows of small objects are flipped, cut, grown, zeroed, deleted, or replaced by those of another blob. Everything is read
back and compared; a check must name exactly what was damaged; a scrub must leave every file as it was. Then more than m
shards of some blobs are damaged, which must be an error or the exact bytes. At last the index is deleted, cut or
overwritten: a damaged one never tells a wrong byte nor that something is absent, and a rebuilt one has every row that
there was.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import structlog

from s3ish.blob.erasure.layout import shard_name, sidecar_name
from s3ish.blob.protocol import BlobError
from s3ish.errors import InternalError, NoSuchBucket, NoSuchKey, NoSuchVersion, S3Error
from s3ish.index.protocol import Delete, IndexFailure, Put
from s3ish.integrity.inspect import Inspector
from s3ish.integrity.named_blobs import inventory
from s3ish.integrity.rebuild import rebuild
from s3ish.integrity.scrub import ScrubJob
from s3ish.model import Version
from s3ish.objects import buckets
from s3ish.observe.observer import Observer
from s3ish.tables import keys
from s3ish.tables.table import Named
from tests.objects.support import (
    INLINE,
    STRIPE,
    SteadyClock,
    World,
    add_part,
    begin,
    complete,
    copy_to,
    get,
    make_bucket,
    put,
    read_all,
    remove,
)
from tests.torture.powercut import IN_MEMORY

SHAPES = {1: (2, 1), 3: (2, 1), 5: (3, 2)}
"""Data and parity shards for so many volumes."""
SIZES = (1, INLINE - 1, INLINE, INLINE + 1, 500, STRIPE - 1, STRIPE, STRIPE + 1, 3 * STRIPE + 7)
OBJECTS = 24
TABLES = ("buckets", "versions", "current", "nulls", "inline", "uploads", "parts")
SCRUB_SECONDS = 86_400.0
ABSENT = (NoSuchBucket, NoSuchKey, NoSuchVersion)


class _Time(SteadyClock):
    """Both clocks go on together, and only when told."""

    def now_ns(self):
        return self.ns

    def monotonic(self):
        return self.ns / 1e9


class Rot:
    """A store full of objects, what they are, and the means to damage them.

    Args:
        root: an empty directory.
        volumes: how many.
        choose: a ``random.Random``.
    """

    def __init__(self, root, volumes, choose):
        self.world = World(root, volumes=volumes, code=SHAPES[volumes], clock=_Time())
        self.choose, self.counts, self.wrong = choose, Counter(), []

    async def fill(self):
        """Make objects of all kinds: small and large, of parts, copies, with versions; and uploads in progress."""
        self.store = store = self.world.open()
        choose = self.choose
        await make_bucket(store)
        for number in range(OBJECTS):
            if number == OBJECTS // 2:
                await buckets.set_versioning(store, "b", enabled=True)
            self.world.clock.ns += 1_000_000
            key = f"k{number % (2 * OBJECTS // 3)}/o"
            written = await put(store, key, choose.randbytes(choose.choice(SIZES)))
            if number % 4 == 0:
                await copy_to(store, written, f"copies/{number}")
            if number % 6 == 0:
                upload = await begin(store, f"parts/{number}")
                parts = [await add_part(store, upload, n, choose.randbytes(choose.choice(SIZES))) for n in (1, 2)]
                if number % 12 == 0:
                    await complete(store, upload, parts[:1])
            if number % 7 == 0:
                await remove(store, key)
        await self.remember()

    async def remember(self):
        """Take note of how everything is now: bytes, files and rows."""
        self.items = {
            item.ref.id: item
            async for row in inventory(self.store)
            for item in row.items
            if isinstance(item, Named) and item.row.table != "buckets"
        }
        self.data = {}
        self.versions = {}
        for item in self.items.values():
            version = item.sidecar.record
            if isinstance(version, Version) and not version.marker:
                self.versions[item.ref.id] = version
                self.data[item.ref.id] = await read_all(self.store, version)
        self.files = self._files()
        self.rows = await self.tables(self.store)
        linked = defaultdict(list)
        for item in self.items.values():
            if not item.ref.inline and item.ref.size:
                linked[os.stat(self.shard(item.ref, 0)).st_ino].append(item.ref)
        self.groups = list(linked.values())

    def _files(self):
        return {path: Path(self.world.root, path).read_bytes() for path in self.world.files() if self._is_file(path)}

    def _is_file(self, path):
        return Path(self.world.root, path).is_file()

    async def tables(self, store):
        return {table: dict(await store.index.scan(table, b"", b"\xff", 100_000)) for table in TABLES}

    def shard(self, ref, number):
        return f"{self.world.volume_roots[ref.volumes[number]]}/{ref.id}/{shard_name(number, ref.k)}"

    def sidecar(self, ref, position):
        return f"{self.world.volume_roots[position]}/{ref.id}/metadata.json"

    # --- damage

    def spoil(self, path, other):
        """Damage a file in one of many ways, also so that it becomes a copy of another. Returns whether it changed."""
        before = Path(path).read_bytes() if os.path.exists(path) else None
        how = self.choose.choice(("flip", "cut", "empty", "grow", "zero", "delete", "replace"))
        if how == "delete" or before is None:
            Path(path).unlink(missing_ok=True)
        elif how == "replace":
            Path(path).write_bytes(Path(other).read_bytes() if os.path.exists(other) else b"")
        else:
            after = bytearray(before)
            at = self.choose.randrange(len(before)) if before else 0
            if how == "flip" and before:
                after[at] ^= 1 << self.choose.randrange(8)
            elif how == "zero":
                after[at : at + 64] = bytes(len(after[at : at + 64]))
            elif how == "grow":
                after += self.choose.randbytes(self.choose.randrange(1, 50))
            else:
                del after[0 if how == "empty" else at :]
            with open(path, "r+b") as file:  # in place: links to it are damaged as well
                file.truncate(len(after))
                file.write(after)
        self.counts[how] += 1
        return not os.path.exists(path) or Path(path).read_bytes() != before

    async def damage(self, share, shards=None):
        """Damage a share of the blobs, each in up to ``shards`` shards (without it as many as there is parity)."""
        choose, others = self.choose, sorted(self.items)
        for group in self.groups:
            if choose.random() < share:
                ref = group[0]
                for number in choose.sample(range(ref.k + ref.m), shards or choose.randint(1, ref.m)):
                    for linked in choose.sample(group, choose.randint(1, len(group))):
                        other = self.shard(choose.choice(self.groups)[0], choose.randrange(ref.k + ref.m))
                        self.spoil(self.shard(linked, number), other)
        for item in self.items.values():
            if choose.random() > share / 2:
                continue
            ref = item.ref
            copies = list(dict.fromkeys(ref.volumes))
            if ref.inline and ref.size and choose.random() < 0.5:
                await self.damage_row(ref)
                copies = copies[1:]  # one must be left
            for position in choose.sample(copies, choose.randint(0, len(copies))):
                self.spoil(self.sidecar(ref, position), self.sidecar(self.items[choose.choice(others)].ref, position))

    async def damage_row(self, ref):
        """Damage, or delete, the row of a small blob's bytes."""
        key = keys.inline_key(ref.id)
        value = bytearray(await self.store.index.get("inline", key))
        if self.choose.random() < 0.3:
            await self.store.index.commit([Delete("inline", key)])
        else:
            value[self.choose.randrange(len(value))] ^= 1 << self.choose.randrange(8)
            await self.store.index.commit([Put("inline", key, bytes(value))])
        self.counts["row"] += 1

    # --- judgement

    async def read_back(self, *, may_fail):
        """Compare the bytes of all objects."""
        for blob, data in self.data.items():
            try:
                found = await read_all(self.store, self.versions[blob])
            except (InternalError, BlobError):  # before the first byte; in the middle
                self.counts["refused reads"] += 1
                if not may_fail:
                    self.wrong.append(f"{blob} cannot be read")
                continue
            self.counts["reads"] += 1
            if found != data:
                self.wrong.append(f"{blob}: wrong bytes")

    async def damaged_names(self):
        """Return what a check must name: by blob, the files and rows that are not as they were."""
        expected = defaultdict(set)
        for item in self.items.values():
            ref = item.ref
            files = {sidecar_name(position): self.sidecar(ref, position) for position in dict.fromkeys(ref.volumes)}
            if not ref.inline and ref.size:
                files |= {shard_name(n, ref.k): self.shard(ref, n) for n in range(ref.k + ref.m)}
            for name, path in files.items():
                now = Path(path).read_bytes() if os.path.exists(path) else None
                if now != self.files[os.path.relpath(path, self.world.root)]:
                    expected[ref.id].add(name)
            if ref.inline and ref.size:
                key = keys.inline_key(ref.id)
                if await self.store.index.get("inline", key) != self.rows["inline"][key]:
                    expected[ref.id].add("no valid row of its bytes")
        return expected

    async def check(self):
        """A check must name exactly what was damaged."""
        expected = await self.damaged_names()
        self.counts["damages"] += sum(map(len, expected.values()))
        inspector = Inspector(self.store, repair=False)
        for item in self.items.values():
            finding = await inspector.look(item)
            told = set(finding.problems) - {"no valid sidecar"} if finding else set()
            if told != expected[item.ref.id]:
                self.wrong.append(f"{item.ref.id}: damaged are {expected[item.ref.id]}, told were {told}")

    async def scrub(self):
        """After a pass of the scrub all files and rows must be as they were."""
        observer = Watch()
        job = ScrubJob(self.store, observer, SCRUB_SECONDS)
        while not observer.passes:
            step = await job.step()
            self.world.clock.ns += 0 if step.more else int(step.pause_seconds * 1e9) + 1
        for blob, names in (await self.damaged_names()).items():
            for name in names:
                path = name.startswith("metadata") and self.sidecar(self.items[blob].ref, int(name.split("@")[1]))
                if not path or not self._says_the_same(path):
                    self.wrong.append(f"{blob}: {name} was not repaired")
        if self._files().keys() != self.files.keys():
            self.wrong.append(f"files after the scrub: {self._files().keys() ^ self.files.keys()}")
        self.files = self._files()

    def _says_the_same(self, path):
        """Whether a sidecar differs in its checksum and revision alone: one that was lost everywhere has new ones."""
        before = self.files[os.path.relpath(path, self.world.root)].splitlines()
        now = Path(path).read_bytes().splitlines() if os.path.exists(path) else []
        return before[2:] == now[2:]

    async def restore(self):
        """Put back every file and row as it was before damage beyond repair."""
        await self.store.index.commit([Put("inline", key, value) for key, value in self.rows["inline"].items()])
        for path, data in self.files.items():
            full = Path(self.world.root, path)
            if not full.exists() or full.read_bytes() != data:
                full.unlink(missing_ok=True)
                full.write_bytes(data)

    # --- the index

    async def lose_index(self):
        """Damage the index file in one of many ways, use it, then rebuild it and compare every row."""
        await self.world.close()
        path, choose = self.world.index_path, self.choose
        text = bytearray(path.read_bytes())
        how = choose.choice(("delete", "cut", "flip", "zero", "zero rows", "noise", "swap pages"))
        at = choose.randrange(len(text))
        if how == "cut":
            del text[at:]
        elif how == "flip":
            for _ in range(choose.choice((1, 10, 1000))):
                text[choose.randrange(len(text))] ^= 1 << choose.randrange(8)
        elif how == "zero":
            text[at : at + 8192] = bytes(len(text[at : at + 8192]))
        elif how == "zero rows":  # and not the header of their page, so that it looks like an empty one
            at = at // 4096 * 4096 + 512 * choose.randrange(1, 8)
            text[at : at + 4096] = bytes(len(text[at : at + 4096]))
        elif how == "noise":
            text[at : at + 8192] = choose.randbytes(len(text[at : at + 8192]))
        elif how == "swap pages":
            one, other = (4096 * choose.randrange(len(text) // 4096) for _ in range(2))
            text[one : one + 4096], text[other : other + 4096] = text[other : other + 4096], text[one : one + 4096]
        path.unlink()
        if how != "delete":
            path.write_bytes(text)
            await self.use_damaged_index(how)
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        self.store = self.world.open()
        await rebuild(self.store)
        self.counts["rebuilds"] += 1
        if await self.tables(self.store) != self.rows:
            self.wrong.append(f"after {how} at {at} the rebuilt index is another one")
        await self.read_back(may_fail=False)

    async def use_damaged_index(self, how):
        """What a damaged index still answers must not be a wrong byte, nor that something is absent.

        Pages that changed places have valid checksums: that they seem to hold nothing is counted, and no failure.
        """
        try:
            self.store = self.world.open()
        except IndexFailure:
            self.counts["damaged indexes refused"] += 1
            return
        absent = {}
        for blob, version in self.versions.items():
            try:
                found = await get(self.store, version.key, version.id)
            except ABSENT as error:
                absent[blob] = error
                continue
            except (S3Error, IndexFailure, BlobError):
                self.counts["refused by a damaged index"] += 1
                continue
            self.counts["read by a damaged index"] += 1
            if found != self.data[blob]:
                self.wrong.append(f"{blob}: wrong bytes by a damaged index")
        if how == "swap pages":
            self.counts["absent for pages that changed places"] += len(absent)
            absent.clear()
        self.wrong += [f"{blob} seems to be absent after {how}: {error!r}" for blob, error in absent.items()]
        await self.world.close()


class Watch(Observer):
    """Tells when a scrub has passed."""

    def __init__(self):
        super().__init__()
        self.passes = 0

    def scrub_passed(self):
        self.passes += 1


async def run(damages, rebuilds, seed, *, volumes=3):
    """Damage until there were so many damages, then lose the index so many times.

    Returns:
        Counts, and what was wrong.
    """
    with structlog.testing.capture_logs(), tempfile.TemporaryDirectory(prefix="rot-", dir=IN_MEMORY) as folder:
        rot = Rot(Path(folder), volumes, random.Random(f"{seed}/{volumes}"))
        await rot.fill()
        while rot.counts["damages"] < damages and not rot.wrong:
            await rot.damage(rot.choose.choice((0.1, 0.5, 1)))
            await rot.read_back(may_fail=False)
            await rot.check()
            await rot.scrub()
            rot.counts["rounds"] += 1
            if rot.counts["rounds"] % 5 == 0:
                await rot.damage(0.5, shards=rot.groups[0][0].m + 1)
                await rot.read_back(may_fail=True)
                await rot.restore()
        if not rot.wrong:
            await rot.remember()
        while rot.counts["rebuilds"] < rebuilds and not rot.wrong:
            await rot.lose_index()
        await rot.world.close()
        return rot.counts, rot.wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--rebuilds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--volumes", type=int, nargs="+", choices=SHAPES, default=list(SHAPES))
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the data goes
    failures = 0
    for volumes in chosen.volumes:
        started = time.monotonic()
        counts, wrong = asyncio.run(run(chosen.damages, chosen.rebuilds, chosen.seed, volumes=volumes))
        told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        seconds = time.monotonic() - started
        print(f"{volumes} volumes, seed {chosen.seed}: {told}; {len(wrong)} wrong, {seconds:.0f} s", flush=True)
        print("\n".join(wrong[:20]))
        failures += len(wrong)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
