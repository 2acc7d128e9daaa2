"""KeyQueue of uploads: first come first served, whoever is slow holds up nobody, and nothing is ever left taken."""

import asyncio
import itertools
from contextlib import ExitStack

import pytest

from s3ish.blob.erasure.shard_files import ShardFiles
from s3ish.errors import IncompleteBody
from s3ish.model import Link
from s3ish.objects import ingest as module
from s3ish.objects.encodings import cipher
from s3ish.objects.encodings.keyring import Keyring
from s3ish.objects.ingest import ingest
from s3ish.objects.room import CROWD, UPLOAD_BYTES, Room
from tests.objects.support import STRIPE, Bytes, World, get, make_bucket, put, sample
from tests.waiting import WAIT_SECONDS

MIB = 1 << 20


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def entering(room, size):
    return asyncio.ensure_future(room.enter(size))


async def test_who_finds_no_room_waits_for_those_before():
    room = Room(16 * MIB)
    first = await room.enter(13 * MIB)
    second, third, fourth = (entering(room, size) for size in (4 * MIB, MIB, MIB))
    await settle()
    assert not any(turn.done() for turn in (second, third, fourth)), "the third would fit, but came later"
    first.leave()
    first.leave()
    await settle()
    assert [turn.done() for turn in (second, third, fourth)] == [True, True, True]
    for turn in (second, third, fourth):
        turn.result().leave()
    assert room.taken == 0


async def test_a_piece_larger_than_the_room_is_let_in():
    room = Room(MIB)
    places = [await room.enter(2 * MIB) for _ in range(4)]
    fifth = entering(room, 2 * MIB)
    await settle()
    assert not fifth.done()
    places[0].leave()
    await fifth


async def test_small_objects_never_wait(store):
    store.room = Room(MIB)
    for _ in range(4):
        await store.room.enter(MIB)
    await asyncio.wait_for(put(store, "k", sample(900)), WAIT_SECONDS)
    assert store.room.taken == 4 * MIB


async def test_who_gives_up_no_longer_holds_up_those_behind():
    room = Room(16 * MIB)
    first = await room.enter(13 * MIB)
    second, third = entering(room, 4 * MIB), entering(room, MIB)
    await settle()
    second.cancel()
    await asyncio.wait_for(third, WAIT_SECONDS)
    third.result().leave()
    first.leave()
    assert room.taken == 0


@pytest.mark.parametrize("granted", [False, True])
async def test_who_gives_up_leaves_its_turn_to_others(granted):
    room = Room(MIB, 0)
    first = [await room.enter(MIB) for _ in range(4)]
    second, third = entering(room, MIB), entering(room, MIB)
    await settle()
    if granted:
        first[0].leave()
    second.cancel()
    await settle()
    first[1].leave()
    await settle()
    assert third.done()
    assert room.taken == (3 if granted else 4) * MIB


async def test_the_slow_give_way_as_long_as_there_is_room_for_them():
    room = Room(16 * MIB, 3 * MIB)
    slow, other, last = [await room.enter(size * MIB) for size in (4, 3, 8)]
    waiting = entering(room, 4 * MIB)
    slow.give_way()
    await settle()
    assert not waiting.done(), "it is larger than the room for the slow"
    other.give_way()
    await settle()
    assert waiting.done()
    for place in (slow, other, last, waiting.result()):
        place.leave()
    assert room.taken == 0
    again = await room.enter(MIB)
    again.give_way()
    again.leave()
    assert room.taken == 0


class Sender(Bytes):
    """A sender of which somebody counts what it has sent and what is not stored yet."""

    def __init__(self, data, gate=None, error=None):
        super().__init__(data)
        self.asked, self._gate, self._error = 0, gate, error

    async def read(self, limit):
        self.asked += 1
        if self._gate:
            await self._gate.wait()
        if self._error:
            raise self._error
        return await super().read(limit)


async def upload(store, key, source):
    async with store.create("b", str(key), source.size) as writer:
        return (await ingest(source, writer, store.offload, store.room)).digests


@pytest.fixture
def pieces_need_places(monkeypatch):
    """The store's stripes have 1,000 bytes here."""
    monkeypatch.setattr(module, "FREE_BYTES", 0)
    monkeypatch.setattr(module, "_SMALL", 0)


