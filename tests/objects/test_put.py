"""PutObject: what is stored is what was sent, or nothing is."""

import base64
import hashlib

import pytest

from s3ish.blob.protocol import Unwritable, VolumesFull
from s3ish.checksum import ALGORITHMS, Hasher
from s3ish.errors import (
    BadDigest,
    IncompleteBody,
    InsufficientStorage,
    NoSuchBucket,
    NoSuchKey,
    ServiceUnavailable,
    XAmzContentSHA256Mismatch,
)
from s3ish.index.protocol import Unavailable
from s3ish.model import Checksum
from s3ish.objects import put as write
from s3ish.objects.digests import Claims
from tests.objects.support import (
    OWNER,
    PLAIN,
    Bytes,
    get,
    md5,
    outcome,
    put,
    referenced,
    sample,
    sealed,
)

EDGES = [0, 1, 99, 100, 101, 499, 500, 501, 999, 1000, 1001, 1999, 2000, 2001, 3456]


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("size", EDGES)
async def test_sizes_at_every_edge(store, size, sized):  # case 117, case 120
    data = sample(size)
    written = await put(store, "k", data, sized=sized)
    assert (written.size, written.etag, written.blob.inline) == (size, md5(data), size <= 100)
    assert await get(store, "k") == data


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_checksums_are_kept(store, algorithm):
    hasher = Hasher(algorithm)
    hasher.update(sample(1500))
    claims = Claims(checksum=hasher.value())
    written = await put(store, "k", sample(1500), algorithm=algorithm, claims=claims)
    assert written.checksum == Checksum(algorithm, hasher.value())


async def test_without_an_algorithm_it_is_crc64nvme(store):
    assert (await put(store, "k")).checksum.algorithm == "CRC64NVME"


@pytest.mark.parametrize("size", [5, 1500])
@pytest.mark.parametrize(
    ("claims", "error"),
    [
        (Claims(md5=b"x" * 16), BadDigest),
        (Claims(sha256="0" * 64), XAmzContentSHA256Mismatch),
        (Claims(checksum="AAAAAAAAAAA="), BadDigest),
    ],
)
async def test_a_digest_that_does_not_match_stores_nothing(store, world, claims, error, size):  # case 115, case 116
    await put(store, "k", b"old")
    before = world.files()
    assert await outcome(put(store, "k", sample(size), claims=claims)) is error
    assert await get(store, "k") == b"old"
    assert world.files() == before


async def test_digests_that_match(store):
    data = sample(1500)
    claims = Claims(md5=hashlib.md5(data).digest(), sha256=hashlib.sha256(data).hexdigest())
    assert (await put(store, "k", data, claims=claims)).etag == md5(data)
    with pytest.raises(BadDigest) as refused:
        await put(store, "k", data, claims=Claims(md5=b"x" * 16))
    assert refused.value.details["CalculatedDigest"] == base64.b64encode(hashlib.md5(data).digest()).decode()


class Broken(Bytes):
    """A sender that goes away after so many bytes."""

    def __init__(self, data, after):
        super().__init__(data[:after])
        self.size = len(data)

    async def read(self, limit):
        piece = await super().read(limit)
        if len(piece) < limit:
            raise IncompleteBody
        return piece


@pytest.mark.parametrize("after", [0, 50, 1000, 1500, 2999])
async def test_a_sender_that_goes_away_stores_nothing(store, world, after):  # case 110
    await put(store, "k", b"old")
    before = world.files()
    broken = write.put_object(store, "b", "k", Broken(sample(3000), after), owner=OWNER, attributes=PLAIN)
    assert await outcome(broken) is IncompleteBody
    assert await get(store, "k") == b"old"
    assert world.files() == before


@pytest.mark.parametrize("size", [5, 1500])
async def test_no_bucket_no_object(store, world, size):
    before = world.files()
    assert await outcome(put(store, "k", sample(size), bucket="nowhere")) is NoSuchBucket
    assert world.files() == before


async def test_what_is_replaced_is_removed_before_the_answer(store):
    for size in (5, 1500, 50, 3000):
        await put(store, "k", sample(size))
        assert await sealed(store) == await referenced(store)
    await store.settle()
    assert list(await store.index.scan("garbage", b"", b"\xff", 9)) == []


KEYS = ["a", "a/", "a//", "a/b", "/a", "//", "..", ".", "a/..", "metadata.json", "data.0", "@", "%41", "A", "a\nb", "é"]
KEYS += ["\U0001f600", "\uffff", "x" * 1024, "y" * 300 + "/z", "con", "e\u0301", "\u202e"]


@pytest.mark.parametrize("key", KEYS)
async def test_every_key_is_its_own_object(store, key):  # case 32
    neighbours = [k for k in ("a", "a/", "a//", "a/b", "A", "é", "e\u0301") if k != key]
    for other in neighbours:
        await put(store, other, other.encode())
    await put(store, key, b"mine" * 300)
    assert await get(store, key) == b"mine" * 300
    for other in neighbours:
        assert await get(store, other) == other.encode()


@pytest.mark.parametrize(
    ("failure", "error"), [(VolumesFull("full"), InsufficientStorage), (Unwritable("gone"), ServiceUnavailable)]
)
async def test_a_failing_volume_is_told_and_stores_nothing(store, monkeypatch, failure, error):  # case 133
    async def fail(*_):
        raise failure

    await put(store, "k", b"old")
    from s3ish.blob.erasure.writer import ErasureWriter

    for step in ("finish", "seal"):
        with monkeypatch.context() as patched:
            patched.setattr(ErasureWriter, step, fail)
            assert await outcome(put(store, "k", sample(1500))) is error
        assert await get(store, "k") == b"old"
        assert await sealed(store) == await referenced(store)


async def test_an_index_that_fails_is_told_and_the_object_is_the_old_one(store, monkeypatch):
    async def fail(*_):
        raise Unavailable("disk full")

    await put(store, "k", b"old")
    with monkeypatch.context() as patched:
        patched.setattr(store.index, "commit", fail)
        assert await outcome(put(store, "k", b"new")) is ServiceUnavailable
        assert await outcome(put(store, "other", b"new")) is ServiceUnavailable
    assert await get(store, "k") == b"old"
    assert await outcome(get(store, "other")) is NoSuchKey


async def test_garbage_that_is_gone_is_forgotten_with_the_next_commit(store, monkeypatch):
    """It fails nothing if that is impossible now, and is not lost either."""
    await put(store, "k", b"old")
    real, calls = store.index.commit, []

    async def fail_second(changes, expect=()):
        calls.append(changes)
        if len(calls) == 2:
            raise Unavailable("gone meanwhile")
        await real(changes, expect)

    monkeypatch.setattr(store.index, "commit", fail_second)
    await put(store, "k", b"new")
    assert len(calls) == 1
    await store.settle()
    await store.settle()
    assert len(calls) == 3
    assert calls[1] == calls[2]
    assert await get(store, "k") == b"new"
    assert list(await store.index.scan("garbage", b"", b"\xff", 9)) == []
