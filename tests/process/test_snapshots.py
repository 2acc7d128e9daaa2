"""Snapshots, restores and resets of a server on drives, through kills of its processes and rebuilds of the index."""

import contextlib
import os
import signal
import threading

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from s3ish.testing import Running
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

BODIES = {"small": b"small", "empty": b"", "large": b"l" * 300_000, "folder/large": b"f" * 1_000_000}


class Served:
    """A server on drives, which can be killed and started again.

    Args:
        start: starts a process.
        roots: the drives.
    """

    def __init__(self, start, roots):
        self._start, self.roots = start, roots
        self.begin()

    def begin(self):
        self.process = self._start(*self.roots, "--bucket", "made", S3ISH_TEST_CONTROLS="true", S3ISH_FSYNC="true")
        self.server = Running(self.process.endpoint, "s3ishadmin", "s3ishadmin")
        options = Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=60)
        self.s3 = boto3.client("s3", **self.server.client_arguments, config=options)

    def kill(self):
        """Kill the server and its workers, so that none of them can finish anything."""
        listed = os.listdir("/proc")
        parents = {}
        for number in filter(str.isdigit, listed):
            try:
                with open(f"/proc/{number}/stat") as file:
                    parents[int(number)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
        own = self.process.process.pid
        for number in [own, *(number for number, parent in parents.items() if parent == own)]:
            os.kill(number, signal.SIGKILL)
        self.process.stop()

    def crash(self):
        self.kill()
        self.begin()

    def put(self, key, body):
        self.s3.put_object(Bucket="made", Key=key, Body=body)

    def delete(self, key):
        self.s3.delete_object(Bucket="made", Key=key)

    def objects(self, world=None):
        s3 = of(world) if world else self.s3
        found = s3.list_objects_v2(Bucket="made").get("Contents", [])
        return {it["Key"]: s3.get_object(Bucket="made", Key=it["Key"])["Body"].read() for it in found}

    def shards(self):
        return sorted(str(path) for root in self.roots for path in root.rglob("*") if path.name.startswith("data."))


@pytest.fixture(params=[1, 3])
def served(request, start_server, tmp_path):
    roots = [tmp_path / f"drive{number}" for number in range(request.param)]
    for root in roots:
        root.mkdir()
    return Served(start_server, roots)


def fill(served):
    for key, body in BODIES.items():
        served.put(key, body)


def change(served):
    served.put("small", b"other")
    served.delete("large")
    served.delete("empty")
    served.put("folder/large", b"o" * 400_000)
    served.put("new", b"n" * 300_000)
    return {"small": b"other", "folder/large": b"o" * 400_000, "new": b"n" * 300_000}


@pytest.fixture
def require_clean(served, run_s3ish):
    """A function that stops the server, and requires that a check of its store finds nothing wrong."""

    def require():
        served.process.stop()
        told = run_s3ish("check", S3ISH_VOLUMES=",".join(map(str, served.roots)))
        assert told.returncode == 0, told.stdout + told.stderr

    return require


def test_a_snapshot_outlasts_crashes_and_is_restored_through_them(served, require_clean, run_s3ish):
    fill(served)
    served.server.snapshot("full")
    served.crash()
    changed = change(served)
    served.crash()
    assert served.objects() == changed
    served.server.restore("full")
    served.crash()
    assert served.objects() == BODIES
    require_clean()
    told = run_s3ish("index", "rebuild", S3ISH_VOLUMES=",".join(map(str, served.roots)))
    assert told.returncode == 0, told.stdout + told.stderr
    served.begin()
    assert served.objects() == BODIES
    assert served.server.control("GET", "snapshots") == {"snapshots": []}
    require_clean()


def test_a_rebuild_while_there_are_snapshots_keeps_what_is_there_now(served, require_clean, run_s3ish):
    fill(served)
    served.server.snapshot("full")
    changed = change(served)
    served.kill()
    told = run_s3ish("index", "rebuild", S3ISH_VOLUMES=",".join(map(str, served.roots)))
    assert told.returncode == 0, told.stdout + told.stderr
    served.begin()
    assert served.objects() == changed
    wait_until(lambda: len(served.shards()) == 2 * len(("folder/large", "new")))
    require_clean()


def test_what_a_removed_snapshot_alone_named_leaves_the_drives(served, require_clean):
    before = served.shards()
    fill(served)
    served.server.snapshot("full")
    assert served.server.control("GET", "snapshots")["snapshots"][0]["objects"] == 4
    for key in BODIES:
        served.delete(key)
    assert served.objects() == {}
    assert served.shards() != before
    served.server.control("DELETE", "snapshots/full")
    wait_until(lambda: served.shards() == before)
    require_clean()


def test_a_reset_goes_back_to_the_start_and_stays(served, require_clean):
    fill(served)
    served.s3.create_bucket(Bucket="another")
    served.server.clock.set("2031-01-01T00:00:00Z")
    served.server.reset()
    served.crash()
    assert [it["Name"] for it in served.s3.list_buckets()["Buckets"]] == ["made"]
    assert served.objects() == {}
    wait_until(lambda: served.shards() == [])
    require_clean()


def test_a_rebuild_brings_nothing_back_that_a_reset_has_still_to_remove(served, require_clean, run_s3ish):
    fill(served)
    for number in range(300):  # more than are removed before the answer
        served.put(f"many/{number}", b"x")
    served.server.reset()
    served.kill()
    told = run_s3ish("index", "rebuild", S3ISH_VOLUMES=",".join(map(str, served.roots)))
    assert told.returncode == 0, told.stdout + told.stderr
    served.begin()
    assert served.objects() == {}
    require_clean()


def test_a_reset_of_one_bucket_leaves_the_others(served):
    fill(served)
    served.s3.create_bucket(Bucket="another")
    served.s3.put_object(Bucket="another", Key="k", Body=b"x")
    served.server.reset("made")
    assert served.objects() == {}
    assert served.s3.get_object(Bucket="another", Key="k")["Body"].read() == b"x"
    served.server.reset("another")
    assert [it["Name"] for it in served.s3.list_buckets()["Buckets"]] == ["made"]


@pytest.mark.parametrize("round_", range(3))
def test_a_kill_in_the_middle_leaves_it_before_or_after(served, require_clean, round_):
    fill(served)
    many = {f"many/{number}": b"%d" % number for number in range(60)}
    for key, body in many.items():
        served.put(key, body)
    served.server.snapshot("full")
    for key in many:
        served.delete(key)
    changed = change(served)

    def restore():
        with contextlib.suppress(OSError, ValueError):
            served.server.restore("full")

    restoring = threading.Thread(target=restore)
    restoring.start()
    restoring.join(0.004 * round_)
    served.crash()
    restoring.join()
    assert served.objects() in (changed, BODIES | many)
    served.server.restore("full")
    assert served.objects() == BODIES | many
    require_clean()


def test_writers_go_on_through_restores(served, require_clean):
    fill(served)
    served.server.snapshot("full")
    failed, ended = [], threading.Event()

    def write(name):
        while not ended.is_set():
            try:
                served.put(name, b"w" * 200_000)
                served.delete("large")
            except (ClientError, BotoCoreError) as error:
                failed.append(error)

    writers = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(3)]
    for writer in writers:
        writer.start()
    for _ in range(5):
        served.server.restore("full")
    ended.set()
    for writer in writers:
        writer.join()
    served.server.restore("full")
    assert (served.objects(), failed) == (BODIES, [])
    require_clean()


