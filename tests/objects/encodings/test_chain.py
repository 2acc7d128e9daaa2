"""A chain of links gives back what it was given, whole and in ranges, and refuses what is not as it was stored."""

import asyncio
import random

import pytest

from s3ish.blob.memory import MemoryBlobStore
from s3ish.blob.protocol import Corrupt
from s3ish.clock import Clock
from s3ish.model import Link
from s3ish.objects.encodings.chain import PLAIN, Encodings, UnknownEncoding
from tests.blob.support import SIDECAR
from tests.objects.encodings.toy import Toy, encodings, toy
from tests.objects.support import sample

CHAINS = {"one": (toy(),), "two": (toy(3), toy(250)), "three": (toy(1), toy(2), toy(4))}
SIZES = [0, 1, 999, 1000, 1001, 1999, 2000, 2001, 2500, 66_000]


@pytest.fixture
def blobs():
    return MemoryBlobStore(clock=Clock(), inline_bytes=100, piece_bytes=777)


async def store(blobs, chain, data, piece=None):
    """Store data, in pieces of a length; return the reference and the links under which it is stored."""
    async with blobs.create("b/k", chain.stored_size(len(data))) as inner:
        writer = chain.writer(inner, len(data))
        for start in range(0, len(data), piece or len(data) or 1):
            await writer.write(data[start : start + (piece or len(data))])
        ref = await writer.finish()
        await inner.seal(SIDECAR)
    return ref, writer.links


async def read(blobs, ref, decoding):
    reader = await decoding.of_reader(await blobs.open(ref, decoding.start, decoding.stop))
    try:
        return b"".join([bytes(piece) async for piece in reader])
    finally:
        await reader.close()


