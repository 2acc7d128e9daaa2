"""Listing keys, versions and uploads in the order of their UTF-8 bytes.

A page costs the page: rows under a common prefix are skipped with one seek, and versions that are not current do not
stand in the table that object listings read.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ListingKeysUsingAPIs.html
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Struct

from s3ish.model import NULL_VERSION, Entry, Upload, Version
from s3ish.objects import versions
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import CURRENT, UPLOADS, VERSIONS
from s3ish.tables.table import Table

T = TypeVar("T")

Rows = Sequence[tuple[bytes, bytes]]

_FIRST_CHUNK = 128
"""Rows read at once, at first, when many may fall under common prefixes that are then skipped with a seek; from then on
it is twice as many as gave a result the time before."""


class Page(Struct, Generic[T]):
    """One page: ``items`` with their keys, ``prefixes``, and whether more follows after ``last``.

    ``last`` is the key or common prefix that the page ends with.
    """

    items: list[tuple[str, T]] = []
    prefixes: list[str] = []
    truncated: bool = False
    last: str = ""

    @property
    def count(self) -> int:
        """Items and prefixes together: what ``max-keys`` limits."""
        return len(self.items) + len(self.prefixes)


class Query(NamedTuple):
    """What a listing asks for: keys with ``prefix``, rolled up at ``delimiter``, at most ``limit`` results."""

    bucket: str
    prefix: str
    delimiter: str
    limit: int


class _Walk(Generic[T]):
    """One listing in progress over a table whose keys begin with bucket, NUL and the object key.

    ``read`` makes keys and items of rows.
    """

    def __init__(
        self, store: Store, table: Table[Any, ...], query: Query, read: Callable[[Rows], list[tuple[str, T]]]
    ) -> None:
        self._store = store
        self._table = table
        self._query = query
        self._read = read
        self._delimiter = query.delimiter.encode()
        self._base = keys.object_key(query.bucket, "")
        self._prefix_length = len(self._base) + len(query.prefix.encode())
        self._page: Page[T] = Page()

    async def run(self, start: bytes, hidden: str) -> Page[T]:
        """Collect the page from row ``start`` on; the common prefix ``hidden`` was on an earlier page."""
        first, stop = keys.prefix_range(self._base + self._query.prefix.encode())
        position = max(first, start)
        if hidden:
            position = max(position, keys.prefix_range(self._base + hidden.encode())[1])
        if not self._delimiter:
            rows = await self._table.rows(self._store.index, position, stop, self._query.limit + 1)
            self._page.truncated = len(rows) > self._query.limit
            self._add(rows[: self._query.limit])
            return self._page
        chunk = _FIRST_CHUNK
        while position < stop:
            chunk = min(chunk, self._query.limit - self._page.count + 1)
            rows = await self._table.rows(self._store.index, position, stop, chunk)
            used, following = self._take(rows)
            if self._page.truncated or (following is None and len(rows) < chunk):
                break
            position = following or keys.after(rows[-1][0])
            chunk = 2 * used
        return self._page

    def _add(self, rows: Rows) -> None:
        if rows:
            self._page.items += self._read(rows)
            self._page.last = self._page.items[-1][0]

    def _take(self, rows: Rows) -> tuple[int, bytes | None]:
        """Add rows to the page, rolled up at the delimiter.

        Returns:
            How many gave a result, and where to go on when the last ones lie under a common prefix.
        """
        page, room, used = self._page, self._query.limit - self._page.count, 0
        plain: list[tuple[bytes, bytes]] = []
        last_prefix, skip_until = "", b""
        for row in rows:
            if row[0] < skip_until:
                continue
            skip_until = b""
            if used == room:
                page.truncated = True
                break
            used += 1
            common = self._common_prefix(row[0])
            if common is None:
                plain.append(row)
                last_prefix = ""
            else:
                last_prefix = common[len(self._base) :].decode()
                page.prefixes.append(last_prefix)
                skip_until = keys.prefix_range(common)[1]
        self._add(plain)
        page.last = last_prefix or page.last
        return used, skip_until or None

    def _common_prefix(self, key: bytes) -> bytes | None:
        at = key.find(self._delimiter, self._prefix_length)
        return key[: at + len(self._delimiter)] if at >= 0 and self._ends_within_key(key, at) else None

    def _ends_within_key(self, key: bytes, at: int) -> bool:
        """In tables whose rows go on after the object key, a delimiter counts only inside it."""
        end = key.find(b"\0", len(self._base))
        return end < 0 or at + len(self._delimiter) <= end


async def list_objects(store: Store, query: Query, after: str) -> Page[Entry]:
    """Return a page of current objects with keys greater than ``after``."""

    base = len(keys.object_key(query.bucket, ""))

    def read(rows: Rows) -> list[tuple[str, Entry]]:
        entries = store.decode_rows(CURRENT, rows)
        return [(row[0][base:].decode(), entry) for row, entry in zip(rows, entries, strict=True)]

    if query.limit == 0:
        return Page()
    start = keys.after(keys.object_key(query.bucket, after)) if after else b""
    return await _Walk(store, CURRENT, query, read).run(start, _hidden(query, after))


def _hidden(query: Query, after: str) -> str:
    """A marker that is itself a common prefix hides everything under it."""
    rolled = query.delimiter and after.endswith(query.delimiter) and len(after) > len(query.prefix)
    if (
        rolled
        and after.startswith(query.prefix)
        and after.find(query.delimiter, len(query.prefix)) == len(after) - len(query.delimiter)
    ):
        return after
    return ""


def beyond_group(query: Query, marker: str) -> str:
    """Return where a listing goes on that a marker begins: one within a common prefix stands for all of it."""
    if query.delimiter and marker.startswith(query.prefix):
        at = marker.find(query.delimiter, len(query.prefix))
        if at >= 0:
            return marker[: at + len(query.delimiter)]
    return marker


class ListedVersion(NamedTuple):
    """A version in a listing, and whether it is the newest of its key."""

    version: Version
    latest: bool


async def list_versions(store: Store, query: Query, key_marker: str, version_marker: str) -> Page[ListedVersion]:
    """Return a page of versions after a key, or after one version of it; none after a version of no key.

    Raises:
        InvalidArgument: ``version_marker`` is not a version id.
    """
    if query.limit == 0 or (version_marker and not key_marker):
        return Page()
    start, latest_key = b"", ""
    if version_marker:
        start, latest_key = keys.after(await _version_row(store, query.bucket, key_marker, version_marker)), key_marker
    elif key_marker:
        start = keys.versions_range(query.bucket, key_marker)[1]
    seen = latest_key

    def read(rows: Rows) -> list[tuple[str, ListedVersion]]:
        nonlocal seen
        found = []
        for version in store.decode_rows(VERSIONS, rows):
            found.append((version.key, ListedVersion(version, latest=version.key != seen)))
            seen = version.key
        return found

    return await _Walk(store, VERSIONS, query, read).run(start, _hidden(query, key_marker))


async def _version_row(store: Store, bucket: str, key: str, version_id: str) -> bytes:
    if version_id == NULL_VERSION:
        held = await versions.find(store, bucket, key, NULL_VERSION)
        return held.key if held else keys.versions_range(bucket, key)[1]
    return keys.version_key(bucket, key, versions.sequence_of(version_id))


async def list_uploads(store: Store, query: Query, key_marker: str, upload_marker: str) -> Page[Upload]:
    """Return a page of uploads in progress after a key, or after one upload of it."""
    if query.limit == 0:
        return Page()
    start = b""
    if key_marker and upload_marker:
        start = keys.after(keys.upload_key(query.bucket, key_marker, upload_marker))
    elif key_marker:
        start = keys.prefix_range(keys.object_key(query.bucket, key_marker) + b"\0")[1]

    def read(rows: Rows) -> list[tuple[str, Upload]]:
        return [(upload.key, upload) for upload in store.decode_rows(UPLOADS, rows)]

    return await _Walk(store, UPLOADS, query, read).run(start, _hidden(query, key_marker))
