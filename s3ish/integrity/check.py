"""Checking a whole store: every block of every shard, every sidecar, every row, and each against the others; and the
counters of what buckets and owners hold against all rows.

With ``repair`` what is damaged is written anew from what is left, and what nothing names is removed. What is beyond
that is reported as lost.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator

from msgspec.structs import asdict

from s3ish.blob.paths import Past
from s3ish.integrity.blind_spots import read_blind_spots
from s3ish.integrity.inspect import Finding, Inspector, State
from s3ish.integrity.named_blobs import inventory
from s3ish.integrity.orphans import find_orphans
from s3ish.integrity.usage_count import Miscount, find_miscounts, mend
from s3ish.objects.store import Store
from s3ish.tables.catalogue import USAGE
from s3ish.tables.table import Named

_STATES: dict[str, State] = {
    "removed": "repaired",
    "refused": "orphan",
    "kept": "orphan",
    "doubted": "damaged",
    "unknown": "damaged",
}

_LOOKS = 3
"""So many times counters are mended at most."""


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
        gaps = await read_blind_spots(self._store.index)
        for prefix, problem in gaps:
            yield self._count(Finding(prefix or "the whole store", (problem,), "damaged"))
        remove = self._repair and not self._damaged_rows
        async for orphan in find_orphans(self._store, Past(self._before_ns), gaps, remove=remove):
            if orphan:
                yield self._count(Finding(orphan.blob, (orphan.problem,), _STATES[orphan.state]))

    async def counters(self) -> list[Finding]:
        """Recount what all buckets hold; return which counters were wrong. It does not let the event loop go on.

        With ``repair`` it looks again afterwards: another check may have mended the same. Raises Unavailable.
        """
        first = wrong = await find_miscounts(self._store)
        for _ in range(_LOOKS if self._repair else 0):
            if not wrong:
                break
            await mend(self._store, wrong)
            wrong = await find_miscounts(self._store)
        left = {it.row for it in wrong}
        return [self._count(_miscounted(it, "damaged" if it.row in left else "repaired")) for it in first]

    def _count(self, finding: Finding) -> Finding:
        self.counts[finding.state] += 1
        for position in finding.volumes:
            self.volumes[position][finding.state] += 1
        return finding


def _miscounted(miscount: Miscount, state: State) -> Finding:
    kept, there = (
        ", ".join(f"{number} {name}" for name, number in asdict(usage).items() if number) or "nothing"
        for usage in (miscount.kept, miscount.there)
    )
    return Finding(USAGE.title(miscount.row), (f"the counters say {kept}; there is {there}",), state)
