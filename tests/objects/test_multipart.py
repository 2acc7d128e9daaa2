"""Multipart uploads: which parts make which object.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
"""

import hashlib

import pytest
from msgspec.structs import replace

from s3ish import checksum
from s3ish.errors import (
    BadDigest,
    EntityTooSmall,
    InvalidArgument,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
)
from s3ish.model import Attributes, Checksum
from s3ish.objects import buckets, listing, multipart
from s3ish.objects.conditions import WriteConditions
from tests.objects.support import (
    Bytes,
    add_part,
    begin,
    complete,
    get,
    head,
    multipart_etag,
    outcome,
    put,
    read_all,
    referenced,
    remove,
    sample,
    sealed,
)

pytestmark = pytest.mark.usefixtures("small_parts")
A, B, C = sample(250, 1), sample(1500, 2), sample(3, 3)


async def upload_of(store, *parts, key="k", **fields):
    upload = await begin(store, key, **fields)
    return upload, [await add_part(store, upload, number, data) for number, data in enumerate(parts, 1)]


async def all_uploads(store, limit=1000, prefix="", delimiter=""):
    found, key, upload_id = [], "", ""
    while True:
        page = await listing.list_uploads(store, listing.Query("b", prefix, delimiter, limit), key, upload_id)
        found += [upload.id for _, upload in page.items]
        if not page.truncated:
            return found
        key, upload_id = page.last, page.items[-1][1].id


async def test_parts_become_an_object(store):
    attributes = Attributes(headers={"content-type": "x/y"}, metadata={"a": "b"})
    upload, parts = await upload_of(store, A, B, C, attributes=attributes)
    assert await outcome(get(store, "k")) is NoSuchKey
    version = await complete(store, upload, parts)
    assert (version.etag, version.size, version.attributes) == (multipart_etag([A, B, C]), 1753, attributes)
    assert await get(store, "k") == A + B + C
    assert await all_uploads(store) == []
    assert await sealed(store) == await referenced(store)


async def test_any_range_over_any_part_edge(store):
    upload, parts = await upload_of(store, A, B, C)
    version = await complete(store, upload, parts)
    whole = A + B + C
    edges = sorted({n + step for n in (0, 250, 1250, 1750, 1753) for step in (-1, 0, 1) if 0 <= n + step <= 1753})
    for start in edges:
        for stop in edges:
            if start <= stop:
                assert await read_all(store, version, start, stop) == whole[start:stop], (start, stop)


async def test_parts_may_come_in_any_order_and_be_replaced(store):
    upload = await begin(store, "k")
    third = await add_part(store, upload, 10_000, C)
    await add_part(store, upload, 7, b"replaced")
    second = await add_part(store, upload, 7, B)
    first = await add_part(store, upload, 1, A)
    await add_part(store, upload, 5, b"not chosen")
    parts, more = await multipart.list_parts(store, upload.id, 0, 100)
    assert ([part.number for part in parts], more) == ([1, 5, 7, 10_000], False)
    await complete(store, upload, [first, second, third])
    assert await get(store, "k") == A + B + C
    assert await sealed(store) == await referenced(store), "what was replaced or not chosen is gone"


async def test_parts_come_in_pages(store):
    upload, parts = await upload_of(store, A, A, A, A, A)
    found, after = [], 0
    while True:
        page, more = await multipart.list_parts(store, upload.id, after, 2)
        found += page
        if not more:
            break
        after = page[-1].number
    assert found == parts
    assert await multipart.list_parts(store, upload.id, 10_000, 2) == ([], False)
    assert await multipart.list_parts(store, upload.id, 2**40, 2) == ([], False)


@pytest.mark.parametrize("number", [0, -1, 10_001, 2**31, 2**70])
async def test_part_numbers_outside_the_range_are_refused(store, number):  # case 122
    upload = await begin(store, "k")
    assert await outcome(add_part(store, upload, number, A)) is InvalidArgument


