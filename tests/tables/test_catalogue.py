"""The tables of a store: keys and back, names for people, homes, and what rows name."""

import pytest

from s3ish.index.memory import MemoryIndex
from s3ish.model import SystemRecord
from s3ish.tables.catalogue import BUCKETS, CURRENT, PARTS, SYSTEM, SYSTEM_HOME, TABLES, UPLOADS, VERSIONS
from s3ish.wire.names import is_bucket_name
from tests.formats.make_samples_2 import MULTIPART, PART, ROWS, SIDECARS, UPLOAD


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.table != "state"])
def test_a_key_is_made_of_what_it_is_split_into(name):
    row = ROWS[name]
    table = TABLES[row.table]
    assert table.key(*table.split(row.key)) == row.key


@pytest.mark.parametrize("name", SIDECARS)
def test_a_sidecar_stands_for_the_row_of_its_record(name):
    told = SIDECARS[name]
    if told.beside[2:] == ("",):
        assert (told.key, told.row()) == (None, None)
        return
    row = told.row()
    assert row == told.table.put(told.record, *told.beside)
    assert told.table.decode(row.key, row.value) == told.record
    assert TABLES.read_sidecar(told.text).same(told)


@pytest.mark.parametrize("table", [table for table in TABLES.sealed if table is not PARTS], ids=lambda it: it.name)
def test_the_rows_at_a_home_are_those_whose_blobs_lie_there(table):
    told = next(it for it in SIDECARS.values() if it.table is table)
    start, stop = table.at_home(table.home(*table.split(told.key)))
    assert start <= told.key < stop
    other_start, other_stop = table.at_home("another/home")
    assert not other_start <= told.key < other_stop


def test_people_read_names():
    assert BUCKETS.title(BUCKETS.key("b")) == "bucket b"
    assert UPLOADS.title(UPLOADS.key("b", "k", "id")) == "b/k upload id"
    assert PARTS.title(PARTS.key("id", 7)) == "upload id part 7"
    assert CURRENT.title(b"b\0k") == "b/k"
    assert VERSIONS.title(b"b\0\xff\0" + bytes(8)).startswith("b/\ufffd/"), "a damaged key"


async def test_a_version_names_its_parts_and_an_upload_those_in_their_table():
    index = MemoryIndex(TABLES.layouts)
    await index.commit([VERSIONS.put(MULTIPART), UPLOADS.put(UPLOAD), PARTS.put(PART, "bucket", "many", UPLOAD.id)])
    version = await VERSIONS.get(index, MULTIPART.bucket, MULTIPART.key, MULTIPART.sequence)
    named = await VERSIONS.named(index, version)
    assert [item.ref for item in named] == [MULTIPART.blob, *(part.blob for part in MULTIPART.parts)]
    assert {item.row for item in named} == {version.row}
    upload = await UPLOADS.get(index, UPLOAD.bucket, UPLOAD.key, UPLOAD.id)
    own, part = await UPLOADS.named(index, upload)
    assert (own.ref, part.ref) == (UPLOAD.blob, PART.blob)
    assert part.sidecar.same(PARTS.sidecar(PART, "bucket", "many", "it has become an object"))
    assert not part.sidecar.same(PARTS.sidecar(PART, "bucket", "other", UPLOAD.id))
    row = PARTS.put(PART, "bucket", "many", UPLOAD.id)
    await index.commit([row.__class__(row.table, row.key, b"damaged")])
    assert (await UPLOADS.named(index, upload))[1] == PARTS.expect(row.key, b"damaged")


def test_what_belongs_to_no_bucket_is_no_bucket():
    assert not is_bucket_name(SYSTEM_HOME)
    assert SYSTEM.home("users/alice") == f"{SYSTEM_HOME}/users/alice"
    for table in (VERSIONS, UPLOADS, BUCKETS):
        start, stop = table.at_home(SYSTEM.home("users/alice"))
        assert not start <= SYSTEM.key("users/alice") < stop
    assert SystemRecord.__struct_fields__[0] == "name"
