"""Drives and shards that are harmed on purpose, on a server with three drives: it goes on, and heals."""

import os

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3ish.config import ConfigError
from s3ish.config_sources import load
from s3ish.testing import Running, Server
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def begin(start_server, tmp_path):
    """A function that starts a server on so many drives; it returns how tests come to it."""

    def begin(count=3, **variables):
        roots = [tmp_path / f"drive{number}" for number in range(count)]
        for root in roots:
            root.mkdir()
        given = {"S3ISH_TEST_CONTROLS": "true", "S3ISH_STORAGE_DRIVE_TIMEOUT_SECONDS": "1", "S3ISH_FSYNC": "true"}
        given["S3ISH_STORAGE_INDEX"] = str(tmp_path / "index.db")  # or a slow machine has it moved within that second
        process = start_server(*roots, "--bucket", "made", **given | variables)
        return Running(process.endpoint, "s3ishadmin", "s3ishadmin")

    return begin


def client(server):
    return boto3.client("s3", **server.client_arguments, config=Config(retries={"max_attempts": 0}))


def shards(tmp_path):
    """Return the shards of objects, by their names, with their content."""
    return {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.name.startswith(("data.", "parity."))}


@pytest.mark.parametrize("harm", ["lose", "flip"])
@pytest.mark.parametrize("shard", [0, 2])
def test_a_harmed_shard_is_made_good(begin, tmp_path, harm, shard):
    server = begin()
    s3, body = client(server), os.urandom(1_000_000)
    s3.put_object(Bucket="made", Key="k", Body=body)
    whole = shards(tmp_path)
    told = server.control("POST", "shards", {"bucket": "made", "key": "k", "shard": shard, "harm": harm})
    name = ("data.0", "data.1", "parity.0")[shard]
    assert told["harmed"].startswith(f"{name} on volume ")
    assert shards(tmp_path).get(name) != whole[name]

    def is_healed():
        assert s3.get_object(Bucket="made", Key="k")["Body"].read() == body
        return shards(tmp_path) == whole

    if shard == 0:  # what is read is found damaged; parity alone is not read
        wait_until(is_healed)
    else:
        assert s3.get_object(Bucket="made", Key="k")["Body"].read() == body


def test_a_full_drive_is_done_without_and_a_full_set_says_so(begin):
    server = begin()
    s3 = client(server)
    server.control("POST", "drives", {"drive": 1, "trouble": "full"})
    assert [it["trouble"] for it in server.control("GET", "drives")["drives"]] == ["ok", "full", "ok"]
    for drive in (0, 2):
        server.control("POST", "drives", {"drive": drive, "trouble": "full"})
    with pytest.raises(ClientError, match="InsufficientStorage"):
        s3.put_object(Bucket="made", Key="k", Body=b"x" * 1_000_000)
    assert {it["trouble"] for it in server.control("DELETE", "drives")["drives"]} == {"ok"}
    s3.put_object(Bucket="made", Key="k", Body=b"x" * 1_000_000)


def test_a_drive_that_cannot_flush_takes_no_more_writes(begin):
    server = begin()
    s3, body = client(server), os.urandom(1_000_000)
    server.control("POST", "drives", {"drive": 2, "trouble": "unflushed"})
    s3.put_object(Bucket="made", Key="k", Body=body)
    drives = server.control("DELETE", "drives")["drives"]
    assert [it["state"].startswith("takes no writes") for it in drives] == [False, False, True]
    assert s3.get_object(Bucket="made", Key="k")["Body"].read() == body


def test_a_drive_that_hangs_is_done_without_until_it_answers(begin):
    server = begin()
    s3, body = client(server), os.urandom(1_000_000)
    s3.put_object(Bucket="made", Key="before", Body=body)
    server.control("POST", "drives", {"drive": 0, "trouble": "hanging"})
    s3.put_object(Bucket="made", Key="k", Body=body)
    assert s3.get_object(Bucket="made", Key="k")["Body"].read() == body
    assert s3.get_object(Bucket="made", Key="before")["Body"].read() == body
    assert "answer" in server.control("GET", "drives")["drives"][0]["state"]
    server.control("DELETE", "drives")
    wait_until(lambda: server.control("GET", "drives")["drives"][0]["state"] == "ok")


