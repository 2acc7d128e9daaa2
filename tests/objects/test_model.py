"""Random operations on a whole store, held against a plain dictionary.

The store is the real one: SQLite, three volumes, erasure code. Among the rules are restarts, lost drives, flipped bits,
background jobs and an index that is thrown away and built anew from the sidecars. ``S3ISH_TEST_EXAMPLES`` sets how many
sequences are tried; with it they are not the same in every run.
"""

import asyncio
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from s3ish.errors import (
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    InvalidBucketState,
    InvalidPart,
    InvalidRange,
    InvalidRequest,
    InvalidWriteOffset,
    MethodNotAllowed,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NoSuchVersion,
    PreconditionFailed,
)
from s3ish.integrity.rebuild import rebuild
from s3ish.model import Attributes, Tag
from s3ish.objects import appending, buckets, listing, multipart, rename, versions
from s3ish.objects import get as read
from s3ish.objects.conditions import ReadConditions, WriteConditions
from tests.model.state import Bucket
from tests.objects.encodings.toy import toy
from tests.objects.support import (
    INLINE,
    OWNER,
    PLAIN,
    STRIPE,
    Bytes,
    World,
    add_part,
    begin,
    complete,
    copy_to,
    counted,
    flip,
    get,
    head,
    md5,
    multipart_etag,
    outcome,
    put,
    read_all,
    referenced,
    remove,
    run_jobs,
    sample,
    sealed,
    strays,
)

pytestmark = pytest.mark.slow

MIN_PART = 200
BUCKETS = st.sampled_from(["one", "two"])
KEYS = st.sampled_from(
    ["a", "a/", "a/b", "a//b", "a/b/c", "ab", "a\x01", "é/..", "\U0001f600", "\uffff", "metadata.json"]
)
SIZES = st.sampled_from([0, 1, INLINE - 1, INLINE, INLINE + 1, 500, STRIPE - 1, STRIPE, STRIPE + 1, 2 * STRIPE, 3456])
CONDITIONS = st.sampled_from(["", "", "", "none", "match", "any", "other"])
PICKS = st.integers(0, 10**6)
PREFIXES = st.sampled_from(["", "", "a", "a/", "a/b", "é", "zz"])
DELIMITERS = st.sampled_from(["", "/", "/", "b", "//"])


@dataclass
class ModelVersion:
    id: str
    data: bytes = b""
    etag: str = ""
    marker: bool = False
    attributes: Attributes = PLAIN


@dataclass
class ModelUpload:
    upload: object
    attributes: Attributes
    parts: dict = field(default_factory=dict)


def rolled(items, prefix, delimiter):
    """Return what a listing shows of (key, thing) pairs: the pairs, and a prefix in place of those that share it."""

    def group(item):
        name = item[0]
        at = name.find(delimiter, len(prefix)) if delimiter else -1
        return name[: at + len(delimiter)] if at >= 0 else None

    shown = []
    for common, members in groupby([item for item in items if item[0].startswith(prefix)], key=group):
        shown += list(members) if common is None else [common]
    return shown