def test_a_start_without_controls_keeps_no_start(served, start_server):
    served.put("large", BODIES["large"])
    served.process.stop()
    served.begin()
    served.delete("large")
    assert served.shards(), "a reset goes back to this start"
    served.process.stop()
    start_server(*served.roots)
    wait_until(lambda: not served.shards())


def of(world):
    return boto3.client("s3", **world.client_arguments, config=Config(retries={"max_attempts": 0}))


def test_a_fork_outlasts_crashes_and_what_becomes_of_the_main_world(served, require_clean):
    fill(served)
    served.server.snapshot("full")
    one = served.server.fork("full", "one")
    of(one).delete_object(Bucket="made", Key="small")
    of(one).put_object(Bucket="made", Key="own", Body=b"o" * 300_000)
    of(one).put_object(Bucket="made", Key="own small", Body=b"own")
    served.crash()
    served.server.control("DELETE", "snapshots/full")
    changed = change(served)
    served.crash()
    world = served.server.world("one")
    bodies = BODIES | {"own": b"o" * 300_000, "own small": b"own"}
    del bodies["small"]
    assert served.objects(world) == bodies
    assert served.objects() == changed
    world.reset()
    assert served.objects(world) == BODIES
    require_clean()


def test_a_start_without_controls_leaves_nothing_of_worlds(served, start_server, require_clean):
    one = served.server.world("one")
    of(one).put_object(Bucket="made", Key="own", Body=b"o" * 300_000)
    served.server.snapshot("kept")
    assert served.shards()
    served.process.stop()
    process = start_server(*served.roots)
    wait_until(lambda: not served.shards())
    assert "snapshots of tests keep what they name" in process.stop()[1]
    require_clean()
