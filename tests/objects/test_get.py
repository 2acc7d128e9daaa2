"""Which bytes a request means, and that no more of them are held than are on their way."""

import weakref
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3ish.errors import InvalidPartNumber, InvalidRange, ServiceUnavailable
from s3ish.index.marks import Marks
from s3ish.model import Part, Version
from s3ish.objects.get import Span, as_flow, open_span, select
from s3ish.server import respond
from s3ish.wire.shape import Written
from tests.objects.support import NO_BLOB, OWNER, flip, get, outcome, put, read_all, sample


def version(size, *parts):
    made = tuple(
        Part(number=number * 3, size=part, etag="", modified_ns=0, blob=NO_BLOB) for number, part in enumerate(parts, 1)
    )
    return Version(
        bucket="b", key="k", id="null", sequence=1, modified_ns=1, owner=OWNER, blob=NO_BLOB, size=size, parts=made
    )


WHOLE = Span(0, 10, 10)


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", Span(0, 1, 10, True)),
        ("bytes=0-9", Span(0, 10, 10, True)),
        ("bytes=3-5", Span(3, 6, 10, True)),
        ("bytes=3-", Span(3, 10, 10, True)),
        ("bytes=-3", Span(7, 10, 10, True)),
        ("bytes=-10", Span(0, 10, 10, True)),
        ("bytes=-99", Span(0, 10, 10, True)),
        ("bytes=9-99", Span(9, 10, 10, True)),
        ("bytes=0-9999999999999999999", Span(0, 10, 10, True)),
        (" bytes=1-2 ", Span(1, 3, 10, True)),
        ("bytes=5-3", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=", WHOLE),
        ("", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=0x1-2", WHOLE),
        ("bytes=+1-2", WHOLE),
        ("bytes=1_0-20", WHOLE),
        ("bytes=\u0661-\u0662", WHOLE),
        ("bytes=0-0,2-3", WHOLE),
        ("items=0-1", WHOLE),
        ("bytes=0-0," * 10**5, WHOLE),
        ("bytes=" + "9" * 10**6, WHOLE),
        ("bytes=5-3" + "0" * 10**4, Span(5, 10, 10, True)),
        ("bytes=-" + "9" * 10**4, Span(0, 10, 10, True)),
        ("bytes=" + "0" * 10**4 + "5-7", Span(5, 8, 10, True)),
    ],
)
def test_ranges(header, span):  # case 114
    assert select(version(10), header, None) == span


@pytest.mark.parametrize(
    "header", ["bytes=10-", "bytes=10-20", "bytes=9999999999999999999-", "bytes=-0", "bytes=" + "9" * 10**4 + "-"]
)
def test_ranges_outside(header):  # case 114
    with pytest.raises(InvalidRange) as refused:
        select(version(10), header, None)
    assert refused.value.headers == {"content-range": "bytes */10"}


@pytest.mark.parametrize("header", ["bytes=0-0", "bytes=-1", "bytes=0-"])
def test_nothing_of_an_empty_object_can_be_ranged(header):  # case 117
    with pytest.raises(InvalidRange):
        select(version(0), header, None)
    assert select(version(0), None, None) == Span(0, 0, 0)


def test_the_answer_names_its_range():
    assert select(version(10), "bytes=3-5", None).content_range == "bytes 3-5/10"
    assert select(version(10), None, None).content_range is None


def test_parts_are_counted_in_order():
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html: partNumber counts 1, 2, 3 ..."""
    made = version(6, 1, 2, 3)
    assert [select(made, None, n) for n in (1, 2, 3)] == [Span(0, 1, 6, True), Span(1, 3, 6, True), Span(3, 6, 6, True)]
    for number in (0, -1, 4, 9):
        with pytest.raises(InvalidPartNumber):
            select(made, None, number)


def test_an_object_in_one_piece_is_its_own_first_part():
    assert select(version(10), None, 1) == Span(0, 10, 10, True)
    with pytest.raises(InvalidPartNumber):
        select(version(10), None, 2)


@given(st.text(max_size=20) | st.from_regex(r"bytes=[0-9]{0,22}-[0-9]{0,22}", fullmatch=True), st.integers(0, 50))
@settings(derandomize=True, deadline=None, max_examples=300)
def test_any_text_gives_bytes_of_the_object_or_a_refusal(header, size):
    try:
        span = select(version(size), header, None)
    except InvalidRange:
        return
    assert 0 <= span.start <= span.stop <= size
    assert span.length > 0 or not span.partial


async def test_an_inline_row_that_is_damaged_is_read_from_the_sidecar(store):  # case 22
    written = await put(store, "k", b"small")
    from s3ish.index.protocol import Delete, Put
    from s3ish.tables import keys

    row = keys.inline_key(written.blob.id)
    value = bytearray(await store.index.get("inline", row))
    value[-1] ^= 1
    await store.index.commit([Put("inline", row, bytes(value))])
    assert await get(store, "k") == b"small"
    await store.index.commit([Delete("inline", row)])
    assert await get(store, "k") == b"small"


@pytest.mark.parametrize("size", [101, 1000, 3456])
async def test_every_single_damaged_shard_is_made_good(store, world, size):  # case 17
    written = await put(store, "k", sample(size))
    for path in world.files_of(written.blob)[:3]:
        flip(path, 20)
        assert await get(store, "k") == sample(size)
        await store.blobs.check(written.blob, repair=True)


async def test_what_is_out_of_reach_is_unavailable_and_not_damaged(store, world):  # case 26
    written = await put(store, "k", sample(500))
    for position in written.blob.volumes[:2]:
        store.blobs.volumes.at(position).calls.hung = True
    with pytest.raises(ServiceUnavailable):
        await read_all(store, written)


async def test_two_damaged_shards_are_an_error_before_any_byte(store, world):  # case 18
    from s3ish.errors import InternalError

    written = await put(store, "k", sample(500))
    for path in world.files_of(written.blob)[:2]:
        flip(path, 20)
    assert await outcome(read_all(store, written)) is InternalError


class Piece(bytearray):
    """Bytes that can be seen to go."""


class Pieces:
    """A reader of three pieces, which notes how many of those before are still held when the next is asked for."""

    def __init__(self):
        self.held, self._given = [], []

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.held.append(sum(given() is not None for given in self._given))
        if len(self._given) == 3:
            raise StopAsyncIteration
        piece = Piece(b"piece")
        self._given.append(weakref.ref(piece))
        return piece

    async def close(self):
        pass


@pytest.mark.parametrize("read", [version(15), version(30, 15, 15)], ids=["one blob", "parts"])
async def test_what_was_sent_is_not_held_while_the_next_is_waited_for(read, monkeypatch):  # case 113
    readers = []

    async def open_blob(_ref, _start, _stop):
        readers.append(Pieces())
        return readers[-1]

    async def leave_alone(_message):
        pass

    async def keep_parts(_store, _version):
        return Marks(None).add(b"")

    monkeypatch.setattr("s3ish.objects.get.keep_parts", keep_parts)
    store = SimpleNamespace(blobs=SimpleNamespace(open=open_blob), encodings=None)
    flow = await open_span(store, read, 0, read.size)
    written = Written(200, [("content-length", str(read.size))], flow=as_flow(flow))
    await respond.send(written, leave_alone, respond.Progress(), "", "", head=False)
    assert [reader.held for reader in readers] == [[0, 0, 0, 0]] * max(len(read.parts), 1)