class Machine(RuleBasedStateMachine):
    """The store, and beside it the dictionary that it must be like."""

    encoding = ()

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="s3ish-model-"))
        self.loop = asyncio.new_event_loop()
        self.world = World(self.folder, encoding=self.encoding)
        self.store = self.run(self.open())
        self.model = {}
        self.ended = []
        self.seed = 0

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    async def open(self, path=None):
        return self.world.open(path)

    def fresh(self, size):
        self.seed += 1
        return sample(size, self.seed)

    def teardown(self):
        try:
            self.check_everything()
            self.run(self.empty())
            self.run(run_jobs(self.store, self.world.clock))
            assert self.world.files() == []
        finally:
            self.run(self.world.close())
            self.loop.close()
            shutil.rmtree(self.folder)

    async def empty(self):
        for name, bucket in list(self.model.items()):
            for key, kept in bucket.keys.items():
                for version in kept:
                    await remove(self.store, key, version.id, bucket=name)
            await buckets.delete_bucket(self.store, name)

    # --- buckets

    @initialize(versioning=st.sampled_from(["", "Enabled", "Suspended"]))
    def begin_with_a_bucket(self, versioning):
        self.create_bucket("one")
        if versioning:
            self.set_versioning("one", enabled=versioning == "Enabled")

    @rule(name=BUCKETS)
    def create_bucket(self, name):
        done = self.run(outcome(buckets.create_bucket(self.store, name, OWNER, "us-east-1")))
        if name in self.model:
            assert done is BucketAlreadyOwnedByYou
        else:
            assert done.name == name
            self.model[name] = Bucket()

    @rule(name=BUCKETS)
    def delete_bucket(self, name):
        done = self.run(outcome(buckets.delete_bucket(self.store, name)))
        if name not in self.model:
            assert done is NoSuchBucket
        elif self.model[name].keys:
            assert done is BucketNotEmpty
        else:
            assert done is None
            del self.model[name]

    @rule(name=BUCKETS, enabled=st.booleans())
    def set_versioning(self, name, enabled):
        done = self.run(outcome(buckets.set_versioning(self.store, name, enabled)))
        if name not in self.model:
            assert done is NoSuchBucket
        else:
            self.model[name].versioning = done.versioning
            assert done.versioning == ("Enabled" if enabled else "Suspended")

    # --- writing

    def conditions(self, kind, current):
        """Return the conditions of a write, and the error that they lead to."""
        if kind == "none":
            return WriteConditions(if_none_match="*"), PreconditionFailed if current else None
        if kind == "any":
            return WriteConditions(if_match="*"), None if current else NoSuchKey
        if kind == "match":
            return WriteConditions(if_match=f'"{current.etag if current else "0"}"'), None if current else NoSuchKey
        if kind == "other":
            return WriteConditions(if_match='"other"'), PreconditionFailed if current else NoSuchKey
        return WriteConditions(), None

    def written(self, name, key, done, data, etag, attributes):
        assert (done.size, done.etag, done.attributes) == (len(data), etag, attributes)
        self.model[name].add(key, ModelVersion(done.id, data, etag, attributes=attributes))

    @rule(name=BUCKETS, key=KEYS, size=SIZES, kind=CONDITIONS, sized=st.booleans())
    def put(self, name, key, size, kind, sized):
        data = self.fresh(size)
        attributes = Attributes(headers={"content-type": f"x/{self.seed}"}, tags=(Tag("n", str(self.seed)),))
        bucket = self.model.get(name)
        conditions, refusal = self.conditions(kind, bucket.current(key) if bucket else None)
        done = self.run(
            outcome(put(self.store, key, data, bucket=name, conditions=conditions, attributes=attributes, sized=sized))
        )
        if bucket is None:
            assert done is (refusal or NoSuchBucket)
        elif refusal:
            assert done is refusal
        else:
            self.written(name, key, done, data, md5(data), attributes)

    def pick(self, pick):
        """Choose any version that there is, or None."""
        there = [
            (name, key, version)
            for name, bucket in self.model.items()
            for key in sorted(bucket.keys)
            for version in bucket.keys[key]
        ]
        return there[pick % len(there)] if there else None

    @precondition(lambda self: any(bucket.keys for bucket in self.model.values()))
    @rule(pick=PICKS, name=BUCKETS, key=KEYS, kind=CONDITIONS, onto_itself=st.booleans())
    def copy(self, pick, name, key, kind, onto_itself):
        from_bucket, from_key, version = self.pick(pick)
        if version.marker:
            return
        if onto_itself:
            name, key = from_bucket, from_key
        source = self.run(head(self.store, from_key, version.id, bucket=from_bucket))
        bucket = self.model.get(name)
        conditions, refusal = self.conditions(kind, bucket.current(key) if bucket else None)
        done = self.run(outcome(copy_to(self.store, source, key, bucket=name, conditions=conditions)))
        if bucket is None:
            assert done is NoSuchBucket
        elif refusal:
            assert done is refusal
        else:
            self.written(name, key, done, version.data, version.etag, version.attributes)

    @precondition(lambda self: any(bucket.keys for bucket in self.model.values()))
    @rule(pick=PICKS, key=KEYS, replaces=st.booleans())
    def rename(self, pick, key, replaces):
        name, source, version = self.pick(pick)
        bucket = self.model[name]
        conditions = ReadConditions() if replaces else ReadConditions(if_none_match="*")
        renamed = rename.rename_object(
            self.store, name, source, key, of_source=ReadConditions(), of_destination=conditions
        )
        done = self.run(outcome(renamed))
        if source == key or source.endswith("/") or key.endswith("/"):
            assert done is InvalidRequest
        elif bucket.versioning:
            assert done is InvalidBucketState
        elif key in bucket.keys and not replaces:
            assert done is PreconditionFailed
        else:
            assert done is None
            bucket.drop(source, version)
            bucket.add(key, version)

    @precondition(lambda self: any(bucket.keys for bucket in self.model.values()))
    @rule(pick=PICKS, size=SIZES, off=st.sampled_from([0, 0, 0, 1]))
    def append(self, pick, size, off):
        name, key, version = self.pick(pick)
        data = self.fresh(size)
        done = self.run(outcome(self.appended(name, key, len(version.data) + off, data)))
        if self.model[name].versioning:
            assert done is InvalidBucketState
        elif off:
            assert done is InvalidWriteOffset
        else:
            assert done.version.size == len(version.data) + size
            version.data, version.etag = version.data + data, done.version.etag

    async def appended(self, name, key, offset, data):
        base = await appending.find_base(self.store, name, key, offset)
        return await appending.append(self.store, base, Bytes(data), conditions=WriteConditions())

    # --- amending

    @precondition(lambda self: any(bucket.keys for bucket in self.model.values()))
    @rule(pick=PICKS, name=st.sampled_from(["", "a", "b"]))
    def tag(self, pick, name):
        """Give any version other tags, by its id or as the newest."""
        bucket, key, version = self.pick(pick)
        attributes = replace(version.attributes, tags=(Tag(name, str(self.seed)),) if name else ())
        newest = self.model[bucket].keys[key][0] is version
        done = self.run(
            outcome(
                versions.amend_version(
                    self.store,
                    bucket,
                    key,
                    None if newest and pick % 2 else version.id,
                    lambda found: replace(found, attributes=attributes),
                )
            )
        )
        if version.marker:
            assert done in (MethodNotAllowed, NoSuchKey)
            return
        assert (done.id, done.attributes) == (version.id, attributes)
        version.attributes = attributes

    # --- removing

    @rule(name=BUCKETS, key=KEYS, kind=CONDITIONS)
    def delete(self, name, key, kind):
        bucket = self.model.get(name)
        conditions, refusal = self.conditions(kind, bucket.current(key) if bucket else None)
        done = self.run(outcome(remove(self.store, key, bucket=name, conditions=conditions)))
        if bucket is None:
            assert done is NoSuchBucket
        elif refusal:
            assert done is refusal
        elif bucket.versioning:
            assert done.marker
            assert done.made
            bucket.add(key, ModelVersion(done.version_id, marker=True))
        elif key in bucket.keys:
            bucket.drop(key, bucket.newest(key))

    @precondition(lambda self: any(bucket.keys for bucket in self.model.values()))
    @rule(pick=PICKS)
    def delete_version(self, pick):
        name, key, version = self.pick(pick)
        done = self.run(remove(self.store, key, version.id, bucket=name))
        assert (done.version_id, done.marker, done.made) == (version.id, version.marker, False)
        self.model[name].drop(key, version)
        again = self.run(remove(self.store, key, version.id, bucket=name))
        assert (again.version_id, again.marker) == (version.id, False)

    # --- reading

    def expected(self, name, key):
        bucket = self.model.get(name)
        return bucket.current(key) if bucket else None

    @rule(name=BUCKETS, key=KEYS)
    def get(self, name, key):
        current = self.expected(name, key)
        found = self.run(outcome(get(self.store, key, bucket=name)))
        assert found == (current.data if current else NoSuchKey)

    @rule(name=BUCKETS, key=KEYS, first=st.integers(0, 4000), last=st.integers(0, 4000))
    def get_range(self, name, key, first, last):
        current = self.expected(name, key)
        if current is None:
            return
        version = self.run(head(self.store, key, bucket=name))
        header = f"bytes={first}-{last}"
        if first <= last and first >= len(current.data):
            assert self.run(outcome(self.span(version, header))) is InvalidRange
        else:
            wanted = current.data[first : last + 1] if first <= last else current.data
            assert self.run(self.span(version, header)) == wanted

    async def span(self, version, header):
        span = read.select(version, header, None)
        return await read_all(self.store, version, span.start, span.stop)

    # --- multipart

    @rule(name=BUCKETS, key=KEYS)
    def create_upload(self, name, key):
        self.seed += 1
        attributes = Attributes(metadata={"n": str(self.seed)})
        done = self.run(outcome(begin(self.store, key, bucket=name, attributes=attributes)))
        if name not in self.model:
            assert done is NoSuchBucket
        else:
            self.model[name].uploads[done.id] = ModelUpload(done, attributes)

    def pick_upload(self, pick):
        there = [(bucket, item) for bucket in self.model.values() for item in bucket.uploads.values()]
        return there[pick % len(there)]

    in_progress = precondition(lambda self: any(bucket.uploads for bucket in self.model.values()))

    @in_progress
    @rule(pick=PICKS, number=st.integers(1, 4), size=SIZES)
    def put_part(self, pick, number, size):
        _, item = self.pick_upload(pick)
        data = self.fresh(size)
        part = self.run(add_part(self.store, item.upload, number, data))
        assert (part.number, part.size, part.etag) == (number, size, md5(data))
        item.parts[number] = (data, part)

    @in_progress
    @rule(pick=PICKS, numbers=st.sets(st.integers(1, 4), min_size=1), kind=CONDITIONS)
    def complete(self, pick, numbers, kind):
        bucket, item = self.pick_upload(pick)
        upload = item.upload
        sizes = {number: len(data) for number, (data, _) in item.parts.items()}
        chosen = sorted(number for number in numbers if number in sizes)
        chosen = [n for n in chosen if n == chosen[-1] or sizes[n] >= MIN_PART]
        if not chosen:
            return
        conditions, refusal = self.conditions(kind, bucket.current(upload.key))
        parts = [item.parts[number] for number in chosen]
        done = self.run(outcome(complete(self.store, upload, [part for _, part in parts], conditions=conditions)))
        if refusal:
            assert done is refusal
            return
        etag = multipart_etag([data for data, _ in parts])
        self.written(upload.bucket, upload.key, done, b"".join(data for data, _ in parts), etag, item.attributes)
        del bucket.uploads[upload.id]
        self.ended.append(upload)
        again = self.run(complete(self.store, upload, [part for _, part in parts], conditions=conditions))
        assert (again.id, again.etag) == (done.id, done.etag)

    @in_progress
    @rule(pick=PICKS)
    def complete_with_what_is_not_there(self, pick):
        _, item = self.pick_upload(pick)
        wrong = [multipart.Chosen(9, "0" * 32, {})]
        upload = item.upload
        refused = multipart.complete_upload(self.store, upload.bucket, upload.key, upload.id, wrong)
        assert self.run(outcome(refused)) is InvalidPart

    @in_progress
    @rule(pick=PICKS)
    def abort(self, pick):
        bucket, item = self.pick_upload(pick)
        upload = item.upload
        self.run(multipart.abort_upload(self.store, upload.bucket, upload.key, upload.id))
        del bucket.uploads[upload.id]
        self.ended.append(upload)

    @precondition(lambda self: self.ended)
    @rule(pick=PICKS)
    def use_an_upload_that_has_ended(self, pick):  # case 124
        upload = self.ended[pick % len(self.ended)]
        assert self.run(outcome(add_part(self.store, upload, 1, b"x"))) is NoSuchUpload
        abort = multipart.abort_upload(self.store, upload.bucket, upload.key, upload.id)
        assert self.run(outcome(abort)) is NoSuchUpload

    # --- listing

    @rule(name=BUCKETS, prefix=PREFIXES, delimiter=DELIMITERS, limit=st.integers(1, 5))
    def list_objects(self, name, prefix, delimiter, limit):
        bucket = self.model.get(name, Bucket())
        current = [(key, bucket.current(key)) for key in sorted(bucket.keys)]
        shown = rolled([(key, (v.etag, len(v.data))) for key, v in current if v], prefix, delimiter)
        found, after = [], ""
        while True:
            page = self.run(listing.list_objects(self.store, listing.Query(name, prefix, delimiter, limit), after))
            items = [(key, (entry.etag, entry.size)) for key, entry in page.items]
            found += merge(items, page.prefixes)
            assert page.count <= limit
            assert page.truncated == (len(found) < len(shown))
            if not page.truncated:
                break
            after = page.last
        assert found == shown

    @rule(name=BUCKETS, prefix=PREFIXES, delimiter=DELIMITERS, limit=st.integers(1, 5))
    def list_versions(self, name, prefix, delimiter, limit):
        shown = rolled(self.all_versions(name), prefix, delimiter)
        found, marker, version = [], "", ""
        while True:
            query = listing.Query(name, prefix, delimiter, limit)
            page = self.run(listing.list_versions(self.store, query, marker, version))
            items = [(key, (i.version.id, i.latest, i.version.marker, i.version.etag)) for key, i in page.items]
            found += merge(items, page.prefixes)
            assert page.count <= limit
            assert page.truncated == (len(found) < len(shown))
            if not page.truncated:
                break
            ends_with_item = page.items and page.items[-1][0] == page.last
            marker, version = page.last, page.items[-1][1].version.id if ends_with_item else ""
        assert found == shown

    def all_versions(self, name):
        bucket = self.model.get(name, Bucket())
        return [
            (key, (version.id, version is bucket.keys[key][0], version.marker, version.etag))
            for key in sorted(bucket.keys)
            for version in bucket.keys[key]
        ]

    @rule()
    def check_everything(self):
        """Every version, upload and part is there with all that belongs to it, and not a blob more."""
        self.run(self.compare())

    async def compare(self):
        listed, more = await buckets.list_buckets(self.store, OWNER, "", "", 100)
        assert not more
        assert [(b.name, b.versioning) for b in listed] == [(n, b.versioning) for n, b in sorted(self.model.items())]
        for name, bucket in self.model.items():
            page = await listing.list_versions(self.store, listing.Query(name, "", "", 1000), "", "")
            listed = [(key, (i.version.id, i.latest, i.version.marker, i.version.etag)) for key, i in page.items]
            assert listed == self.all_versions(name)
            for key, kept in bucket.keys.items():
                for version in kept:
                    await self.compare_version(name, key, version)
            await self.compare_uploads(name, bucket)
        assert await sealed(self.store) == await referenced(self.store)
        assert await strays(self.store) == []
        kept, found = await counted(self.store)
        assert kept == found

    async def compare_version(self, name, key, version):
        if version.marker:
            assert await outcome(head(self.store, key, version.id, bucket=name)) is MethodNotAllowed
            return
        found = await head(self.store, key, version.id, bucket=name)
        assert (found.etag, found.size) == (version.etag, len(version.data))
        assert found.attributes == version.attributes
        assert await read_all(self.store, found) == version.data

    async def compare_uploads(self, name, bucket):
        page = await listing.list_uploads(self.store, listing.Query(name, "", "", 1000), "", "")
        wanted = sorted(bucket.uploads.values(), key=lambda item: (item.upload.key.encode(), item.upload.created_ns))
        assert [upload for _, upload in page.items] == [item.upload for item in wanted]
        for item in wanted:
            parts, more = await multipart.list_parts(self.store, item.upload.id, 0, 100)
            assert not more
            assert parts == [part for _, (_, part) in sorted(item.parts.items())]

    @rule(name=BUCKETS, key=KEYS)
    def get_what_never_was(self, name, key):
        unknown = "a" * 24
        assert self.run(outcome(get(self.store, key, unknown, bucket=name))) is NoSuchVersion

    # --- the world

    @rule()
    def restart(self):
        self.run(self.world.close())
        self.store = self.run(self.open())

    @rule()
    def lose_the_index(self):  # case 23
        self.run(self.world.close())
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.unlink(f"{self.world.index_path}{suffix}")
        self.store = self.run(self.open())
        found = self.run(rebuild(self.store))
        assert found["orphans"] == found["unknown"] == 0
        self.check_everything()

    async def scan(self):
        return [blob.ref async for blob in self.store.blobs.scan()]

    async def heal(self, ref):
        health = await self.store.blobs.check(ref, repair=True)
        assert health.readable
        assert health.damaged
        assert health.repaired
        assert (await self.store.blobs.check(ref, repair=False)).whole

    def damage(self, pick, spoil):
        """Spoil something of one blob, find everything as before, heal it."""
        found = self.run(self.scan())
        if not found:
            return
        ref = found[pick % len(found)]
        spoil(ref)
        self.check_everything()
        self.run(self.heal(ref))

    @rule(pick=PICKS, offset=PICKS)
    def flip_a_bit(self, pick, offset):  # case 17, case 20
        def spoil(ref):
            paths = [path for path in self.world.files_of(ref) if os.path.getsize(path)]
            path = paths[offset % len(paths)]
            flip(path, offset % os.path.getsize(path))

        self.damage(pick, spoil)

    @rule(pick=PICKS, number=st.integers(0, 2))
    def lose_a_drive_of_a_blob(self, pick, number):
        def spoil(ref):
            positions = list(dict.fromkeys(ref.volumes))
            root = self.world.volume_roots[positions[number % len(positions)]]
            shutil.rmtree(f"{root}/{ref.id}")

        self.damage(pick, spoil)

    @rule()
    def run_the_jobs(self):
        assert self.run(run_jobs(self.store, self.world.clock)) == 0
        self.check_everything()


def merge(items, prefixes):
    """Return items and prefixes of a page in the order of the listing."""
    return sorted([*items, *prefixes], key=lambda item: (item if isinstance(item, str) else item[0]).encode())


class EncodingMachine(Machine):
    """A store that keeps other bytes than it is given, and more of them."""

    encoding = (toy(),)


def profile():
    examples = os.environ.get("S3ISH_TEST_EXAMPLES")
    return settings(
        derandomize=not examples,
        database=None,
        deadline=None,
        max_examples=int(examples or 40),
        stateful_step_count=40,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("machine", [Machine, EncodingMachine])
def test_the_store_is_like_a_dictionary(monkeypatch, machine):
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", MIN_PART)
    run_state_machine_as_test(machine, settings=profile())
