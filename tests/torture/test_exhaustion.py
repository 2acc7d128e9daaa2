"""What a server can run out of: space, inodes, descriptors, time.

S3 errors while it lasts, reads and deletes go on, and all is well soon after.
"""

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.torture.client import CUT, KEY, Client

DISK_BYTES = 48 << 20
RELIEF_SECONDS = 30
STOP_SECONDS = 30
"""Each takes a second at most, on a machine that has nothing else to do."""
OBJECT = bytes(range(256)) * 400


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a tmpfs")
    root = tmp_path / "disk"
    root.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},nr_inodes=2000", "tmpfs", root],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted: {done.stderr.decode().strip()}")
    yield root
    subprocess.run(["umount", "-l", root], check=True)


@pytest.fixture
def connect():
    """A function that makes a client; all are closed at the end."""
    made = []

    def make(*arguments, **options):
        made.append(Client(*arguments, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def serve(start_server, connect):
    """A function that starts a server with a bucket in it; returns the server and a client."""
    started = []

    def start(root, *arguments, **variables):
        started.append(start_server(root / "volume", *arguments, **variables))
        client = connect(started[-1].endpoint)
        client.request("PUT", "/bucket")
        return started[-1], client

    yield start
    for server in started:
        server.stop()


def put_until_refused(client, body, limit=3000):
    """Put objects until one is refused; return the answer and the keys that were stored."""
    stored = []
    for number in range(limit):
        answer = client.request("PUT", f"/bucket/many/{number}", body)
        if not answer.ok:
            return answer, stored
        stored.append(f"/bucket/many/{number}")
    raise AssertionError("the disk never was full")


def normal_again(client, path="/bucket/afterwards", body=OBJECT):
    """Wait until a write succeeds; return how many seconds that took."""
    started = time.monotonic()
    while time.monotonic() < started + 2 * RELIEF_SECONDS:
        if client.request("PUT", path, body).ok:
            return time.monotonic() - started
        time.sleep(0.05)
    raise AssertionError("writes never succeed again")


@pytest.mark.parametrize("body", [OBJECT, b"small " * 100], ids=["shards", "inline"])
@pytest.mark.parametrize("how", ["space", "inodes"])
def test_a_full_disk(disk, serve, body, how):  # cases 133, 154
    server, client = serve(disk)
    assert client.request("PUT", "/bucket/kept", OBJECT).ok
    filler = disk / "filler"
    if how == "space":
        filler.write_bytes(bytes(shutil.disk_usage(disk).free - (2 << 20)))
    else:
        filler.mkdir()
        for number in range(os.statvfs(disk).f_ffree - 60):
            (filler / str(number)).touch()
    refused, stored = put_until_refused(client, body)
    assert (refused.status, refused.code) == (507, "InsufficientStorage")
    again = client.request("PUT", "/bucket/kept", body * 10)
    assert (again.status, again.code) == (507, "InsufficientStorage")
    assert client.request("GET", "/bucket/kept").body == OBJECT
    assert client.request("GET", "/bucket?list-type=2").ok
    for path in stored:
        assert client.request("GET", path).body == body
    assert client.request("DELETE", "/bucket/kept").status == 204
    for path in stored[::2]:
        assert client.request("DELETE", path).status == 204
    assert client.request("GET", "/bucket/kept").code == "NoSuchKey"
    shutil.rmtree(filler) if filler.is_dir() else filler.unlink()
    assert normal_again(client) < RELIEF_SECONDS
    for path in stored[1::2]:
        assert client.request("GET", path).body == body
    code, log = server.stop()
    assert code == 0
    assert "Traceback" not in log


def test_deletes_free_the_disk_that_objects_filled(disk, serve):  # case 133
    _, client = serve(disk)
    refused, stored = put_until_refused(client, OBJECT)
    assert (refused.status, refused.code) == (507, "InsufficientStorage")
    for path in stored:
        answer = client.request("DELETE", path)
        assert answer.status == 204, answer
    assert normal_again(client) < RELIEF_SECONDS
    _, stored_again = put_until_refused(client, OBJECT)
    assert len(stored_again) > 0.6 * len(stored)  # the index's log keeps the size it has grown to


def test_messages_leave_room_for_removals(disk, serve):  # case 133
    """They are in the index alone, which would fill the disk to its last byte: then nothing could be removed."""
    server, client = serve(disk)
    keys = [f"/bucket/{number}" for number in range(10)]
    for key in keys:
        assert client.request("PUT", key, OBJECT).ok
    queues = boto3.client(
        "sqs",
        endpoint_url=server.endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    url = queues.create_queue(QueueName="queue")["QueueUrl"]
    with pytest.raises(ClientError) as caught:
        for _ in range(300):
            queues.send_message(QueueUrl=url, MessageBody="x" * 250_000)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507
    for key in keys:
        assert client.request("DELETE", key).status == 204
    [message] = queues.receive_message(QueueUrl=url)["Messages"]
    queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    queues.purge_queue(QueueUrl=url)
    queues.send_message(QueueUrl=url, MessageBody="x" * 250_000)
    code, log = server.stop()
    assert code == 0
    assert "Traceback" not in log


def test_objects_that_grow_leave_an_index_on_its_own_drive_room_for_removals(tmp_path, disk, serve):  # case 133
    """The bytes of each come with a removal: that of the row of the object before."""
    index = str(disk / "index.db")
    server, client = serve(tmp_path, S3ISH_STORAGE_INDEX=index, S3ISH_STORAGE_INLINE_BYTES=str(512 << 10))
    keys, long = [f"/bucket/{number}" for number in range(150)], b"x" * (500 << 10)
    for key in keys:
        assert client.request("PUT", key, b"x").ok
    answers = [client.request("PUT", key, long) for key in keys]
    assert {(answer.status, answer.code) for answer in answers if not answer.ok} == {(507, "InsufficientStorage")}
    for key in keys:
        assert client.request("DELETE", key).status == 204
    assert normal_again(client, body=long) < RELIEF_SECONDS
    code, log = server.stop()
    assert code == 0
    assert "Traceback" not in log


@pytest.mark.parametrize("workers", [1, 2])
def test_no_room_for_the_log(tmp_path, connect, workers):  # case 133
    environment = os.environ | {"S3ISH_FSYNC": "false", "S3ISH_WORKERS": str(workers)}
    command = [sys.executable, "-m", "s3ish", "serve", "--port", "0", tmp_path / "volume"]
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=full, text=True)
    try:
        endpoint = next(found[0] for line in process.stdout if (found := re.search(r"http://[0-9.:]+", line)))
        client = connect(endpoint)
        assert client.request("PUT", "/bucket").ok
        for number in range(5):
            assert client.request("PUT", f"/bucket/{number}", OBJECT).ok
            assert client.request("GET", f"/bucket/{number}").body == OBJECT
            assert client.request("GET", "/bucket/missing").code == "NoSuchKey"
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_no_descriptors_left(tmp_path, serve, connect):  # cases 103, 135
    server, client = serve(tmp_path)
    assert client.request("PUT", "/bucket/kept", OBJECT).ok
    process = server.process.pid
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{process}/fd").iterdir()))
    resource.prlimit(process, resource.RLIMIT_NOFILE, (used, before[1]))
    for body in (OBJECT, b"small"):
        answer = client.request("PUT", "/bucket/refused", body)
        assert (answer.status, answer.code) == (503, "ServiceUnavailable")
    answer = client.request("GET", "/bucket/kept")
    assert answer.status in {500, 503}
    assert answer.code
    assert client.request("GET", "/bucket?list-type=2").ok
    assert client.request("HEAD", "/bucket/kept").ok
    assert client.request("DELETE", "/bucket/never-there").status == 204
    more = [connect(server.endpoint, timeout_seconds=1) for _ in range(5)]
    spent = cpu_seconds(process)
    for other in more:
        with pytest.raises(CUT):
            other.request("GET", "/bucket/kept")
    assert cpu_seconds(process) - spent < 2.5, "it does not wait for descriptors, it asks for them without end"
    resource.prlimit(process, resource.RLIMIT_NOFILE, before)
    assert normal_again(client) < RELIEF_SECONDS
    assert client.request("GET", "/bucket/kept").body == OBJECT
    assert connect(server.endpoint).request("GET", "/bucket/kept").body == OBJECT
    code, log = server.stop()
    assert code == 0
    assert "Traceback" not in log


def cpu_seconds(process):
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_file_that_may_not_grow(tmp_path, serve):  # case 135
    server, client = serve(tmp_path)
    assert client.request("PUT", "/bucket/kept", OBJECT).ok
    process = server.process.pid
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (30_000, before[1]))
    answer = client.request("PUT", "/bucket/refused", OBJECT)
    assert (answer.status, answer.code) == (503, "ServiceUnavailable")
    assert client.request("GET", "/bucket/kept").body == OBJECT
    assert client.request("GET", "/bucket/refused").code == "NoSuchKey"
    resource.prlimit(process, resource.RLIMIT_FSIZE, before)
    assert normal_again(client) < RELIEF_SECONDS
    assert server.stop()[0] == 0


@pytest.mark.parametrize("left_mib", [-100, 2, 16])
def test_no_memory_left(tmp_path, serve, connect, left_mib):  # case 135
    """Nothing new can be mapped, or little: what has no room is refused, and the rest goes on."""
    server, client = serve(tmp_path)
    assert client.request("PUT", "/bucket/kept", OBJECT).ok
    process, stored, wrong = server.process.pid, [], []
    before = resource.prlimit(process, resource.RLIMIT_AS)
    taken = int(Path(f"/proc/{process}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(process, resource.RLIMIT_AS, (taken + (left_mib << 20), before[1]))

    def use(number):
        mine = connect(server.endpoint)
        for path in (f"/bucket/{number}-{turn}" for turn in range(2)):
            with contextlib.suppress(*CUT):
                put = mine.request("PUT", path, OBJECT * 60)
                got = mine.request("GET", "/bucket/kept")
                stored.extend([path] if put.ok else [])
                wrong.extend(answer for answer in (put, got) if not answer.ok and answer.status not in {500, 503})
                wrong.extend([got] if got.ok and got.body != OBJECT else [])

    threads = [threading.Thread(target=use, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    for method, path in (("GET", "/bucket?list-type=2"), ("DELETE", "/bucket/never-there")):
        answer = client.request(method, path)
        assert answer.ok or answer.status == 503, answer
    resource.prlimit(process, resource.RLIMIT_AS, before)
    assert normal_again(client) < RELIEF_SECONDS
    assert client.request("GET", "/bucket?list-type=2").ok
    assert client.request("DELETE", "/bucket/never-there").status == 204
    assert client.request("GET", "/bucket/kept").body == OBJECT
    for path in stored:
        assert client.request("GET", path).body == OBJECT * 60
    code, log = server.stop()
    assert code == 0
    assert "unhandled" not in log


@pytest.mark.parametrize("workers", [1, 2])
def test_an_upload_that_never_ends_does_not_hold_up_the_stop(tmp_path, serve, workers):  # cases 16, 102
    server, client = serve(tmp_path, "--workers", workers, S3ISH_SERVER_SHUTDOWN_SECONDS="1")
    connection = client.begin("PUT", "/bucket/half", 1000)
    connection.sendall(bytes(500))
    time.sleep(0.1)
    started = time.monotonic()
    code, log = server.stop(signal.SIGTERM)
    assert time.monotonic() - started < 1 + STOP_SECONDS  # a second for the upload, the rest for a slow machine
    assert code == 0
    assert "unhandled" not in log
    assert "Traceback" not in log
    with contextlib.suppress(*CUT):
        assert client.finish().status >= 500
    _, after = serve(tmp_path)
    assert after.request("GET", "/bucket/half").code == "NoSuchKey"


def test_an_upload_in_flight_is_finished_at_the_stop(tmp_path, serve):  # case 16
    server, client = serve(tmp_path)
    connection = client.begin("PUT", "/bucket/whole", len(OBJECT))
    connection.sendall(OBJECT[:1000])
    stopped = threading.Thread(target=server.stop)
    stopped.start()
    time.sleep(0.3)
    connection.sendall(OBJECT[1000:])
    answer = client.finish()
    assert answer.ok
    stopped.join()
    assert server.process.returncode == 0
    _, after = serve(tmp_path)
    assert after.request("GET", "/bucket/whole").body == OBJECT
