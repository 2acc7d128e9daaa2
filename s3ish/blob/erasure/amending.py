"""Replacing sidecars: one with a flush of its own, or many with two flushes of the file system for all of them.

Of many, all new files are written beside the old ones and flushed before the first is renamed, so that a crash leaves
of each sidecar the old or the new.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from s3ish.blob.erasure import sidecar as sidecars
from s3ish.blob.erasure.core import ErasureCore
from s3ish.blob.erasure.layout import damage_names, shard_name
from s3ish.blob.erasure.sidecar import Sidecar
from s3ish.blob.erasure.sidecar_copies import newest, read_copies, verdict
from s3ish.blob.protocol import Amendment, BlobError, Missing, Unwritable, VolumesFull
from s3ish.blob.volumes.tree import temporary_name
from s3ish.blob.volumes.volume import Volume
from s3ish.model import BlobRef

_READ_AT_ONCE = 64
_TOGETHER = 32
"""From so many on, flushing the file systems takes less than flushing each file and its folder."""

Failures = Mapping[int, BlobError]
"""What went wrong at each position."""


async def amend(core: ErasureCore, amendment: Amendment) -> None:
    """See ``BlobStore.amend``."""
    ref, token = amendment.ref, core.token()
    text = await core.run(_text, core, amendment, core.clock.sequence())
    failures: dict[int, BlobError] = {}

    def write(position: int) -> None:
        try:
            core.volumes.at(position).replace(ref.id, sidecars.NAME, text, token)
        except BlobError as error:
            failures[position] = error

    await core.each(write, list(dict.fromkeys(ref.volumes)))
    if error := _outcome(core, ref, failures):
        raise error


async def amend_all(core: ErasureCore, amendments: Sequence[Amendment]) -> Sequence[BlobError | None]:
    """See ``BlobStore.amend_all``."""
    if len(amendments) < _TOGETHER:
        return [await _try(core, amendment) for amendment in amendments]
    texts: list[bytes | BlobError] = []
    for start in range(0, len(amendments), _READ_AT_ONCE):
        some = amendments[start : start + _READ_AT_ONCE]
        texts += await core.run(_texts, core, some, core.clock.sequence())
    token, failures = core.token(), [dict[int, BlobError]() for _ in amendments]

    def write(position: int) -> None:
        wanted = {
            number: (it.ref.id, text)
            for number, (it, text) in enumerate(zip(amendments, texts, strict=True))
            if isinstance(text, bytes) and position in it.ref.volumes
        }
        for number, error in _replace_all(core, position, wanted, token):
            failures[number][position] = error

    positions = {position for amendment in amendments for position in amendment.ref.volumes}
    await core.each(write, sorted(positions))
    return [
        text if isinstance(text, BlobError) else _outcome(core, amendment.ref, failed)
        for amendment, text, failed in zip(amendments, texts, failures, strict=True)
    ]


async def _try(core: ErasureCore, amendment: Amendment) -> BlobError | None:
    try:
        await amend(core, amendment)
    except BlobError as error:
        return error
    return None


def _texts(core: ErasureCore, amendments: Sequence[Amendment], sequence: int) -> list[bytes | BlobError]:
    texts: list[bytes | BlobError] = []
    for amendment in amendments:
        try:
            texts.append(_text(core, amendment, sequence))
        except BlobError as error:
            texts.append(error)
    return texts


def _text(core: ErasureCore, amendment: Amendment, sequence: int) -> bytes:
    """Return what the file of an amended sidecar says. Raises Missing, Corrupt.

    Args:
        sequence: the revision where no copy is left that has one.
    """
    ref, content, inline, revision = amendment
    copies = read_copies(core.volumes, ref.id, ref.volumes)
    old = newest(copies)
    if old is None and ref.inline and inline is None:
        raise verdict(ref.id, [copy for copy in copies.values() if isinstance(copy, BlobError)], ref.m)
    if old is None and not ref.inline and not _any_shard(core, ref):
        raise Missing(f"{ref.id} is not there")
    if old is None or old.content != content:  # those who write the same at once write the same bytes
        revision = max(old.revision + 1 if old else sequence, revision)
    else:
        revision = old.revision
    return sidecars.encode(Sidecar(ref, revision, content, old.data if old else inline, old.others if old else {}))


def _any_shard(core: ErasureCore, ref: BlobRef) -> bool:
    for number, position in enumerate(ref.volumes):
        try:
            volume = core.volumes.at(position)
            volume.close_file(volume.open(ref.id, shard_name(number, ref.k)))
        except BlobError:
            continue
        return True
    return False


def _outcome(core: ErasureCore, ref: BlobRef, failures: Failures) -> BlobError | None:
    """Return an error if too few copies were written; report those that were not, if enough were."""
    written = sum(position not in failures for position in ref.volumes)
    if written < (1 if ref.inline else ref.k):
        full = next((error for error in failures.values() if isinstance(error, VolumesFull)), None)
        return full or Unwritable("; ".join(str(error) for error in failures.values()))
    if failures:
        core.report(ref, damage_names(ref, failures))
    return None


def _replace_all(
    core: ErasureCore, position: int, wanted: Mapping[int, tuple[str, bytes]], token: str
) -> Iterator[tuple[int, BlobError]]:
    """Replace sidecars on one volume, given the blobs and the texts by numbers; yield what went wrong with which."""
    temporary = temporary_name(sidecars.NAME, token)
    try:
        volume = core.volumes.at(position)
    except BlobError as error:
        yield from ((number, error) for number in wanted)
        return

    def each(numbers: Sequence[int], action: Callable[[int], None]) -> Iterator[tuple[int, BlobError]]:
        for number in numbers:
            try:
                action(number)
            except BlobError as error:
                yield number, error

    failed = dict(each(list(wanted), lambda at: _write(volume, *wanted[at], temporary)))
    failed |= _flush(volume, left := [number for number in wanted if number not in failed])
    left = [number for number in left if number not in failed]
    failed |= each(left, lambda at: volume.rename(wanted[at][0], temporary, sidecars.NAME))
    for number in failed:
        with suppress(BlobError):
            volume.unlink(wanted[number][0], temporary)
    failed |= _flush(volume, [number for number in left if number not in failed])
    yield from failed.items()


def _write(volume: Volume, blob: str, text: bytes, temporary: str) -> None:
    volume.write_file(blob, temporary, text, flush=False)


def _flush(volume: Volume, numbers: Sequence[int]) -> dict[int, BlobError]:
    """Flush the file system; return what went wrong as that of each."""
    try:
        if numbers:
            volume.sync_all()
    except BlobError as error:
        return dict.fromkeys(numbers, error)
    return {}
