"""Users of a server with several workers: each sees soon what another one was asked to change."""

import contextlib
import os
import signal
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3ish.cli.admin_client import AdminClient, Credentials
from tests.process.test_worker import children
from tests.waiting import WAIT_SECONDS, wait_until

ROOT = Credentials("s3ishadmin", "s3ishadmin")
SOON_SECONDS = 1.0


def may(endpoint, keys):
    """Ask over a new connection, which any worker may take, whether keys work; return when that was, and whether."""
    config = Config(retries={"max_attempts": 0}, max_pool_connections=1)
    began = time.monotonic()
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=keys["access_key"],
        aws_secret_access_key=keys["secret_key"],
        region_name="us-east-1",
        config=config,
    )
    began = time.monotonic()
    with contextlib.closing(s3):
        try:
            s3.list_buckets()
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidAccessKeyId":
                raise
            return began, False
    return began, True


def last_that(endpoint, keys, worked):
    """Ask until 20 answers in a row are the other way; return when the last one was like that."""
    began = last = time.monotonic()
    row = 0
    while row < 20:
        at, works = may(endpoint, keys)
        assert at - began < WAIT_SECONDS, "it did not change"
        last, row = (at, 0) if works == worked else (last, row + 1)
    return last


@pytest.mark.slow
def test_a_key_works_and_stops_at_every_worker_within_a_second(start_server, tmp_path):
    server = start_server(tmp_path / "volume", "--workers", "2")
    admin = AdminClient(server.endpoint, ROOT, "us-east-1")
    keys = admin.call("POST", "users", body={"name": "alice", "policies": ["readonly"], "key": {}})["key"]
    made = time.monotonic()
    assert last_that(server.endpoint, keys, worked=False) - made < SOON_SECONDS
    admin.call("PATCH", "users", "alice", "keys", keys["access_key"], body={"active": False})
    stopped = time.monotonic()
    assert last_that(server.endpoint, keys, worked=True) - stopped < SOON_SECONDS
    server.stop()
    server = start_server(tmp_path / "volume", "--workers", "2")
    admin = AdminClient(server.endpoint, ROOT, "us-east-1")
    assert not may(server.endpoint, keys)[1]
    admin.call("PATCH", "users", "alice", "keys", keys["access_key"], body={"active": True})
    allowed = time.monotonic()
    assert last_that(server.endpoint, keys, worked=False) - allowed < SOON_SECONDS


@contextlib.contextmanager
def paused(pid):
    """Let a process wait."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def of_one_worker(endpoint, others):
    """Return a client for IAM whose connection no other worker has taken."""
    client = boto3.client(
        "iam",
        endpoint_url=endpoint,
        aws_access_key_id=ROOT.access_key,
        aws_secret_access_key=ROOT.secret_key,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}, max_pool_connections=1),
    )
    with contextlib.ExitStack() as stack:
        for worker in others:
            stack.enter_context(paused(worker))
        client.list_users()
    return client


@pytest.mark.slow
def test_what_one_worker_makes_the_next_call_finds_at_another(start_server, tmp_path):
    server = start_server(tmp_path / "volume", "--workers", "2")
    wait_until(lambda: len(children(server.process.pid)) == 2)
    workers = children(server.process.pid)
    one, other = (of_one_worker(server.endpoint, {*workers} - {worker}) for worker in workers)
    for name in ("ann", "bob", "eve"):
        other.list_users()
        one.create_user(UserName=name)
        assert other.get_user(UserName=name)["User"]["UserName"] == name


@pytest.mark.slow
def test_a_new_key_is_known_to_every_worker_at_once(start_server, tmp_path):
    server = start_server(tmp_path / "volume", "--workers", "2")
    admin = AdminClient(server.endpoint, ROOT, "us-east-1")
    for number in range(6):
        name, key = f"user{number}", {"access_key": f"new-key-{number}", "secret_key": "a-secret-of-many-letters"}
        admin.call("POST", "users", body={"name": name, "policies": ["readwrite"], "key": key})
        for _ in range(6):  # each on a connection of its own, which any worker may take
            assert may(server.endpoint, key)[1]
