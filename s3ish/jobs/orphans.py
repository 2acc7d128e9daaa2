"""After an unclean stop: blobs that no commit ever named are removed, sidecars that were not flushed are mended.

Between sealing a blob and committing it a crash leaves an orphan. It costs space, and a rebuild of the index would
bring it to light, so the next start looks through all sidecars once.
"""

from collections.abc import AsyncIterator

import structlog

from s3ish.index import keys, records
from s3ish.index.protocol import Delete
from s3ish.jobs.runner import Step
from s3ish.model import BlobRef, Part, Upload, Version
from s3ish.objects import seal
from s3ish.objects.store import Store

log = structlog.get_logger()

UNCLEAN = b"unclean"
"""The row of the state table that is there while a server runs; found at start, the last stop was not clean."""

SWEEP = b"sweep"
"""The row of the state table that asks for a look through all blobs."""

_BATCH = 200


class OrphanJob:
    """Looks through all sealed blobs once after an unclean stop.

    Args:
        store: the engines.
        before_ns: blobs sealed later than this moment are left alone: they may be about to be committed.
    """

    name = "orphans"

    def __init__(self, store: Store, before_ns: int) -> None:
        self._store = store
        self._before_ns = before_ns
        self._walk: AsyncIterator[tuple[BlobRef, bytes]] | None = None
        self.removed = 0

    async def step(self) -> Step:
        """Look at a batch of blobs."""
        if await self._store.index.get("state", SWEEP) is None:
            return Step(more=False, pause_seconds=3600)
        self._walk = self._walk or self._store.blobs.scan()
        for _ in range(_BATCH):
            found = await anext(self._walk, None)
            if found is None:
                return await self._finish()
            await self._look(*found)
        return Step(more=True)

    async def _finish(self) -> Step:
        self._walk = None
        await self._store.index.commit([Delete("state", SWEEP)])
        log.info("sweep after unclean stop finished", removed=self.removed)
        return Step(more=False, pause_seconds=3600)

    async def _look(self, ref: BlobRef, sidecar: bytes) -> None:
        try:
            sealed = seal.read(sidecar)
        except ValueError:
            log.error("sidecar of an unknown kind", blob=ref.id)
            return
        if seal.made_ns(sealed) < self._before_ns and not await is_reachable(self._store, ref, sealed):
            await self._store.blobs.delete(ref)
            self.removed += 1


async def is_reachable(store: Store, ref: BlobRef, sealed: seal.Seal) -> bool:
    """Whether the index names a blob."""
    if isinstance(sealed, seal.BucketSeal):
        held = await store.find_bucket(sealed.bucket.name)
        return held is not None and held.record.blob.id == ref.id
    if isinstance(sealed, seal.VersionSeal):
        version = sealed.version
        found = await store.by_sequence(version.bucket, version.key, version.sequence)
        return found is not None and found.record.blob.id == ref.id
    if isinstance(sealed, seal.UploadSeal):
        upload = sealed.upload
        key = keys.upload_key(upload.bucket, upload.key, upload.id)
        value = await store.index.get("uploads", key)
        return value is not None and records.decode("uploads", key, value, Upload).blob.id == ref.id
    return await _part_is_reachable(store, ref, sealed)


async def _part_is_reachable(store: Store, ref: BlobRef, sealed: seal.PartSeal) -> bool:
    if sealed.upload:
        key = keys.part_key(sealed.upload, sealed.part.number)
        value = await store.index.get("parts", key)
        if value is not None and records.decode("parts", key, value, Part).blob.id == ref.id:
            return True
    start, stop = keys.prefix_range(keys.versions_prefix(sealed.bucket, sealed.key))
    while rows := await store.index.scan("versions", start, stop, 100):
        for key, value in rows:
            version = records.decode("versions", key, value, Version)
            if any(part.blob.id == ref.id for part in version.parts):
                return True
        start = keys.after(rows[-1][0])
    return False
