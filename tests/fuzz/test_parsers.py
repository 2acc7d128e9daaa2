"""Any bytes are accepted by a parser or refused with the one error of its layer, in bounded time.

A short run of Hypothesis, and of the plain mutation that ``python -m tests.fuzz.run`` does for as long as one likes.
"""

import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutation import LONGEST, Mutator
from tests.fuzz.parsers import CORPUS, PARSERS, documents, seeds
from tests.fuzz.run import LIMIT_SECONDS, fuzz

ROUNDS = 200
PIECES = (b"\0", b"%", b"a=&", b"<a>", b"[", b"/", b"../", b"0\r\n", b",0-0", b"\xff", b" ", b"@%+/", b"9")


def test_every_parser_has_a_corpus_and_the_reverse():
    assert {path.name for path in CORPUS.iterdir()} == set(PARSERS)


def test_every_operation_with_a_document_has_a_seed():
    assert set(documents()) <= set(seeds("xml"))


@pytest.mark.parametrize("name", PARSERS)
def test_the_corpus_holds_what_is_accepted_and_what_is_not(name):
    outcomes = {PARSERS[name].run(data) for data in seeds(name).values()}
    assert True in outcomes, "a fuzzer that never gets in tests the first line only"
    assert False in outcomes or name in ("home", "range")


@pytest.mark.parametrize("name", PARSERS)
def test_any_bytes(name):  # cases 21, 39, 78, 89, 114, 128
    parser = PARSERS[name]
    corpus = list(seeds(name).values())
    pieces = st.one_of(st.binary(max_size=40), st.sampled_from([*parser.words, *corpus, b""]))

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(pieces, max_size=6).map(b"".join))
    def check(data):
        assert parser.run(data) in (True, False)  # any other error than its own is raised

    check()


@pytest.mark.parametrize("name", PARSERS)
def test_mutations_of_the_corpus(name):
    ran, slowest = fuzz(name, random.Random(name), rounds=ROUNDS)
    assert ran == ROUNDS
    assert slowest < LIMIT_SECONDS


@pytest.mark.parametrize("name", PARSERS)
def test_long_repetitions_take_little_time(name):
    """A parser that is quadratic takes minutes for this much."""
    inside = list(seeds(name).values())[:2]
    for piece in PIECES:
        begun = time.thread_time()
        PARSERS[name].run(piece * (LONGEST * 5 // len(piece)))
        for data in inside:
            PARSERS[name].run(data[: len(data) // 2] + piece * (LONGEST // len(piece)) + data[len(data) // 2 :])
        assert time.thread_time() - begun < LIMIT_SECONDS, piece


def test_a_parser_with_a_bug_is_found(monkeypatch):
    def broken(data):
        if b"\xff" in data:
            raise IndexError

    monkeypatch.setitem(PARSERS, "query", PARSERS["query"]._replace(read=broken))
    with pytest.raises(AssertionError, match=r"query: IndexError.*seed"):
        fuzz("query", random.Random(1), rounds=2000)


def test_a_run_is_repeatable():
    def inputs():
        mutator, data = Mutator(random.Random(5), (b"word",)), b"begin"
        return [data := mutator.mutate(data or b"x", [b"other"]) for _ in range(50)]

    assert inputs() == inputs()