@pytest.mark.usefixtures("pieces_need_places")
async def test_nobody_is_asked_for_bytes_before_there_is_room(store):  # case 113
    store.room = Room(4000, 0, piece_bytes=STRIPE)
    gate = asyncio.Event()
    senders = [Sender(sample(5500, number), gate) for number in range(20)]
    uploads = [asyncio.ensure_future(upload(store, number, sender)) for number, sender in enumerate(senders)]
    await settle()
    assert [sender.asked for sender in senders] == [1] * 4 + [0] * 16
    gate.set()
    digests = await asyncio.gather(*uploads)
    assert [found.size for found in digests] == [5500] * 20
    assert store.room.taken == 0


@pytest.mark.usefixtures("pieces_need_places")
async def test_senders_that_say_nothing_hold_up_nobody(store, monkeypatch):  # case 113
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.001)
    store.room = Room(4000, 8000, piece_bytes=STRIPE)
    silent = [asyncio.ensure_future(upload(store, n, Sender(sample(5500), asyncio.Event()))) for n in range(8)]
    await put(store, "quick", sample(5500))
    assert not any(task.done() for task in silent)
    for task in silent:
        task.cancel()
    await asyncio.wait(silent)
    assert store.room.taken == 0


@pytest.mark.usefixtures("pieces_need_places")
async def test_a_sender_that_breaks_off_leaves_no_place_taken(store):
    store.room = Room(4000, 0, piece_bytes=STRIPE)
    for _ in range(10):
        with pytest.raises(IncompleteBody):
            await upload(store, "k", Sender(sample(5500), error=IncompleteBody()))
    assert store.room.taken == 0


async def test_each_upload_takes_a_little_of_the_room_besides_its_pieces():
    room = Room(8 * MIB)
    with ExitStack() as uploads:
        for _ in range(100):
            uploads.enter_context(room.upload())
        taken = 0
        while (turn := entering(room, MIB // 4)) and not await is_waiting(turn):
            taken += 1
        turn.cancel()
        assert taken * MIB // 4 <= 8 * MIB - 100 * UPLOAD_BYTES
        assert taken >= 16


async def is_waiting(turn):
    await settle()
    return not turn.done()


async def test_in_a_crowd_objects_are_taken_in_small_pieces(world):
    store = world.open()
    store.room = Room()
    store.blobs.core.settings = store.blobs.core.settings._replace(stripe_bytes=1 << 20)
    await make_bucket(store)
    data = sample(300_000)
    with ExitStack() as uploads:
        for _ in range(CROWD):
            uploads.enter_context(store.room.upload())
        crowded = await put(store, "crowded", data)
    quiet = await put(store, "quiet", data)
    assert (crowded.blob.stripe_bytes, quiet.blob.stripe_bytes) == (128 << 10, 1 << 20)
    assert await get(store, "crowded") == data


@pytest.mark.parametrize(("crowded", "piece_bytes"), [(False, 1 << 20), (True, 128 << 10)])
async def test_a_piece_that_is_encrypted_is_a_stripe_as_it_is(tmp_path, crowded, piece_bytes, monkeypatch):
    numbers, joined = itertools.count(1), []
    keyring = Keyring((bytes(32),), lambda count: next(numbers).to_bytes(count, "big"))
    world = World(tmp_path, encoding=(Link(cipher.NAME, {}),), keyring=keyring)
    store = world.open()
    store.room = Room()
    store.blobs.core.settings = store.blobs.core.settings._replace(stripe_bytes=1 << 20)
    await make_bucket(store)
    write = ShardFiles.write_stripe

    def note(self, *arguments):
        joined.append(len(arguments[-1]) > 1)
        write(self, *arguments)

    monkeypatch.setattr(ShardFiles, "write_stripe", note)
    data = sample((2 << 20) + 300_000)
    with ExitStack() as uploads:
        for _ in range(CROWD if crowded else 0):
            uploads.enter_context(store.room.upload())
        version = await put(store, "k", data)
    stored = store.encodings.chain().stored_size(piece_bytes)
    assert version.blob.stripe_bytes == stored
    assert joined == [False] * -(-len(data) // piece_bytes)
    assert await get(store, "k") == data
    await world.close()