@pytest.mark.parametrize(
    ("chosen", "error"),
    [
        ([(2, "B"), (1, "A")], InvalidPartOrder),
        ([(1, "A"), (1, "A")], InvalidPartOrder),
        ([(1, "A"), (4, "A")], InvalidPart),
        ([(1, "B")], InvalidPart),
        ([(1, "")], InvalidPart),
        ([(0, "A")], InvalidArgument),
        ([(1, "A"), (10_001, "A")], InvalidArgument),
        ([(1, "A"), (2, "B"), (3, "C"), (4, "C")], EntityTooSmall),
        ([(3, "C"), (4, "C")], EntityTooSmall),
    ],
)
async def test_a_wrong_list_of_parts_is_refused_and_the_upload_goes_on(store, chosen, error):  # case 123
    upload, parts = await upload_of(store, A, B, C)
    if error is EntityTooSmall:
        await add_part(store, upload, 4, C)
    etags = {"A": parts[0].etag, "B": parts[1].etag, "C": parts[2].etag, "": ""}
    wanted = [multipart.Chosen(number, etags[name], {}) for number, name in chosen]
    assert await outcome(multipart.complete_upload(store, "b", "k", upload.id, wanted)) is error
    assert await outcome(get(store, "k")) is NoSuchKey
    await complete(store, upload, parts)
    assert await get(store, "k") == A + B + C


async def test_the_last_part_may_be_small_or_empty(store):
    upload, parts = await upload_of(store, A, b"")
    await complete(store, upload, parts)
    assert await get(store, "k") == A
    upload, parts = await upload_of(store, b"", key="empty")
    assert (await complete(store, upload, parts)).etag == multipart_etag([b""])
    assert await get(store, "empty") == b""


async def test_many_parts(store, monkeypatch):  # case 122
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 0)
    upload = await begin(store, "k")
    count = 300
    parts = [await add_part(store, upload, number * 33, b"%d," % number) for number in range(1, count + 1)]
    await complete(store, upload, parts)
    assert await get(store, "k") == b"".join(b"%d," % number for number in range(1, count + 1))


async def test_a_repeated_completion_gets_the_same_answer(store):
    upload, parts = await upload_of(store, A, C)
    first = await complete(store, upload, parts, conditions=WriteConditions(if_none_match="*"))
    again = await complete(store, upload, parts, conditions=WriteConditions(if_none_match="*"))
    assert again == first
    assert await outcome(complete(store, upload, parts[:1])) is NoSuchUpload, "not the same request"
    await buckets.set_versioning(store, "b", enabled=True)
    await put(store, "k", b"newer")
    assert (await complete(store, upload, parts)).etag == first.etag
    assert await get(store, "k") == b"newer", "answering again changes nothing"
    await remove(store, "k", "null")
    assert await outcome(complete(store, upload, parts)) is NoSuchUpload


async def test_conditions_hold_for_completion(store):
    await put(store, "k", b"old")
    upload, parts = await upload_of(store, A)
    refused = complete(store, upload, parts, conditions=WriteConditions(if_none_match="*"))
    assert await outcome(refused) is PreconditionFailed
    assert await get(store, "k") == b"old"
    current = await head(store, "k")
    await complete(store, upload, parts, conditions=WriteConditions(if_match=f'"{current.etag}"'))
    assert await get(store, "k") == A
    assert await sealed(store) == await referenced(store)


@pytest.mark.parametrize("upload_id", ["", "../x", "a" * 65, "é", "a\0b", "a" * 10**6, "unknown"])
async def test_an_unknown_upload_is_not_found(store, upload_id):  # case 124
    upload = replace(await begin(store, "k"), id=upload_id)
    assert await outcome(add_part(store, upload, 1, A)) is NoSuchUpload
    assert await outcome(multipart.abort_upload(store, "b", "k", upload_id)) is NoSuchUpload
    wanted = [multipart.Chosen(1, "0" * 32, {})]
    assert await outcome(multipart.complete_upload(store, "b", "k", upload_id, wanted)) is NoSuchUpload


async def test_an_upload_belongs_to_its_key_and_bucket(store):  # case 124
    await buckets.create_bucket(store, "other", (await store.bucket("b")).record.owner, "r")
    upload, parts = await upload_of(store, A)
    for changed in (replace(upload, key="k2"), replace(upload, bucket="other")):
        assert await outcome(add_part(store, changed, 1, A)) is NoSuchUpload
        assert await outcome(complete(store, changed, parts)) is NoSuchUpload
        assert await outcome(multipart.abort_upload(store, changed.bucket, changed.key, changed.id)) is NoSuchUpload


