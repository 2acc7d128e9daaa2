"""A mark that processes share, whether they were forked or are programs of their own."""

import multiprocessing

import pytest

from s3ish.shared_mark import SharedMark


def answer(mark, pipe):
    """Send what the mark is, then change it."""
    pipe.send(mark.value)
    mark.change(b"by child")
    pipe.send(b"done")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_what_one_process_marks_another_one_sees(method):
    mark = SharedMark.for_programs()
    mark.change(b"by owner")
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context(method).Process(target=answer, args=(mark, there))
    process.start()
    try:
        assert here.recv() == b"by owner"
        assert here.recv() == b"done"
        assert mark.value == b"by child"
    finally:
        process.join()
