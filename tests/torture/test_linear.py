"""A short run of the histories, and servers that lie and must be caught.

``python -m tests.torture.linear`` records many histories.
"""

import hashlib
import multiprocessing
import os
import time
from email.message import Message

import pytest

from tests.torture import linear, powercut
from tests.torture.client import Answer
from tests.torture.linear import History, Worker
from tests.torture.register import ANY
from tests.waiting import wait_until


def test_every_key_is_a_register_while_a_worker_dies():  # case 10
    if reason := linear.can_run():
        pytest.skip(reason)
    counts, wrong = linear.run(2, seed=5, workers=2, operations=25, kill_every=2)
    assert wrong == []
    assert counts["histories"] == 2 * linear.KEYS
    assert counts["workers killed"] == 1
    assert counts["ok"] > 200
    assert counts["refused"] > 10


@pytest.mark.parametrize(
    ("seed", "happened"),
    [(1, {"1 drives read-only", "2 drives gone"}), (5, {"1 drives hanging", "1 drives full"})],
)
def test_every_key_is_a_register_while_drives_fail_and_come_back(seed, happened):  # cases 7, 8, 26, 29
    if reason := linear.can_run() or powercut.can_run():
        pytest.skip(reason)
    counts, wrong = linear.run(2, seed=seed, workers=1, operations=24, volumes=3, fail_every=1)
    assert wrong == []
    assert {name for name in counts if "drives" in name} == happened
    assert counts["ok"] > 150
    assert counts["unknown"] < 20 or "2 drives gone" in happened  # within parity the others go on


def test_workers_that_began_as_programs_of_their_own_are_found():
    if reason := linear.can_run():
        pytest.skip(reason)
    before = linear.workers_of(os.getpid())
    worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    worker.start()
    try:
        wait_until(lambda: set(linear.workers_of(os.getpid())) - set(before))  # it takes its command line as it begins
        assert set(linear.workers_of(os.getpid())) - set(before) == {worker.pid}
    finally:
        worker.kill()
        worker.join()


class Liar:
    """A server that says what the test wants: each client does one thing after the other."""

    def __init__(self):
        self.history = History()
        self.clients = [Worker(number, "http://127.0.0.1:1", self.history, "plain", "r-", 1) for number in range(2)]
        self.key = self.clients[0].keys[0]

    def answer(self, client, move, status, etag="", body=b"", *arguments):
        headers = Message()
        if etag:
            headers["ETag"] = f'"{etag}"'
        self.clients[client].client.request = lambda *_, **__: Answer(status, headers, body)
        getattr(self.clients[client], move)(self.key, *arguments)

    def put(self, client, move="put"):
        """Let a write succeed; return the ETag of what was written."""
        worker = self.clients[client]
        state = worker.choose.getstate()
        worker.written += 1
        body = f"plain r- {client} {worker.written} ".encode().ljust(worker.choose.choice(linear.SIZES), b".")
        worker.choose.setstate(state)
        worker.written -= 1
        etag = hashlib.md5(body).hexdigest()
        self.answer(client, move, 200, etag)
        return etag, body

    def listed(self, client, etag):
        row = f"<Contents><Key>{self.key}</Key><ETag>&quot;{etag}&quot;</ETag></Contents>" if etag else ""
        self.answer(client, "list", 200, body=f"<ListBucketResult>{row}</ListBucketResult>".encode())

    @property
    def caught(self):
        return self.history.verdicts() == ([self.key], [])


@pytest.fixture
def liar():
    return Liar()


def test_the_truth_passes(liar):
    etag, body = liar.put(0)
    liar.answer(1, "get", 200, etag, body)
    liar.listed(1, etag)
    liar.answer(1, "create", 412)
    liar.answer(1, "delete", 204)
    liar.answer(0, "get", 404)
    liar.listed(0, None)
    assert liar.history.verdicts() == ([], [])
    assert liar.history.strange == []


def test_a_stale_read_is_caught(liar):
    etag, body = liar.put(0)
    liar.put(1)
    liar.answer(0, "get", 200, etag, body)
    assert liar.caught


def test_two_creates_that_both_succeed_are_caught(liar):
    liar.put(0, "create")
    liar.put(1, "create")
    assert liar.caught


def test_a_lost_update_is_caught(liar):
    etag, body = liar.put(0)
    liar.answer(1, "get", 200, etag, body)
    liar.put(0, "swap")
    liar.put(1, "swap")
    assert liar.caught


def test_a_conditional_delete_of_another_object_is_caught(liar):
    etag, body = liar.put(0)
    liar.answer(1, "get", 200, etag, body)
    liar.put(0)
    liar.answer(1, "delete_if", 204)
    assert liar.caught


def test_two_conditional_deletes_that_both_succeed_are_caught(liar):
    etag, body = liar.put(0)
    liar.answer(1, "get", 200, etag, body)
    liar.answer(0, "delete_if", 204)
    liar.answer(1, "delete_if", 204)
    assert liar.caught


def test_a_listing_without_an_acknowledged_key_is_caught(liar):
    liar.put(0)
    liar.listed(1, None)
    assert liar.caught


def test_a_listing_with_a_deleted_key_is_caught(liar):
    etag, _ = liar.put(0)
    liar.answer(1, "delete", 204)
    liar.listed(0, etag)
    assert liar.caught


def test_a_listing_of_an_older_version_is_caught(liar):
    etag, _ = liar.put(0)
    liar.put(0)
    liar.listed(1, etag)
    assert liar.caught


def test_bytes_of_another_object_are_noticed(liar):
    etag, _ = liar.put(0)
    liar.answer(1, "get", 200, etag, b"other bytes")
    assert liar.history.strange == [f"{liar.key}: the bytes are not those of ETag {etag}"]


def test_an_answer_that_never_came_may_or_may_not_have_been_done(liar):
    worker = liar.clients[0]
    worker.seen[liar.key] = "before"

    def cut(*_arguments, **_headers):
        raise ConnectionResetError

    worker.client.request = cut
    worker.put(liar.key)
    worker.get(liar.key)
    (only,) = liar.history.operations[liar.key]
    assert (only.outcome, only.expected) == ("unknown", ANY)
    liar.answer(1, "get", 404)
    assert liar.history.verdicts() == ([], [])