async def test_an_aborted_upload_leaves_nothing(store):
    before = await sealed(store)
    upload, parts = await upload_of(store, A, B, C)
    await multipart.abort_upload(store, "b", "k", upload.id)
    assert await sealed(store) == before
    assert await outcome(complete(store, upload, parts)) is NoSuchUpload
    assert await multipart.list_parts(store, upload.id, 0, 10) == ([], False)


async def test_uploads_do_not_keep_a_bucket(store, world):
    upload, _ = await upload_of(store, A, B)
    await begin(store, "other")
    await buckets.delete_bucket(store, "b")
    assert world.files() == []
    assert await outcome(add_part(store, upload, 3, A)) is NoSuchUpload


async def test_an_upload_into_no_bucket_leaves_nothing(store):
    before = await sealed(store)
    assert await outcome(begin(store, "k", bucket="nowhere")) is NoSuchBucket
    assert await sealed(store) == before


async def test_uploads_are_listed_by_key_and_then_by_their_beginning(store):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html"""
    made = [await begin(store, key) for key in ("k", "a/1", "k", "a/2", "k", "a/1")]
    order = [1, 5, 3, 0, 2, 4]
    assert await all_uploads(store) == [made[number].id for number in order]
    for limit in (1, 2, 3):
        assert await all_uploads(store, limit) == [made[number].id for number in order]
    page = await listing.list_uploads(store, listing.Query("b", "", "/", 10), "", "")
    assert (page.prefixes, [upload.id for _, upload in page.items]) == (["a/"], [made[n].id for n in (0, 2, 4)])


async def test_checksums_of_parts_make_that_of_the_whole(store):
    for algorithm, kind in (("CRC32", "FULL_OBJECT"), ("CRC32C", "FULL_OBJECT"), ("CRC64NVME", "FULL_OBJECT")):
        upload, parts = await upload_of(store, A, B, C, checksum_algorithm=algorithm, checksum_kind=kind)
        version = await complete(store, upload, parts)
        hasher = checksum.Hasher(algorithm)
        hasher.update(A + B + C)
        assert version.checksum == Checksum(algorithm, hasher.value(), kind)
    upload = await begin(store, "k", checksum_algorithm="SHA256", checksum_kind="COMPOSITE")
    assert await outcome(add_part(store, upload, 1, A)) is InvalidRequest, "the whole's is made of the parts'"
    parts = [await add_part(store, upload, n, data, algorithm="SHA256") for n, data in ((1, A), (2, B))]
    assert await outcome(complete(store, upload, parts)) is InvalidRequest, "each must be named again"
    chosen = [multipart.Chosen(part.number, part.etag, {"SHA256": part.checksum.value}) for part in parts]
    version = await multipart.complete_upload(store, "b", "k", upload.id, chosen)
    hasher = checksum.Hasher("SHA256")
    hasher.update(hashlib.sha256(A).digest() + hashlib.sha256(B).digest())
    assert version.checksum == Checksum("SHA256", hasher.value() + "-2", "COMPOSITE")


async def test_what_the_client_says_of_the_whole_must_be_so(store):
    upload, parts = await upload_of(store, A, B, checksum_algorithm="CRC32", checksum_kind="FULL_OBJECT")
    for said, error in (
        ({"expected_size": 1749}, InvalidRequest),
        ({"expected_kind": "COMPOSITE"}, InvalidRequest),
        ({"expected": Checksum("CRC32", "AAAAAA==")}, BadDigest),
        ({"expected": Checksum("SHA256", "x")}, InvalidRequest),
    ):
        assert await outcome(complete(store, upload, parts, **said)) is error
    wrong = [multipart.Chosen(1, parts[0].etag, {"CRC32": "AAAAAA=="}), multipart.Chosen(2, parts[1].etag, {})]
    assert await outcome(multipart.complete_upload(store, "b", "k", upload.id, wrong)) is InvalidPart
    hasher = checksum.Hasher("CRC32")
    hasher.update(A + B)
    said = {"expected_size": 1750, "expected_kind": "FULL_OBJECT", "expected": Checksum("CRC32", hasher.value())}
    await complete(store, upload, parts, **said)


async def test_a_part_of_another_algorithm_is_refused(store):
    upload = await begin(store, "k", checksum_algorithm="SHA256", checksum_kind="COMPOSITE")
    refused = multipart.put_part(store, "b", "k", upload.id, 1, Bytes(A, algorithm="CRC32"))
    assert await outcome(refused) is InvalidRequest
