"""Lists of objects: what stands in them, when they are made, and that a restart neither loses nor doubles a row."""

import csv
import gzip
import hashlib
import io
import json
import sys
from urllib.parse import unquote

import pytest
from msgspec.structs import replace

from s3ish.api.inventory import lister
from s3ish.index.protocol import Put
from s3ish.jobs import inventory as inventory_job
from s3ish.jobs.inventory import InventoryJob
from s3ish.jobs.runner import run_once
from s3ish.model import Attributes, Lock
from s3ish.objects import appending, buckets
from s3ish.objects.conditions import UNCONDITIONAL
from s3ish.objects.encodings import customer
from s3ish.objects.inventory import FIELDS, List
from s3ish.tables.catalogue import BUCKETS
from s3ish.tables.state import INVENTORY
from tests.objects.support import (
    OTHER,
    Bytes,
    add_part,
    begin,
    complete,
    get,
    keys_of,
    make_bucket,
    put,
    remove,
    sample,
    versions_of,
)

DAY_NS = 86_400 * 10**9
WANTED = List(id="all", target="lists", target_prefix="daily")


@pytest.fixture
async def store(store):
    """A store with a bucket ``b`` and one for lists; it is a Monday, ten past three in the night."""
    await make_bucket(store, "lists")
    store.clock.service.set(1_799_636_400 * 10**9 + 600 * 10**9, store.clock.now_ns())
    return store


class Lists:
    """The lists of bucket ``b``, and the job that makes them."""

    def __init__(self, store, *wanted):
        self.store, self.wanted = store, list(wanted or [WANTED])
        self.job = self.fresh()

    def fresh(self):
        return InventoryJob(self.store, lambda bucket: self.wanted if bucket.name == "b" else [], lister(self.store))

    async def make(self, days=0.0):
        clock = self.store.clock
        clock.service.set(clock.service_ns() + int(days * DAY_NS), clock.now_ns())
        await run_once(self.job)

    async def manifests(self):
        found = [key for key in await keys_of(self.store, bucket="lists") if key.endswith("manifest.json")]
        return [json.loads(await get(self.store, key, bucket="lists")) for key in found]

    async def rows(self, manifest):
        """Return the rows of all files of a list, after comparing each with what the manifest says of it."""
        rows = []
        for file in manifest["files"]:
            data = await get(self.store, file["key"], bucket="lists")
            assert (len(data), hashlib.md5(data).hexdigest()) == (file["size"], file["MD5checksum"])
            rows += csv.reader(io.StringIO(gzip.decompress(data).decode()))
        return rows


async def test_a_list_lies_where_s3_puts_it_and_says_what_is_in_it(store):
    for key in ("a", 'dir/ü ,"b', "c"):
        await put(store, key, b"12345")
    lists = Lists(store, replace(WANTED, fields=("Size", "ETag", "StorageClass")))
    await lists.make()
    token = (await keys_of(store, bucket="lists"))[2].rpartition("/")[2]
    assert await keys_of(store, bucket="lists") == [
        "daily/b/all/2027-01-11T03-10Z/manifest.checksum",
        "daily/b/all/2027-01-11T03-10Z/manifest.json",
        f"daily/b/all/data/{token}",
        "daily/b/all/hive/dt=2027-01-11-03-10/symlink.txt",
    ]
    (manifest,) = await lists.manifests()
    assert manifest == {
        "sourceBucket": "b",
        "destinationBucket": "arn:aws:s3:::lists",
        "version": "2016-11-30",
        "creationTimestamp": manifest["creationTimestamp"],
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size, ETag, StorageClass",
        "files": manifest["files"],
    }
    assert int(manifest["creationTimestamp"]) // 60_000 == 1_799_637_000 // 60
    etag = hashlib.md5(b"12345").hexdigest()
    rows = await lists.rows(manifest)
    assert [row[2:] for row in rows] == [["5", etag, "STANDARD"]] * 3
    assert [unquote(row[1]) for row in rows] == ["a", "c", 'dir/ü ,"b']
    assert rows[2][1] == "dir/%C3%BC%20%2C%22b"
    text = await get(store, "daily/b/all/2027-01-11T03-10Z/manifest.json", bucket="lists")
    assert await get(store, "daily/b/all/2027-01-11T03-10Z/manifest.checksum", bucket="lists") == (
        hashlib.md5(text).hexdigest().encode()
    )
    links = await get(store, "daily/b/all/hive/dt=2027-01-11-03-10/symlink.txt", bucket="lists")
    assert links.decode() == f"s3://lists/daily/b/all/data/{token}\n"


