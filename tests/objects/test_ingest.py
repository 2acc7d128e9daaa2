"""Pieces of an upload on their way: ahead of the drives, but not far; in order; and none is left behind."""

import asyncio
import hashlib

import pytest

from s3ish.blob.protocol import VolumesFull
from s3ish.objects.ingest import _AHEAD, ingest
from s3ish.objects.room import Room
from s3ish.threads import ThreadPool
from tests.objects.encodings.toy import encodings, toy
from tests.objects.support import NO_BLOB, Bytes, sample

PIECE_BYTES = 64 << 10
PIECES = 12


class Writer:
    """Stores pieces when it is let, one at a time; ``fails_at`` is the number of the one that it cannot store."""

    def __init__(self, fails_at=None):
        self.wholes = 0
        self.turns, self.stored, self.begun = asyncio.Semaphore(0), [], 0
        self._fails_at, self._writing = fails_at, False

    async def write(self, piece, before=None):
        if before:
            self.wholes += 1
            before()
        assert not self._writing, "two at once"
        self._writing, self.begun = True, self.begun + 1
        try:
            await self.turns.acquire()
            if len(self.stored) == self._fails_at:
                raise VolumesFull
            self.stored.append(bytes(piece))
        finally:
            self._writing = False

    async def finish(self):
        return NO_BLOB

    def let(self, count=PIECES):
        for _ in range(count):
            self.turns.release()


class Sender(Bytes):
    """Counts the pieces that it was asked for."""

    asked = 0

    async def read(self, limit):
        self.asked += 1
        return await super().read(limit)


@pytest.fixture
def offload():
    offload = ThreadPool(4)
    yield offload
    offload.close()


def room_of():
    return Room(piece_bytes=PIECE_BYTES)


async def until(condition):
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come to be")


async def test_no_more_than_four_pieces_are_in_memory(offload):  # case 113
    data, writer, room = sample(PIECES * PIECE_BYTES - 10_000), Writer(), room_of()
    sender = Sender(data)
    upload = asyncio.ensure_future(ingest(sender, writer, offload, room))
    await until(lambda: sender.asked == _AHEAD + 1)
    await asyncio.sleep(0.01)
    assert (sender.asked, room.taken) == (_AHEAD + 1, (_AHEAD + 1) * PIECE_BYTES)
    writer.let(1)
    await until(lambda: sender.asked == _AHEAD + 2)
    writer.let()
    digests = (await upload).digests
    assert b"".join(writer.stored) == data
    assert (digests.etag, digests.size, room.taken) == (hashlib.md5(data).hexdigest(), len(data), 0)


async def test_pieces_that_are_encoded_have_room_for_both_forms(offload):
    data, writer, room = sample(PIECES * PIECE_BYTES - 10_000), Writer(), room_of()
    chain, sender = encodings().chain((toy(),)), Sender(data)
    upload = asyncio.ensure_future(ingest(sender, writer, offload, room, chain=chain))
    await until(lambda: sender.asked == _AHEAD + 1)
    await asyncio.sleep(0.01)
    assert (sender.asked, room.taken) == (_AHEAD + 1, 2 * (_AHEAD + 1) * PIECE_BYTES)
    writer.let(len(data))
    assert (await upload).digests.size == len(data)
    assert (sum(map(len, writer.stored)), room.taken) == (chain.stored_size(len(data)), 0)


@pytest.mark.parametrize("size", [0, 1, 10_000, 32 << 10, 40_000, PIECE_BYTES, PIECE_BYTES + 10_000, 5 * PIECE_BYTES])
@pytest.mark.parametrize("announced", [True, False])
async def test_an_upload_leaves_all_its_places_announced_or_not(offload, size, announced):  # case 113
    data, writer, room = sample(size), Writer(), room_of()
    writer.let()
    digests = (await ingest(Sender(data, sized=announced), writer, offload, room)).digests
    assert b"".join(map(bytes, writer.stored)) == data
    await asyncio.sleep(0)  # the last ones are left when the loop turns
    assert (digests.size, room.taken) == (size, 0)


@pytest.mark.parametrize(
    ("size", "announced", "whole"),
    [
        (32 << 10, True, False),
        ((32 << 10) + 1, True, True),
        (4 * PIECE_BYTES, True, True),
        (4 * PIECE_BYTES + 1, True, False),
        (PIECE_BYTES, False, False),
    ],
)
async def test_a_short_body_that_was_announced_is_stored_in_one(offload, size, announced, whole):  # case 113
    data, writer, room = sample(size), Writer(), room_of()
    writer.let()
    digests = (await ingest(Sender(data, sized=announced), writer, offload, room)).digests
    assert b"".join(map(bytes, writer.stored)) == data
    assert (digests.etag, digests.size) == (hashlib.md5(data).hexdigest(), size)
    assert (writer.wholes, room.taken) == (whole, 0)


async def test_a_short_body_that_cannot_be_stored_leaves_its_place(offload):  # case 133
    writer, room = Writer(0), room_of()
    writer.let()
    with pytest.raises(VolumesFull):
        await ingest(Sender(sample(PIECE_BYTES)), writer, offload, room)
    assert (writer.wholes, room.taken) == (1, 0)


@pytest.mark.parametrize("fails_at", [0, 2, PIECES - 1])
async def test_a_writer_that_fails_ends_all(offload, fails_at):  # case 133
    writer, room = Writer(fails_at), room_of()
    writer.let()
    with pytest.raises(VolumesFull):
        await ingest(Sender(sample(PIECES * PIECE_BYTES)), writer, offload, room)
    assert writer.begun == fails_at + 1, "what comes after it would be in its place"
    assert room.taken == 0
    assert len(asyncio.all_tasks()) == 1


async def test_a_cancelled_upload_leaves_nothing_under_way(offload):
    writer, room, sender = Writer(), room_of(), Sender(sample(PIECES * PIECE_BYTES))
    upload = asyncio.ensure_future(ingest(sender, writer, offload, room))
    await until(lambda: sender.asked == _AHEAD + 1)
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert (writer.stored, writer.begun, room.taken) == ([], 1, 0)
    assert len(asyncio.all_tasks()) == 1
