"""A witness of commits: what buckets and owners hold is counted as it changes.

Of versions ``Happening`` counts, uploads and their parts are counted by who writes them. One that counts something else
is a silent fault: a counter that is wrong for good. Where the witness looks on, its first commit fails.
"""

from contextlib import contextmanager

import pytest
from msgspec.structs import astuple

from s3ish.index.protocol import Add, Put
from s3ish.model import Usage
from s3ish.objects import usage
from s3ish.objects.consequences import Happening
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import BUCKETS, OF_BUCKET, OF_OWNER, PARTS, UPLOADS, USAGE, VERSIONS


class Miscounted(BaseException):
    """A writer counted something else; no handler of errors may take this for one of its own."""


@contextmanager
def witnessed():
    """Look on at all commits of stores. Raises Miscounted in the writer."""
    commit = Store.commit

    async def watched(self, changes, expect):
        rows = [row for it in changes for row in (it.rows() if isinstance(it, Happening) else [it])]
        seen = []  # a commit that finds other rows than the witness is decided anew
        wanted = await _counted(self, rows, seen) if any(it.table in _COUNTED for it in rows) else None
        done = await commit(self, changes, [*expect, *seen])
        if done and wanted is not None:
            _require_counted(rows, wanted)
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "commit", watched)
        yield


_COUNTED = {VERSIONS.name, UPLOADS.name, PARTS.name}


def _require_counted(changes, wanted):
    counted = {}
    for change in changes:
        if isinstance(change, Add) and change.table == USAGE.name:
            counted[change.key] = tuple(map(int.__add__, counted.get(change.key, (0,) * 6), change.numbers))
    if {row: numbers for row, numbers in counted.items() if any(numbers)} != wanted:
        raise Miscounted(f"counted {counted}, but what changes is {wanted}")


async def _counted(store, changes, seen):
    """Return what a commit changes of what buckets and owners hold, by row; add the rows that this follows from."""
    found = {}

    def add(bucket, more):
        found[bucket] = found.get(bucket, Usage()) + more

    for bucket, key in {keys.split_version_key(it.key)[:2] for it in changes if it.table == VERSIONS.name}:
        rows = await VERSIONS.rows(store.index, *keys.prefix_range(keys.versions_prefix(bucket, key)), 10_000)
        seen += [VERSIONS.expect(row, value) for row, value in rows]
        before = {row: VERSIONS.decode(row, value) for row, value in rows}
        after = _changed(VERSIONS, before, changes, keys.prefix_range(keys.versions_prefix(bucket, key)))
        for versions, sign in ((before, -1), (after, 1)):
            newest = versions[min(versions)] if versions else None
            held = usage.of_version(None, usage.of_key(None, newest))
            for version in versions.values():
                held += usage.of_version(version)
            add(bucket, held if sign > 0 else -held)
    uploads = {keys.split_upload_key(it.key)[2]: keys.split_upload_key(it.key)[0] for it in changes if _is(it, UPLOADS)}
    for change in (it for it in changes if _is(it, UPLOADS)):
        there = await store.index.get(UPLOADS.name, change.key) is not None
        add(keys.split_upload_key(change.key)[0], Usage(uploads=isinstance(change, Put) - there))
    for change in (it for it in changes if _is(it, PARTS)):
        upload = keys.split_part_key(change.key)[0]
        bucket = uploads.get(upload) or await _bucket_of(store, upload)
        old = await store.index.get(PARTS.name, change.key)
        parts = [(-1, old)] + ([(1, change.value)] if isinstance(change, Put) else [])
        for sign, value in parts:
            if bucket and value is not None:
                add(bucket, Usage(upload_bytes=sign * PARTS.decode(change.key, value).size))
    return await _by_row(store, found)


def _is(change, table):
    return change.table == table.name


def _changed(table, before, changes, place):
    """Return the records of a range after some changes."""
    after = dict(before)
    for change in changes:
        if _is(change, table) and place[0] <= change.key < place[1]:
            after.pop(change.key, None)
            if isinstance(change, Put):
                after[change.key] = table.decode(change.key, change.value)
    return after


async def _bucket_of(store, upload):
    for row, _ in await UPLOADS.rows(store.index, b"", keys.END, 10_000):
        if keys.split_upload_key(row)[2] == upload:
            return keys.split_upload_key(row)[0]
    return None


async def _by_row(store, found):
    wanted = {}
    for bucket, held in found.items():
        there = await BUCKETS.get(store.index, bucket)
        if there is None:
            return None  # it is being removed, and the commit expects it
        for row in (USAGE.key(OF_BUCKET, bucket), USAGE.key(OF_OWNER, there.record.owner.id)):
            wanted[row] = tuple(map(int.__add__, wanted.get(row, (0,) * 6), astuple(held)))
    return {row: numbers for row, numbers in wanted.items() if any(numbers)}