async def test_versions_and_markers_stand_in_a_list_of_all_and_only_objects_in_one_of_current_ones(store):
    await buckets.set_versioning(store, "b", enabled=True)
    old, new = await put(store, "a", b"1"), await put(store, "a", b"12")
    await put(store, "gone", b"123")
    marker = await remove(store, "gone")
    below = (await versions_of(store, "gone"))[1][1]
    everything = replace(WANTED, id="versions", all_versions=True, fields=("Size",))
    lists = Lists(store, WANTED, everything)
    await lists.make()
    of_current, of_all = await lists.manifests()
    assert await lists.rows(of_current) == [["b", "a"]]
    assert of_all["fileSchema"] == "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size"
    assert await lists.rows(of_all) == [
        ["b", "a", new.id, "true", "false", "2"],
        ["b", "a", old.id, "false", "false", "1"],
        ["b", "gone", marker.version_id, "true", "true", ""],
        ["b", "gone", below, "false", "false", "3"],
    ]


async def test_every_optional_field_has_a_value_or_none(store):
    lock = Lock(mode="COMPLIANCE", until_ns=1_900_000_000 * 10**9, legal_hold=True)
    encrypted = {"type": "aws:kms", "key": "k", "bucket-key": "true"}
    await put(store, "a", b"1", attributes=Attributes(lock=lock, storage_class="INTELLIGENT_TIERING"))
    await put(store, "grown", b"1")
    base = await appending.find_base(store, "b", "grown", 1)
    await appending.append(store, base, Bytes(b"2"), conditions=UNCONDITIONAL)
    upload = await begin(store, "many", attributes=Attributes(encryption=encrypted))
    await complete(store, upload, [await add_part(store, upload, 1, sample(300))])
    lists = Lists(store, replace(WANTED, fields=FIELDS))
    await lists.make()
    one, grown, many = [
        dict(zip(("Bucket", "Key", *FIELDS), row, strict=True))
        for row in await lists.rows((await lists.manifests())[0])
    ]
    assert one["ObjectLockRetainUntilDate"] == "2030-03-17T17:46:40.000Z"
    assert (one["ObjectLockMode"], one["ObjectLockLegalHoldStatus"]) == ("COMPLIANCE", "ON")
    assert grown["IsMultipartUploaded"] == "false"
    assert (one["IsMultipartUploaded"], many["IsMultipartUploaded"]) == ("false", "true")
    assert (one["EncryptionStatus"], many["EncryptionStatus"]) == ("NOT-SSE", "SSE-KMS")
    assert (one["BucketKeyStatus"], many["BucketKeyStatus"]) == ("", "ENABLED")
    assert one["IntelligentTieringAccessTier"] == "FREQUENT"
    assert one["LastModifiedDate"].startswith("2027-01-11T03:10:")
    assert one["ObjectOwner"] == "owner-id"


@pytest.mark.parametrize(
    ("kind", "says"),
    [("", "NOT-SSE"), ("AES256", "SSE-S3"), ("aws:kms", "SSE-KMS"), ("aws:kms:dsse", "DSSE-KMS"), ("key", "SSE-C")],
)
async def test_every_kind_of_encryption_has_its_name(store, kind, says):
    """What is under a key of a client has it among its links alone."""
    if kind == "key":
        link = customer.new_link(b"k" * 32, store.clock.random_bytes)
        version = replace(await put(store, "a", b"1"), encoding=(link,))
    else:
        version = await put(store, "a", b"1", attributes=Attributes(encryption={"type": kind} if kind else {}))
    assert replace(WANTED, fields=("EncryptionStatus",)).row(version, latest=True)[2:] == [says]


