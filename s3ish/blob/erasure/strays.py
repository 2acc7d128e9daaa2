"""Removing what writers that were cut off have left: strays, files beside those of a blob, folders that hold none."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from itertools import islice

from s3ish.blob.erasure import sidecar as sidecars
from s3ish.blob.erasure.core import ErasureCore
from s3ish.blob.paths import Past
from s3ish.blob.protocol import BlobError, IsNamed, Swept, Unwritable
from s3ish.blob.volumes.tree import is_temporary
from s3ish.threads import GivenUp

_PRUNED_AT_ONCE = 64


async def sweep(core: ErasureCore, past: Past, is_named: IsNamed, *, dry: bool) -> AsyncIterator[Swept]:
    """See ``BlobStore.sweep``."""
    async for found in core.scan().all():
        if not dry:
            positions = found.sidecar.ref.volumes if found.sidecar else range(len(core.volumes))
            await core.run(_tidy, core, found.blob, positions, past)
        if found.modified_ns is None or not past.holds(found.blob, found.modified_ns) or await is_named(found.blob):
            yield Swept(found.blob)
        else:
            yield Swept(found.blob, stray=True, removed=not dry and await _remove(core, found.blob))
    if dry:
        return
    for volume in core.volumes.present:
        folders = volume.prune(past.before_ns)
        with suppress(BlobError, GivenUp):  # for another time
            while batch := await core.run_once(_next, folders):
                for folder in batch:
                    yield Swept(folder)


async def _remove(core: ErasureCore, blob: str) -> bool:
    try:
        await core.run(core.remove, blob, None)
    except Unwritable:
        return False
    core.flusher.soon()
    return True


def _next(folders: Iterator[str]) -> list[str]:
    return list(islice(folders, _PRUNED_AT_ONCE))


def _tidy(core: ErasureCore, blob: str, positions: Iterable[int], past: Past) -> None:
    """Remove what replacements that were cut off have left beside a blob, also one that a snapshot alone names."""
    for position in dict.fromkeys(positions):
        with suppress(BlobError):
            volume = core.volumes.at(position)
            names = volume.names(blob)
            if {sidecars.NAME, sidecars.UNSEALED} <= {*names}:  # it is sealed again
                volume.unlink(blob, sidecars.UNSEALED)
            for name in names:
                if is_temporary(name) and past.holds(name, volume.modified_ns(blob, name)):
                    volume.unlink(blob, name)
