"""Sealing the data keys of objects again: under another key, or a newer material of theirs. No data is touched.

A version and its parts say how their data keys are sealed, so that what changes is their record: an amendment, which
writes the sidecars of the parts as well.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/update-sse-encryption.html
"""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from s3ish.errors import MethodNotAllowed, NoSuchKey, NoSuchVersion
from s3ish.index.protocol import Damaged
from s3ish.model import Link, Part, Version
from s3ish.objects import named_keys, versions
from s3ish.objects.amend import amend_version_once
from s3ish.objects.consequences import BY_SERVER, Cause, Happening
from s3ish.objects.encodings import cipher, named
from s3ish.objects.encodings.chain import Links
from s3ish.objects.encodings.cipher import DATA_KEY, DataKeys
from s3ish.objects.encodings.named import NamedKey
from s3ish.objects.store import Store, attempts, translated
from s3ish.tables import keys
from s3ish.tables.catalogue import VERSIONS

_VERSIONS_AT_ONCE = 200
_BY_JOB = Cause(job="rewrapping")

Again = Callable[[Link], Link | None]
"""Returns the link under which a data key is to be sealed, without the key itself; None if it is as it should be."""


class Rewrapping:
    """Seals data keys again, with all keys at hand that this needs.

    Args:
        named_ones: the named keys that seal them, and are to seal them.
    """

    def __init__(self, store: Store, named_ones: Sequence[NamedKey] = ()) -> None:
        self._store, self._named = store, named_ones

    def of(self, version: Version, again: Again) -> Version:
        """Return a version whose links, and those of its parts and annotations, are sealed as they should be.

        Raises ValueError if a data key cannot be opened.
        """
        parts = tuple(self._part(part, again) for part in version.parts)
        beside = tuple(replace(one, part=self._part(one.part, again)) for one in version.annotations)
        changed = replace(version, encoding=self._links(version.encoding, again), parts=parts, annotations=beside)
        return changed if links_of(changed) != links_of(version) else version

    def _part(self, part: Part, again: Again) -> Part:
        return replace(part, encoding=self._links(part.encoding, again))

    def _links(self, links: Links, again: Again) -> Links:
        return tuple(self._link(link, again(link)) for link in links)

    def _link(self, link: Link, wanted: Link | None) -> Link:
        if wanted is None:
            return link
        if DATA_KEY not in link.parameters:  # what the parts of an object have in common
            return wanted
        data_key = self._data_keys(link).open(link.parameters)
        return Link(wanted.name, {**wanted.parameters, **self._data_keys(wanted).wrap(data_key)})

    def _data_keys(self, link: Link) -> DataKeys:
        if link.name == named.NAME:
            return named.data_keys(self._named, link.parameters, self._store.clock.random_bytes)
        if link.name == cipher.NAME and self._store.keyring:
            return self._store.keyring
        raise ValueError(f"the data keys of {link.name!r} cannot be sealed again")


def links_of(version: Version) -> list[Links]:
    """Return the links of a version, of its parts and its annotations, in order."""
    return [version.encoding, *(part.encoding for part in _named_by(version))]


def _named_by(version: Version) -> list[Part]:
    return [*version.parts, *(one.part for one in version.annotations)]


async def rewrap(
    store: Store,
    bucket: str,
    key: str,
    version_id: str | None,
    change: Callable[[Version], Version],
    cause: Cause = BY_SERVER,
) -> bool:
    """Amend how the data keys of a version are sealed; tell whether that was another way.

    Args:
        change: returns the version to be, as ``Rewrapping.of`` makes it. It may be called again.

    Raises:
        NoSuchKey, NoSuchVersion, MethodNotAllowed: as ``versions.get``; and what ``change`` raises.
    """
    with translated():
        async with store.turn(bucket, key):
            for _ in attempts():
                held = versions.present(await versions.find(store, bucket, key, version_id), key, version_id, "PUT")
                before, wanted = held.record, change(held.record)
                if wanted == before:
                    return False
                wanted = replace(wanted, revision=store.clock.sequence(wanted.revision))
                happening = Happening((await store.bucket(bucket)).record, before, wanted, cause)
                pairs = zip(_named_by(wanted), _named_by(before), strict=True)
                behind = [new.blob for new, old in pairs if new.encoding != old.encoding]
                if await amend_version_once(store, held, happening, parts=behind):
                    return True
    raise AssertionError  # attempts() raises before


async def renew(store: Store, key_id: str = "") -> int:
    """Have all data keys sealed under the newest master key and the newest materials; return how many versions changed.

    It goes through all versions until there is nothing left to do: what is copied, renamed or completed meanwhile takes
    its data keys as they are to where it has been already.

    Args:
        key_id: the named key whose data keys alone are meant; all keys if empty.

    Raises:
        S3Error: a named key may not be used, or the engines failed.
        ValueError: a data key cannot be opened, or versions are left whose rows are damaged.
    """
    named_ones = {it.document.id: it for it in await named_keys.every(store)}
    usable = {
        name: await named_keys.usable(store, name)
        for name, it in named_ones.items()
        if key_id in ("", name) and it.document.state == "Enabled"
    }
    rewrapping = Rewrapping(store, tuple(usable.values()))

    def again(link: Link) -> Link | None:
        if link.name == named.NAME:
            key = usable.get(named.key_of(link))
            return named.common(link) if key and not named.is_newest(link, key) else None
        if link.name == cipher.NAME and not key_id and store.keyring and not store.keyring.is_newest(link.parameters):
            return Link(cipher.NAME, {}) if DATA_KEY in link.parameters else None
        return None

    count, done = 0, -1
    while done:
        done, damaged = await _renew_once(store, lambda version: rewrapping.of(version, again))
        count += done
    if damaged:
        raise ValueError(
            f"{damaged} rows of versions are damaged, which may need the keys before: s3ish check --repair"
        )
    return count


async def _renew_once(store: Store, change: Callable[[Version], Version]) -> tuple[int, int]:
    """Go through all versions once; return how many changed, and how many could not be read."""
    start, count, damaged = b"", 0, 0
    while rows := await VERSIONS.rows(store.index, start, keys.END, _VERSIONS_AT_ONCE):
        for row, value in rows:
            try:
                found = VERSIONS.decode(row, value)
            except Damaged:
                damaged += 1
                continue
            if (found.encoding or found.annotations) and change(found) is not found:
                count += await _rewrap_one(store, found, change)
        start = keys.after(rows[-1][0])
    return count, damaged


async def _rewrap_one(store: Store, version: Version, change: Callable[[Version], Version]) -> bool:
    """Rewrap a version; tell whether it was: not if it was removed meanwhile, or another one is found by its id."""
    try:
        return await rewrap(store, version.bucket, version.key, version.id, change, _BY_JOB)
    except (NoSuchKey, NoSuchVersion, MethodNotAllowed):
        return False
