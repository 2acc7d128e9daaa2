"""Checking a whole store: every block of every shard, every sidecar, every row, and each against the others.

With ``repair`` what is damaged is written anew from what is left, and what nothing names is removed. What is beyond
that is reported as lost.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator

from s3ish.blob.paths import Past
from s3ish.integrity.blind_spots import BlindSpots, read_blind_spots
from s3ish.integrity.catalog_walk import inventory
from s3ish.integrity.inspect import Finding, Inspector
from s3ish.integrity.references import References, is_finished
from s3ish.integrity.sweep import UNNAMED
from s3ish.model import BlobRef
from s3ish.objects.store import Store
from s3ish.tables.table import Named

ORPHAN, STRAY = "sealed, but named by no row", "files without a sidecar, named by no row"


class Check:
    """A pass over a whole store.

    Args:
        store: the engines.
        repair: write anew what is damaged, remove what nothing names.
        before_ns: blobs sealed later than this may be about to be committed and are no orphans.

    ``counts`` tells how many blobs and bytes were looked at, and how many findings there were of each state;
    ``volumes`` the same of the blobs that lacked a shard or sidecar at each position.
    """

    def __init__(self, store: Store, *, repair: bool, before_ns: int) -> None:
        self._store = store
        self._repair = repair
        self._before_ns = before_ns
        self._inspector = Inspector(store, repair=repair)
        self._damaged_rows = False
        self._gaps = BlindSpots()
        self.counts: Counter[str] = Counter()
        self.volumes: defaultdict[int, Counter[str]] = defaultdict(Counter)

    async def rows(self) -> AsyncIterator[list[Finding]]:
        """Go through all that the index names; yield what was wrong with each row's blobs.

        Raises Damaged if the index itself is not whole: nothing would be known of what it does not show.
        """
        await self._store.index.verify()
        async for row in inventory(self._store):
            findings = []
            for item in row.items:
                if isinstance(item, Named):
                    self.counts["blobs"] += 1
                    self.counts["bytes"] += item.ref.size
                else:
                    self._damaged_rows = True
                if finding := await self._inspector.look(item):
                    findings.append(self._count(finding))
            yield findings

    @property
    def lacking(self) -> dict[int, int]:
        """How many blobs still lack a shard or sidecar at each position."""
        left = {position: states.total() - states["repaired"] for position, states in self.volumes.items()}
        return {position: count for position, count in left.items() if count}

    async def orphans(self) -> AsyncIterator[Finding]:
        """Go through all that lies on the volumes; yield what nothing names. Garbage is named: it goes by itself.

        After ``rows`` has met a damaged one nothing is removed: what it named looks as if nothing did. The same holds
        of what lies in a gap of the index; gaps are findings themselves.
        """
        self._gaps = await read_blind_spots(self._store.index)
        references = References(self._store)
        for prefix, problem in self._gaps:
            yield self._count(Finding(prefix or "the whole store", (problem,), "damaged"))
        dead = await self._store.upkeep.dead_makers()
        async for found in self._store.blobs.scan():
            ref = found.ref
            try:
                told = self._store.tables.read_sidecar(found.sidecar)
            except ValueError:
                yield self._count(Finding(ref.id, ("a sidecar of an unknown kind",), "damaged"))
                continue
            if told.made_ns >= self._before_ns or await references.is_reachable(ref, told):
                continue
            if await self._store.find_garbage(ref.id):
                continue
            if is_finished(found, dead):
                yield self._count(Finding(ref.id, (UNNAMED,), "damaged"))
            else:
                yield await self._drop(ref)
        dry, spared = not self._removes, list[str]()

        async def is_named(blob: str) -> bool:
            named = await references.is_named(blob) or await self._store.find_garbage(blob) is not None
            if not named and not dry and self._gaps.cover(blob):
                spared.append(blob)
                return True
            return named

        async for swept in self._store.blobs.sweep(Past(self._before_ns), is_named, dry=dry):
            if swept.stray:
                yield self._count(Finding(swept.name, (STRAY,), "repaired" if swept.removed else "orphan"))
            while spared:
                yield self._count(Finding(spared.pop(), (STRAY,), "orphan"))

    @property
    def _removes(self) -> bool:
        return self._repair and not self._damaged_rows

    async def _drop(self, ref: BlobRef) -> Finding:
        if not self._removes or self._gaps.cover(ref.id):
            return self._count(Finding(ref.id, (ORPHAN,), "orphan"))
        await self._store.blobs.delete(ref)
        return self._count(Finding(ref.id, (ORPHAN,), "repaired"))

    def _count(self, finding: Finding) -> Finding:
        self.counts[finding.state] += 1
        for position in finding.volumes:
            self.volumes[position][finding.state] += 1
        return finding
