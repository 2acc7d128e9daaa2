"""Some of the system calls of some operations; ``python -m tests.torture.syscalls`` goes through all."""

import pytest

from tests.torture.syscalls import EIO, ENOSPC, FAULTS, KILL, SHORT, can_run, run
from tests.torture.writes import OPERATIONS


@pytest.fixture(autouse=True)
def _tracing():
    if reason := can_run():
        pytest.skip(reason)


def test_a_failing_call_never_makes_an_answer_untrue():  # cases 9, 133, 135, 153
    tried = {EIO: 2, ENOSPC: 1, SHORT: 2}
    names = ("put short", "put large", "upload part", "overwrite", "copy", "delete")
    calls = ("openat2", "mkdirat", "fstatfs", "pwritev2", "pwrite64", "fdatasync", "linkat", "unlinkat")
    counts, wrong = run(names, calls, lambda _name, _call, what: [tried[what]] if what in tried else [])
    assert wrong == []
    assert counts[EIO] >= 15
    assert counts[ENOSPC] >= 15
    assert counts[SHORT] >= 5


def test_after_a_failed_flush_or_a_kill_all_is_there():  # cases 9, 29
    wanted = {("put large", "fsync", EIO), ("overwrite large", "pwrite64", KILL)}
    counts, wrong = run(
        ("put large", "overwrite large"),
        ("fsync", "pwrite64"),
        lambda *fault: [2] if fault in wanted else [],
    )
    assert wrong == []
    assert (counts[EIO], counts[KILL]) == (1, 1)
    assert counts["starts"] == 5  # one after each fault, two at the end


def test_a_completion_that_was_cut_off_and_repeated_survives_the_loss_of_the_index():  # cases 5, 23
    _, wrong = run(("complete",), ("pwrite64",), lambda _name, _call, what: [2] if what == KILL else [])
    assert wrong == []


def test_every_operation_and_fault_is_named():
    assert len(OPERATIONS) == len(set(OPERATIONS.values()))
    assert all(KILL in faults or faults == (EIO,) for faults in FAULTS.values())
