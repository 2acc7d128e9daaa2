"""Workers as processes: how they begin, what they hold, how they end."""

import http.client
import os
import signal
import socket
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import uvicorn

from s3ish.clock import Clock
from s3ish.process.cores import usable_cores
from s3ish.process.worker import Worker


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


async def app(scope, receive, send):
    """The least that can be served."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})


@pytest.mark.parametrize("may_fork", [False, True])
def test_a_worker_begins_as_a_new_program_beside_threads_and_drives_that_hang(may_fork):
    config = uvicorn.Config("tests.process.test_worker:app", lifespan="off", log_config=None)
    ended = threading.Event()
    waiting = threading.Thread(target=ended.wait)
    waiting.start()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        worker = Worker(config, [listening], Clock(), lambda: None, may_fork=may_fork)
        worker.start()
        try:
            wait_until(lambda: worker.is_alive() and worker.ready)
            with urllib.request.urlopen("http://127.0.0.1:{1}".format(*listening.getsockname())) as answer:
                assert int(answer.read()) == worker.pid
            assert b"spawn_main" in Path(f"/proc/{worker.pid}/cmdline").read_bytes()
        finally:
            ended.set()
            waiting.join()
            worker.terminate()
            worker.join()
    assert not worker.is_alive()


def test_a_worker_that_is_silent_for_too_long_does_not_count_as_alive():
    worker = Worker(uvicorn.Config("x:y", log_config=None), [], Clock(), lambda: None, may_fork=False)
    worker.process = SimpleNamespace(is_alive=lambda: True)
    assert worker.is_alive()
    assert worker.is_alive()
    assert not worker.is_alive(timeout=0.0)
    worker.child_conn.send(False)
    assert worker.is_alive(timeout=0.0)
    assert not worker.ready
    worker.hang_up()


def test_by_default_there_is_one_worker_a_core(start_server, tmp_path):
    server = start_server(tmp_path, S3ISH_WORKERS="0")
    count = min(8, usable_cores())
    assert ask(server) == 200
    wait_until(lambda: len(children(server.process.pid)) == (count if count > 1 else 0))
    assert server.stop()[0] == 0


def test_on_one_core_one_process_does_all(start_server, tmp_path):
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
    shared = {str(root / ".s3ish/workers.lock") for root in roots}
    wait_until(lambda: [shared <= open_files(worker) for worker in children(server.process.pid)] == [True] * count)
    locks = {str(root / ".s3ish/lock") for root in roots}
    assert locks <= open_files(server.process.pid)
    for worker in children(server.process.pid):
        assert not locks & open_files(worker)
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
