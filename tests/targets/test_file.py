"""Lines in a file: one message each, flushed before they count as taken."""

import os

import pytest

from s3ish.targets.file import File
from s3ish.targets.protocol import Message, Undelivered
from s3ish.threads import InlinePool


def messages(*bodies):
    return [Message(str(number), "b/k", body) for number, body in enumerate(bodies)]


@pytest.fixture
def file(tmp_path):
    return File(InlinePool(), str(tmp_path / "events.jsonl"))


async def test_each_message_is_a_line_and_those_that_are_there_stay(file, tmp_path):
    await file.send(messages(b"1", b"2"))
    await file.send(messages(b"3"))
    assert (tmp_path / "events.jsonl").read_bytes() == b"1\n2\n3\n"
    assert (tmp_path / "events.jsonl").stat().st_mode & 0o007 == 0


async def test_a_file_that_was_renamed_is_made_again(file, tmp_path):
    await file.send(messages(b"1"))
    (tmp_path / "events.jsonl").rename(tmp_path / "old")
    await file.send(messages(b"2"))
    assert (tmp_path / "old").read_bytes() == b"1\n"
    assert (tmp_path / "events.jsonl").read_bytes() == b"2\n"


async def test_a_line_that_was_cut_is_ended_before_the_next(file, tmp_path):
    (tmp_path / "events.jsonl").write_bytes(b'{"Rec')
    await file.send(messages(b"1"))
    assert (tmp_path / "events.jsonl").read_bytes() == b'{"Rec\n1\n'


async def test_lines_are_flushed_before_the_message_counts(file, monkeypatch):
    done = []
    write, flush = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda *given: done.append("write") or write(*given))
    monkeypatch.setattr(os, "fsync", lambda *given: done.append("flush") or flush(*given))
    await file.send(messages(b"1"))
    assert done == ["write", "flush"]


async def test_what_cannot_be_written_is_not_delivered(tmp_path):
    with pytest.raises(Undelivered, match="No such file"):
        await File(InlinePool(), str(tmp_path / "no" / "such")).send(messages(b"1"))
    with pytest.raises(Undelivered, match="directory"):
        await File(InlinePool(), str(tmp_path)).send(messages(b"1"))
