"""Memory that is used again: never while anybody can still see what is in it."""

import mmap
import threading

import pytest

from s3ish.buffers import Buffers


def test_memory_is_used_again_only_when_nobody_has_a_view_of_it():
    buffers = Buffers()
    view = buffers.take(8)
    view[:] = b"12345678"
    part = view[2:4]
    del view
    other = buffers.take(8)
    other[:] = bytes(8)
    assert bytes(part) == b"34"
    memory = part.obj
    del part
    assert buffers.take(8).obj is memory
    assert buffers.take(8).obj is memory, "the view of the first was dropped at once"


def test_a_view_that_was_released_holds_nothing_back():
    buffers = Buffers()
    view = buffers.take(8)
    memory = view.obj
    view.release()
    assert buffers.take(8).obj is memory


def test_memory_of_another_size_is_not_used():
    buffers = Buffers()
    memory = buffers.take(8).obj
    assert buffers.take(9).obj is not memory
    assert len(buffers.take(9)) == 9


def test_little_is_kept_however_much_was_in_use():
    buffers = Buffers()
    views = [buffers.take(4096) for _ in range(50)]
    assert len({id(view.obj) for view in views}) == 50
    assert len(buffers._kept) == 5
    few = Buffers(kept=2)
    views += [few.take(4096) for _ in range(5)]
    assert len(few._kept) == 2


def test_fresh_memory_is_zeros():
    assert bytes(Buffers().take(5000)) == bytes(5000)


def test_threads_share_nothing():
    buffers, found = Buffers(), []
    memory = buffers.take(8).obj
    thread = threading.Thread(target=lambda: found.append(buffers.take(8).obj))
    thread.start()
    thread.join()
    assert found[0] is not memory


def test_no_memory_is_said_to_be_so(monkeypatch):
    def refuse(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(MemoryError):
        Buffers().take(8)
