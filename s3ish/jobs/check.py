"""Checking a whole store: every block of every shard, every sidecar, every row, and each against the others.

With ``repair`` what is damaged is written anew from what is left: shards from parity, sidecars from their copies or
from the index, rows of small objects from their sidecars. What is beyond that is reported as lost.
"""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Literal, NamedTuple

from s3ish.blob.protocol import BlobError
from s3ish.jobs.inventory import BrokenRow, Owned, inventory
from s3ish.jobs.reach import is_named, is_reachable
from s3ish.objects import seal
from s3ish.objects.store import Store, put_inline

State = Literal["damaged", "repaired", "lost", "orphan"]


class Finding(NamedTuple):
    """Something that is not as it should be: of what, which files or rows, and how it stands with it now."""

    name: str
    problems: tuple[str, ...]
    state: State


class Check:
    """A pass over a whole store.

    Args:
        store: the engines.
        repair: write anew what is damaged, remove what nothing names.
        before_ns: blobs sealed later than this may be about to be committed and are no orphans.

    ``counts`` tells how many blobs and bytes were looked at, and how many findings there were of each state.
    """

    def __init__(self, store: Store, *, repair: bool, before_ns: int) -> None:
        self._store = store
        self._repair = repair
        self._before_ns = before_ns
        self.counts: Counter[str] = Counter()

    async def rows(self) -> AsyncIterator[list[Finding]]:
        """Go through all that the index names; yield what was wrong with each row's blobs."""
        async for row in inventory(self._store):
            findings = []
            for item in row.items:
                finding = await self._look(item)
                if finding:
                    self.counts[finding.state] += 1
                    findings.append(finding)
            yield findings

    async def orphans(self) -> AsyncIterator[Finding]:
        """Go through all that lies on the volumes; yield what nothing names."""
        async for ref, content in self._store.blobs.scan():
            try:
                sealed = seal.read(content)
            except ValueError:
                yield self._count(Finding(ref.id, ("a sidecar of an unknown kind",), "damaged"))
                continue
            if seal.made_ns(sealed) < self._before_ns and not await is_reachable(self._store, ref, sealed):
                yield await self._drop(ref.id, "sealed, but named by no row")
        async for blob, modified_ns in self._store.blobs.strays():
            if modified_ns < self._before_ns and not await is_named(self._store, blob):
                yield await self._drop(blob, "files without a sidecar, named by no row")

    async def _look(self, item: Owned | BrokenRow) -> Finding | None:
        if isinstance(item, BrokenRow):
            return Finding(item.name, (f"{item.problem}; run: s3ish index rebuild",), "damaged")
        self.counts["blobs"] += 1
        self.counts["bytes"] += item.ref.size
        lost_sidecar = await self._check_sidecar(item)
        health = await self._store.blobs.check(item.ref, repair=self._repair)
        problems = [*lost_sidecar, *health.damaged, *await self._check_inline(item)]
        if not problems:
            return None
        readable = health.readable or (item.ref.inline and self._repair)
        if not readable and item.ref.size:
            return Finding(item.name, tuple(problems), "lost")
        whole = self._repair and (not health.damaged or health.repaired)
        return Finding(item.name, tuple(problems), "repaired" if whole else "damaged")

    async def _check_sidecar(self, item: Owned) -> list[str]:
        """Compare the sidecar with the row, and write it anew where it differs or is gone."""
        try:
            told = seal.read(await self._store.blobs.read_sidecar(item.ref))
        except BlobError:
            problem = "no valid sidecar"
        except ValueError:
            problem = "a sidecar of an unknown kind"
        else:
            if _same(told, item.seal):
                return []
            problem = "the sidecar differs from the index"
        if self._repair:
            try:
                await self._store.blobs.amend(
                    item.ref, seal.write(item.seal), inline=await self._store.inline(item.ref)
                )
            except BlobError as error:
                return [f"{problem}, and it cannot be written: {error}"]
        return [problem]

    async def _check_inline(self, item: Owned) -> list[str]:
        """Check the row of a small blob's bytes, and write it anew from the sidecar."""
        if not item.ref.inline or await self._store.inline(item.ref) is not None:
            return []
        if self._repair:
            try:
                reader = await self._store.blobs.open(item.ref)
                data = b"".join([bytes(piece) async for piece in reader])
                await reader.close()
                await self._store.index.commit(put_inline(item.ref, data))
            except BlobError as error:
                return [f"no valid row of its bytes, and none can be written: {error}"]
        return ["no valid row of its bytes"]

    async def _drop(self, blob: str, problem: str) -> Finding:
        if not self._repair:
            return self._count(Finding(blob, (problem,), "orphan"))
        await self._store.blobs.discard(blob)
        return self._count(Finding(blob, (problem,), "repaired"))

    def _count(self, finding: Finding) -> Finding:
        self.counts[finding.state] += 1
        return finding


def _same(told: seal.Seal, expected: seal.Seal) -> bool:
    """Whether two seals say the same; a part may have been sealed for an upload that has become an object."""
    if isinstance(told, seal.PartSeal) and isinstance(expected, seal.PartSeal):
        return (told.bucket, told.key, told.part) == (expected.bucket, expected.key, expected.part)
    return told == expected
