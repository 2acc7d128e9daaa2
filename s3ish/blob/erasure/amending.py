"""Replacing sidecars: one with a flush of its own, or many with two flushes of the file system for all of them.

Of many, all new files are written beside the old ones and flushed before the first is renamed, so that a crash leaves
of each sidecar the old or the new.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

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


class _File(NamedTuple):
    """The text of an amended sidecar, and where it need not be written: there it stands under another name.

    ``some_new`` says that there was no sidecar somewhere.
    """

    text: bytes
    at: frozenset[int] = frozenset()
    some_new: bool = False


async def amend(core: ErasureCore, amendment: Amendment) -> None:
    """See ``BlobStore.amend``."""
    ref, token = amendment.ref, core.token()
    file = await core.run(_file, core, amendment, core.clock.sequence())
    failures: dict[int, BlobError] = {}

    def write(position: int) -> None:
        try:
            volume = core.volumes.at(position)
            if position in file.at:
                volume.rename(ref.id, sidecars.UNSEALED, sidecars.NAME)
                volume.sync_entries(ref.id)
            else:
                volume.replace(ref.id, sidecars.NAME, file.text, token)
                _forget_unsealed(volume, ref.id, file)
        except BlobError as error:
            failures[position] = error
            core.volumes.miss(position)

    await core.each(write, list(dict.fromkeys(ref.volumes)))
    if error := _outcome(core, ref, failures):
        raise error


async def amend_all(core: ErasureCore, amendments: Sequence[Amendment]) -> Sequence[BlobError | None]:
    """See ``BlobStore.amend_all``."""
    if len(amendments) < _TOGETHER:
        return [await _try(core, amendment) for amendment in amendments]
    files: list[_File | BlobError] = []
    for start in range(0, len(amendments), _READ_AT_ONCE):
        some = amendments[start : start + _READ_AT_ONCE]
        files += await core.run(_files, core, some, core.clock.sequence())
    token, failures = core.token(), [dict[int, BlobError]() for _ in amendments]

    def write(position: int) -> None:
        wanted = {
            number: (it.ref.id, file)
            for number, (it, file) in enumerate(zip(amendments, files, strict=True))
            if isinstance(file, _File) and position in it.ref.volumes
        }
        for number, error in _replace_all(core, position, wanted, token):
            failures[number][position] = error
            core.volumes.miss(position)

    positions = {position for amendment in amendments for position in amendment.ref.volumes}
    await core.each(write, sorted(positions))
    return [
        file if isinstance(file, BlobError) else _outcome(core, amendment.ref, failed)
        for amendment, file, failed in zip(amendments, files, failures, strict=True)
    ]


async def _try(core: ErasureCore, amendment: Amendment) -> BlobError | None:
    try:
        await amend(core, amendment)
    except BlobError as error:
        return error
    return None


def _files(core: ErasureCore, amendments: Sequence[Amendment], sequence: int) -> list[_File | BlobError]:
    files: list[_File | BlobError] = []
    for amendment in amendments:
        try:
            files.append(_file(core, amendment, sequence))
        except BlobError as error:
            files.append(error)
    return files


def _file(core: ErasureCore, amendment: Amendment, sequence: int) -> _File:
    """Return what the file of an amended sidecar says. Raises Missing, Corrupt.

    Args:
        sequence: the revision where no copy is left that has one.
    """
    ref, content, inline, revision = amendment
    copies = read_copies(core.volumes, ref.id, ref.volumes)
    old = newest(copies)
    if old is None and ref.inline and inline is None:
        raise verdict(ref.id, [copy for copy in copies.values() if isinstance(copy, BlobError)], ref.m)
    if old is None and (file := _unsealed(core, ref, content)):
        return file
    if old is None and not ref.inline and not _any_shard(core, ref):
        raise Missing(f"{ref.id} is not there")
    if old is None or old.content != content:  # those who write the same at once write the same bytes
        revision = max(old.revision + 1 if old else sequence, revision)
    else:
        revision = old.revision
    new = Sidecar(ref, revision, content, old.data if old else inline, old.others if old else {})
    return _File(sidecars.encode(new), some_new=any(isinstance(copy, Missing) for copy in copies.values()))


def _unsealed(core: ErasureCore, ref: BlobRef, content: bytes) -> _File | None:
    """Return the file that was the sidecar of an unsealed blob, if it says the same; None if there is none."""
    texts: dict[int, bytes] = {}
    for position in dict.fromkeys(ref.volumes):
        with suppress(BlobError):
            texts[position] = core.volumes.at(position).read_file(ref.id, sidecars.UNSEALED, sidecars.LIMIT_BYTES)
    for text in dict.fromkeys(texts.values()):
        with suppress(BlobError):
            told = sidecars.decode(text, ref.id)
            if told.content == content and told.ref == ref:
                return _File(text, frozenset(at for at, found in texts.items() if found == text), True)
    return None


def _forget_unsealed(volume: Volume, blob: str, file: _File) -> None:
    """Remove what another sidecar was called that has a new one in its place."""
    if file.some_new:
        volume.unlink(blob, sidecars.UNSEALED)


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
    core: ErasureCore, position: int, wanted: Mapping[int, tuple[str, _File]], token: str
) -> Iterator[tuple[int, BlobError]]:
    """Replace sidecars on one volume, given the blobs and the files by numbers; yield what went wrong with which."""
    temporary = temporary_name(sidecars.NAME, token)
    try:
        volume = core.volumes.at(position)
    except BlobError as error:
        yield from ((number, error) for number in wanted)
        return

    def each(numbers: Sequence[int], action: Callable[[str, _File], None]) -> Iterator[tuple[int, BlobError]]:
        for number in numbers:
            try:
                action(*wanted[number])
            except BlobError as error:
                yield number, error

    def write(blob: str, file: _File) -> None:
        volume.write_file(blob, temporary, file.text, flush=False)

    def rename(blob: str, file: _File) -> None:
        volume.rename(blob, sidecars.UNSEALED if position in file.at else temporary, sidecars.NAME)
        if position not in file.at:
            _forget_unsealed(volume, blob, file)

    written = [number for number, (_, file) in wanted.items() if position not in file.at]
    failed = dict(each(written, write))
    failed |= _flush(volume, [number for number in written if number not in failed])
    failed |= each([number for number in wanted if number not in failed], rename)
    for number in failed:
        with suppress(BlobError):
            volume.unlink(wanted[number][0], temporary)
    failed |= _flush(volume, [number for number in wanted if number not in failed])
    yield from failed.items()


def _flush(volume: Volume, numbers: Sequence[int]) -> dict[int, BlobError]:
    """Flush the file system; return what went wrong as that of each."""
    try:
        if numbers:
            volume.sync_all()
    except BlobError as error:
        return dict.fromkeys(numbers, error)
    return {}