async def test_lists_are_made_once_a_day_and_once_a_week_from_sunday(store):
    await put(store, "a", b"1")
    lists = Lists(store, WANTED, replace(WANTED, id="weekly", weekly=True))

    async def made():
        found = await lists.manifests()
        return [sum(f"/{name}/" in manifest["files"][0]["key"] for manifest in found) for name in ("all", "weekly")]

    await lists.make()
    await lists.make(0.1)
    assert await made() == [1, 1]
    await lists.make(1)
    assert await made() == [2, 1]
    await lists.make(4.5)
    assert await made() == [3, 1], "it is Saturday"
    await lists.make(1)
    assert await made() == [4, 2]


async def test_a_restart_goes_on_where_the_last_file_ended(store, monkeypatch):
    monkeypatch.setattr(inventory_job, "FILE_ROWS", 6)
    monkeypatch.setattr(inventory_job, "_ROWS_A_STEP", 3)
    names = [f"{number:02}" for number in range(20)]
    for name in names:
        await put(store, name, b"1")
    lists = Lists(store)
    for _ in range(40):
        lists.job = lists.fresh()  # a process that ends after a few steps
        for _ in range(4):
            await lists.job.step()
    await lists.make()
    (manifest,) = await lists.manifests()
    assert [row[1] for row in await lists.rows(manifest)] == names
    data = [key for key in await keys_of(store, bucket="lists") if "/data/" in key]
    assert sorted(data) == sorted(file["key"] for file in manifest["files"]), "no file is left over"


async def test_a_prefix_chooses_and_an_empty_list_has_a_file(store):
    await put(store, "a/1", b"1")
    await put(store, "b/1", b"1")
    lists = Lists(store, replace(WANTED, prefix="b/"), replace(WANTED, id="none", prefix="zzz"))
    await lists.make()
    some, none = await lists.manifests()
    assert [row[1] for row in await lists.rows(some)] == ["b/1"]
    assert await lists.rows(none) == []
    assert len(none["files"]) == 1


@pytest.mark.parametrize("owner", [None, OTHER])
async def test_where_a_list_cannot_go_the_others_are_made(store, owner, logged):
    if owner:
        await buckets.create_bucket(store, "elsewhere", owner, "us-east-1")
    await put(store, "a", b"1")
    lists = Lists(store, replace(WANTED, id="0", target="elsewhere"), WANTED)
    await lists.make()
    assert len(await lists.manifests()) == 1
    assert [line["list"] for line in logged if line["event"] == "list of objects not made"] == ["0"]
    if owner:
        assert await keys_of(store, bucket="elsewhere") == []


async def test_a_damaged_row_of_where_a_list_goes_holds_up_no_other_list(store, logged):
    await make_bucket(store, "elsewhere")
    await put(store, "a", b"1")
    (row,) = await BUCKETS.rows(store.index, b"elsewhere", b"elsewhere\0", 1)
    await store.index.commit([Put(BUCKETS.name, row[0], row[1][:-1] + bytes([row[1][-1] ^ 1]))])
    lists = Lists(store, replace(WANTED, id="0", target="elsewhere"), WANTED)
    await lists.make()
    assert len(await lists.manifests()) == 1
    assert [line["list"] for line in logged if line["event"] == "list of objects not made"] == ["0"]


async def test_what_nothing_asks_for_any_more_is_forgotten(store):
    await put(store, "a", b"1")
    lists = Lists(store)
    await lists.make()
    assert [name for name, _ in await INVENTORY.family(store.index, 10)] == [b"b/all"]
    lists.wanted = []
    await lists.make()
    assert await INVENTORY.family(store.index, 10) == []


async def test_without_its_library_no_list_is_made_as_parquet(store, logged, monkeypatch):
    await put(store, "a", b"12345")
    lists = Lists(store, replace(WANTED, form="Parquet"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    await lists.make()
    assert await lists.manifests() == []
    assert any("s3ish[inventory]" in line["event"] for line in logged)


async def test_parquet_has_types(store):
    read_table = pytest.importorskip("pyarrow.parquet").read_table
    await put(store, "a", b"12345")
    lists = Lists(store, replace(WANTED, form="Parquet", all_versions=True, fields=("Size", "LastModifiedDate")))
    await lists.make()
    (manifest,) = await lists.manifests()
    (file,) = manifest["files"]
    assert file["key"].endswith(".parquet")
    (row,) = read_table(io.BytesIO(await get(store, file["key"], bucket="lists"))).to_pylist()
    assert (row["key"], row["is_latest"], row["size"], row["last_modified_date"].year) == ("a", True, 5, 2027)