def test_clock_faults_and_requests_are_controlled_as_in_memory(begin):
    server = begin(1)
    s3 = client(server)
    server.clock.set("2031-05-01T10:00:00Z")
    server.faults.add(operation="GetObject", cut_after_bytes=3)
    server.faults.add(operation="HeadBucket", drop=True)
    server.clock.reset()
    s3.put_object(Bucket="made", Key="k", Body=b"x" * 100)
    with pytest.raises(Exception, match=r"(?i)incomplete|broken|closed"):
        s3.get_object(Bucket="made", Key="k")["Body"].read()
    with pytest.raises(Exception, match=r"(?i)closed"):
        s3.head_bucket(Bucket="made")
    assert server.requests.count("GetObject") == 1


def test_what_is_due_has_been_done_when_the_clock_is_set(begin):
    server = begin(1)
    s3 = client(server)
    s3.create_bucket(Bucket="logs")
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(Bucket="made", LifecycleConfiguration={"Rules": [rule]})
    enabled = {"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": "made/"}}
    s3.put_bucket_logging(Bucket="made", BucketLoggingStatus=enabled)
    s3.put_object(Bucket="made", Key="k", Body=b"x")
    server.clock.advance(40 * 86_400)
    assert "Contents" not in s3.list_objects_v2(Bucket="made")
    (entry,) = s3.list_objects_v2(Bucket="logs", Prefix="made/")["Contents"]
    assert b"REST.PUT.OBJECT k" in s3.get_object(Bucket="logs", Key=entry["Key"])["Body"].read()


@pytest.mark.parametrize(
    ("method", "path", "body", "says"),
    [
        ("POST", "reset", {"snapshot": "a"}, "there is no snapshot"),
        ("POST", "reset", {"bucket": "never"}, "there is no bucket"),
        ("PUT", "snapshots/a%20b", None, "a snapshot's name has"),
        ("POST", "snapshots/a/restore", None, "there is no snapshot"),
        ("POST", "snapshots/a/fork", {"world": "test-a"}, "there is no snapshot"),
        ("POST", "snapshots/a/fork", {"world": ""}, "the main world cannot be a fork"),
        ("DELETE", "snapshots/a", None, "there is no snapshot"),
        ("GET", "requests?world=a", None, "a world is named by its access key"),
        ("DELETE", "worlds/test-a", None, "there is no world"),
        ("POST", "drives", {"drive": 7, "trouble": "full"}, "there is no drive 7"),
        ("POST", "drives", {"drive": 0, "trouble": "lazy"}, "trouble: invalid enum value 'lazy'"),
        ("POST", "shards", {"bucket": "made", "key": "none", "harm": "lose"}, "there is no object 'none' in 'made'"),
        ("POST", "shards", {"bucket": "made", "key": "small", "harm": "lose"}, "it has no shards"),
        ("POST", "shards", {"bucket": "made", "key": "k", "harm": "lose", "shard": 9}, "the object has shards 0 to"),
        ("POST", "shards", {"bucket": "made", "key": "k", "harm": "lose", "part": 2}, "the object has parts 1 to 1"),
    ],
)
def test_what_is_not_there_to_be_harmed(harmless, method, path, body, says):
    with pytest.raises(ValueError, match=says):
        harmless.control(method, path, body)


@pytest.fixture
def harmless(begin):
    server = begin(1)
    s3 = client(server)
    s3.put_object(Bucket="made", Key="small", Body=b"x")
    s3.put_object(Bucket="made", Key="k", Body=b"x" * 1_000_000)
    return server


def test_memory_has_no_drives():
    with Server() as server, pytest.raises(ValueError, match="keeps everything in memory"):
        server.control("GET", "drives")


def test_controls_are_of_one_worker():
    with pytest.raises(ConfigError, match=r"test\.controls: they are those of one process"):
        load(environment={"S3ISH_TEST_CONTROLS": "true", "S3ISH_WORKERS": "2"})


def test_drives_are_of_all_worlds_and_objects_of_one(begin):
    server = begin(3)
    one = server.world("one")
    client(one).put_object(Bucket="made", Key="k", Body=b"x" * 1_000_000)
    assert one.control("GET", "drives") == server.control("GET", "drives")
    one.control("POST", "shards", {"bucket": "made", "key": "k", "shard": 0, "harm": "lose"})
    assert client(one).get_object(Bucket="made", Key="k")["Body"].read() == b"x" * 1_000_000
    with pytest.raises(ValueError, match="there is no object 'k'"):
        server.control("POST", "shards", {"bucket": "made", "key": "k", "harm": "lose"})
    one.control("POST", "drives", {"drive": 1, "trouble": "full"})
    assert [it["trouble"] for it in server.control("GET", "drives")["drives"]] == ["ok", "full", "ok"]