@pytest.mark.parametrize("links", CHAINS.values(), ids=CHAINS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece", [None, 7, 1000, 1234])
async def test_every_range_of_what_was_written_is_read(blobs, links, size, piece):
    known, data, choose = encodings(), sample(size), random.Random(size)
    chain = known.chain(links)
    ref, stored = await store(blobs, chain, data, piece)
    assert ref.size == chain.stored_size(size)
    if size:
        assert known.chain(stored).decode(blobs.get(ref).data.bytes, size) == data
    edges = sorted({0, 1, size // 2, size - 1, size, *(e for e in (999, 1000, 1001, 2000) if e < size)})
    pairs = [(start, stop) for start in edges for stop in edges if 0 <= start < stop <= size]
    for start, stop in choose.sample(pairs, min(len(pairs), 12)):
        decoding = known.chain(stored).decoding(start, stop, size, ref.size)
        assert await read(blobs, ref, decoding) == data[start:stop]
        inline = blobs.get(ref).data.bytes[decoding.start : decoding.stop]
        assert known.chain(stored).decoding(start, stop, size, ref.size).of_bytes(inline) == data[start:stop]


async def test_a_range_reads_the_packages_that_it_touches_and_no_others():
    decoding = encodings().chain((toy(),)).decoding(1500, 2500, 10_000, 10_010)
    assert (decoding.start, decoding.stop) == (1001, 3003)


async def test_what_an_encoder_adds_to_the_parameters_is_stored_with_them(blobs):
    asked = (toy(3),)
    stored = (await store(blobs, encodings().chain(asked), sample(2500)))[1]
    assert stored == (Link("toy", {"add": "3", "packages": "3"}),)
    assert asked == (toy(3),)


async def test_what_is_damaged_cut_or_moved_is_refused(blobs):
    chain, data = encodings().chain((toy(),)), sample(2500)
    ref, _ = await store(blobs, chain, data)
    whole = blobs.get(ref).data.bytes
    for stored in (whole[1001:2002] + whole[:1001] + whole[2002:], whole[:2002], whole[:-1], b""):
        with pytest.raises(Corrupt):
            chain.decoding(0, 2500, 2500, 2503).of_bytes(stored)
        with pytest.raises(Corrupt):
            chain.decode(stored, 2500)
    for size in (2502, 2504, 2500):
        with pytest.raises(Corrupt, match="bytes are stored"):
            chain.decoding(0, 10, 2500, size)
        with pytest.raises(Corrupt, match="bytes are stored"):
            chain.decode(bytes(size), 2500)


@pytest.mark.parametrize("size", [1 << 20, (5 << 20) + 7])
async def test_others_have_their_turn_while_much_is_encoded_and_decoded(size):
    blobs, chain, turns = MemoryBlobStore(clock=Clock(), piece_bytes=8 << 20), encodings().chain((toy(),)), []

    async def take_turns():
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    other = asyncio.ensure_future(take_turns())
    ref, links = await store(blobs, chain, sample(size))
    assert len(turns) >= size // (1 << 20) - 1
    other.cancel()
    decoding = encodings().chain(links).decoding(0, size, size, ref.size)
    reader = await decoding.of_reader(await blobs.open(ref))
    assert len(reader._stored or b"") == max(0, ref.size - (2 << 20)), "the rest waits for the receiver"
    assert b"".join([bytes(piece) async for piece in reader]) == sample(size)


@pytest.mark.parametrize("size", [0, 1, 2500])
async def test_work_is_done_before_whether_or_not_anything_is_encoded_yet(blobs, size):
    chain, done = encodings().chain((toy(),)), []
    async with blobs.create("b/k") as inner:
        writer = chain.writer(inner, size)
        await writer.write(sample(size), lambda: done.append(size))
        ref = await writer.finish()
        await inner.seal(SIDECAR)
    assert (done, ref.size) == ([size], chain.stored_size(size))


async def test_a_reader_that_cannot_begin_is_closed(blobs):
    chain = encodings().chain((toy(),))
    ref, _ = await store(blobs, chain, sample(2500))
    blobs.get(ref).data.bytes = b"\xff" + blobs.get(ref).data.bytes[1:]
    reader = await blobs.open(ref)
    with pytest.raises(Corrupt):
        await chain.decoding(0, 2500, 2500, 2503).of_reader(reader)
    assert [piece async for piece in reader] == []


class Unsized(Toy):
    """Its stored size is known only to those who have the parameters that its encoder has added."""

    def __init__(self, parameters):
        super().__init__({"add": "1"})
        self._packages = parameters.get("packages")

    def stored_size(self, size):
        return size + int(self._packages) if self._packages else None


async def test_a_stored_size_may_be_known_only_after_encoding(blobs):
    known = Encodings({"toy": Toy, "unsized": Unsized})
    chain = known.chain((toy(), Link("unsized"), toy()))
    assert chain.stored_size(2500) is None
    ref, links = await store(blobs, chain, sample(2500))
    stored = known.chain(links)
    assert stored.stored_size(2500) == ref.size
    assert await read(blobs, ref, stored.decoding(1200, 2300, 2500, ref.size)) == sample(2500)[1200:2300]


def test_without_links_there_is_no_chain():
    assert not PLAIN
    assert encodings().chain(()) is encodings().chain(None) is PLAIN
    assert PLAIN.stored_size(5) == 5
    assert PLAIN.covers(())
    assert not PLAIN.covers((toy(),))
    assert encodings((toy(),)).chain(None).links == (toy(),)
    assert encodings((toy(),)).chain(()) is PLAIN


def test_bytes_are_taken_as_they_are_under_the_same_links_only():
    chain = encodings().chain((toy(3),))
    assert chain.covers((toy(3),))
    assert chain.covers((Link("toy", {"add": "3", "packages": "9"}),)), "an encoder's own parameters do not matter"
    for other in ((), (toy(4),), (toy(3), toy(3)), (Link("other", {"add": "3"}),), (Link("toy"),)):
        assert not chain.covers(other)


@pytest.mark.parametrize(
    ("link", "why"),
    [(Link("rot13"), "does not know the encoding 'rot13'"), (toy("x"), "cannot use the encoding 'toy'")],
)
def test_an_unknown_link_is_refused_by_its_name(link, why):
    with pytest.raises(UnknownEncoding, match=why):
        encodings().chain((toy(), link))
