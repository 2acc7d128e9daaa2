"""What a volume remembers of its index, and how it is told."""

import asyncio
import os
from contextlib import closing, contextmanager

import pytest

from s3ish.blob.protocol import VolumeError, VolumesFull
from s3ish.blob.volumes import commit_notes
from s3ish.blob.volumes.commit_notes import CommitNotes
from s3ish.blob.volumes.index_marks import BEHIND, COMMITS, FOR_EVER
from s3ish.blob.volumes.open_set import open_volumes
from s3ish.blob.volumes.volume import Volume
from s3ish.clock import Clock
from tests.waiting import until


@pytest.fixture
def volumes(tmp_path):
    with closing(open_volumes([str(tmp_path / "volume")], clock=Clock(), fsync=False)) as found:
        yield found


def test_what_was_written_is_read(volumes):
    assert (volumes.generation, volumes.commits) == (0, 0)
    for number in (1, 5, 10**15):
        volumes.write_generation(number)
        volumes.write_commits(number + 1, 0)
        assert (volumes.generation, volumes.commits) == (number, number + 1)


def test_a_damaged_number_of_commits_is_not_believed(volumes, tmp_path):  # case 159
    volumes.write_commits(1234, 0)
    path = tmp_path / "volume" / COMMITS
    text = path.read_bytes()
    for at in range(len(text)):
        for bit in range(8):
            damaged = bytearray(text)
            damaged[at] ^= 1 << bit
            path.write_bytes(damaged)
            assert volumes.commits == 0
        path.write_bytes(text[:at])
        assert volumes.commits == 0
    path.unlink()
    assert volumes.commits == 0
    volumes.write_commits(1235, 0)
    assert volumes.commits == 1235


def test_what_is_planted_in_its_place_is_not_followed_and_does_not_hang(volumes, tmp_path):  # case 164
    path, elsewhere = tmp_path / "volume" / COMMITS, tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    for plant in (lambda: path.symlink_to(elsewhere), lambda: os.mkfifo(path), path.mkdir):
        plant()
        volumes.write_commits(7, 0)
        assert volumes.commits == 0
        path.rmdir() if path.is_dir() else path.unlink()
    assert elsewhere.read_bytes() == b"mine"


def test_a_volume_that_missed_a_start_is_behind_until_it_was_looked_through(tmp_path):  # case 160
    roots = [str(tmp_path / f"v{number}") for number in range(3)]

    @contextmanager
    def opened(away=None):
        if away is not None:
            os.rename(roots[away], tmp_path / "away")
        with closing(open_volumes(roots, clock=Clock(), fsync=False, missing=1, create=away is None)) as found:
            yield found
        if away is not None:
            os.rename(tmp_path / "away", roots[away])

    def start(away=None):
        with opened(away) as volumes:
            behind, generation = volumes.behind, volumes.generation + 1
            volumes.write_generation(generation, 10 * generation)
            return behind

    assert start() == set()
    assert start(0) == set()
    assert start(1) == {0}
    assert start(2) == {0, 1}
    with opened() as volumes:
        assert volumes.behind == {0, 1, 2}
        assert volumes.generation == 4
        assert [volumes.must_hold(position, 35) for position in range(3)] == [True, False, False]
        assert [volumes.must_hold(position, 45) for position in range(3)] == [True, True, False]
        assert [volumes.may_lack_removal(position, 35) for position in range(3)] == [False, True, True]
    (tmp_path / "v0" / BEHIND).write_bytes(b"damaged")
    with opened() as volumes:
        assert volumes.may_lack_removal(0, 10**18), "until when is not known"
        volumes.catch_up(50)
    assert start() == set()
    with opened() as volumes:
        assert [volumes.may_lack_removal(position, 35) for position in range(3)] == [False] * 3
        assert [volumes.must_hold(position, 35) for position in range(3)] == [False] * 3, "nobody has written it there"
        assert [volumes.must_hold(position, 45) for position in range(3)] == [False, True, False]
        assert [volumes.must_hold(position, 55) for position in range(3)] == [True] * 3
        volumes.be_complete({1}, 49)
        volumes.be_complete({1, 2}, 50)
    with opened() as volumes:
        assert [volumes.must_hold(position, 5) for position in range(3)] == [True, False, False]


def test_a_volume_that_falls_behind_while_all_is_looked_through_stays_behind(tmp_path):  # case 160
    roots = [str(tmp_path / f"v{number}") for number in range(3)]
    with closing(open_volumes(roots, clock=Clock(), fsync=False, missing=1)) as volumes:
        volumes.at(1).marks.fall_behind(49)
        volumes.look_behind()
        for position, until in ((0, FOR_EVER), (2, 60)):
            volumes.at(position).marks.fall_behind(until)
        volumes.catch_up(50)
        assert volumes.behind == {0, 2}
        assert [volumes.must_hold(1, written) for written in (48, 49)] == [False, True]


def test_a_volume_that_does_not_say_whether_it_is_behind_may_be(tmp_path, monkeypatch):
    def refuse():
        raise VolumeError("it does not answer in time")

    roots = [str(tmp_path / f"v{number}") for number in range(3)]
    with closing(open_volumes(roots, clock=Clock(), fsync=False, missing=1)) as volumes:
        monkeypatch.setattr(volumes.at(1).marks, "behind", refuse)
        volumes.look_behind()
        assert [volumes.may_lack_removal(position, 5) for position in range(3)] == [False, True, False]
        assert [volumes.must_hold(position, 5) for position in range(3)] == [True, False, True]


def test_a_volume_that_takes_no_writes_may_hold_what_was_removed(tmp_path, monkeypatch):
    def refuse(volume):
        if volume.position:
            raise (VolumesFull if volume.position == 2 else VolumeError)("no")

    roots = [str(tmp_path / f"v{number}") for number in range(3)]
    with closing(open_volumes(roots, clock=Clock(), fsync=False, missing=1)) as volumes:
        monkeypatch.setattr(Volume, "probe", refuse)
        volumes.probe()
        with closing(volumes.again()) as again:
            assert [again.may_lack_removal(position, 5) for position in range(3)] == [False, True, False]
            assert [again.must_hold(position, 5) for position in range(3)] == [True, False, False]


async def test_one_volume_is_told_before_anybody_goes_on():
    told = []
    notes = CommitNotes(lambda number, position: told.append((number, position)), (4,), (), None)
    for number in (5, 6, 8):
        notes.note(number)
        assert told[-1] == (number, 4)
    await notes.close()
    assert len(told) == 3


async def test_several_volumes_are_told_on_threads_and_nobody_waits(monkeypatch):
    monkeypatch.setattr(commit_notes, "PAUSE_SECONDS", 0.01)
    told, gate = {}, asyncio.Event()

    async def each(function, positions):
        await gate.wait()
        for position in positions:
            function(position)

    notes = CommitNotes(lambda number, position: told.update({position: number}), (), (0, 2), each)
    for number in range(1, 50):
        notes.note(number)
        await asyncio.sleep(0.001)
    assert told == {}
    gate.set()
    await until(lambda: told == {0: 49, 2: 49})
    notes.note(50)
    await notes.close()
    assert told == {0: 50, 2: 50}


async def test_the_volume_of_the_index_is_told_at_once_and_the_others_on_threads():
    told = {}

    async def each(function, positions):
        for position in positions:
            function(position)

    notes = CommitNotes(lambda number, position: told.update({position: number}), (1,), (0, 2), each)
    notes.note(7)
    assert told == {1: 7}
    await notes.close()
    assert told == {0: 7, 1: 7, 2: 7}
