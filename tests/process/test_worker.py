"""Workers as processes: how they begin, what they hold, how they end."""

import http.client
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from s3ish.process.cores import usable_cores


def children(pid):
    with suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def ask(server):
    """Return the status of a request on a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=20)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status
    finally:
        connection.close()


def open_files(pid):
    """Return what the descriptors of a process lead to."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(os.readlink(link))
    return found


def test_by_default_there_is_one_worker_a_core(start_server, tmp_path):
    server = start_server(tmp_path, S3ISH_WORKERS="0")
    count = min(8, usable_cores())
    assert ask(server) == 200
    wait_until(lambda: len(children(server.process.pid)) == (count if count > 1 else 0))
    assert server.stop()[0] == 0


def test_on_one_core_one_process_does_all(start_server, tmp_path, monkeypatch):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})  # which the server inherits
    try:
        server = start_server(tmp_path, S3ISH_WORKERS="0")
    finally:
        os.sched_setaffinity(0, before)
    assert ask(server) == 200
    assert len(list((tmp_path / ".s3ish").glob("worker.*"))) == 1
    assert children(server.process.pid) == []
    assert server.stop()[0] == 0


@pytest.mark.parametrize("count", [1, 3])
def test_a_worker_holds_no_lock_of_the_supervisor(start_server, tmp_path, count):
    roots = [tmp_path / str(number) for number in range(3)]
    server = start_server(*roots, "--workers", count)
    wait_until(lambda: len(list((roots[0] / ".s3ish").glob("worker.*"))) == count)
    locks = {str(root / ".s3ish/lock") for root in roots}
    assert locks <= open_files(server.process.pid)
    for worker in children(server.process.pid):
        held = open_files(worker)
        assert not locks & held
        assert {str(root / ".s3ish/workers.lock") for root in roots} <= held
    assert server.stop()[0] == 0


@pytest.mark.parametrize("count", [1, 2])
def test_the_end_of_the_terminal_ends_the_server_cleanly(start_server, tmp_path, count):
    server = start_server(tmp_path, "--workers", count)
    assert ask(server) == 200
    code, log = server.stop(signal.SIGHUP)
    assert (code, log.count("stopped"), "Traceback" in log) == (0, 1, False)
    assert not list((tmp_path / ".s3ish").glob("worker.*"))


def test_an_interrupt_of_all_processes_at_once_ends_the_server_cleanly(start_server, tmp_path):
    server = start_server(tmp_path, "--workers", 2)
    wait_until(lambda: len(children(server.process.pid)) == 2)
    for worker in children(server.process.pid):  # as a terminal tells all processes in the foreground
        os.kill(worker, signal.SIGINT)
    code, log = server.stop(signal.SIGINT)
    assert (code, "Traceback" in log, "died" in log) == (0, False, False)
    assert not list((tmp_path / ".s3ish").glob("worker.*"))


def test_workers_end_with_their_supervisor(start_server, tmp_path):
    server = start_server(tmp_path, "--workers", 2)
    wait_until(lambda: len(children(server.process.pid)) == 2)
    workers = children(server.process.pid)
    server.process.kill()
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
