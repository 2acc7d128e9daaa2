"""Worlds of a server for tests: each access key ``test-<name>`` has buckets, clock, faults and resets of its own."""

import asyncio
import contextlib
import json
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from datetime import UTC, datetime
from os import environ

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from msgspec.structs import replace

from s3ish.api.catalogue import catalogue
from s3ish.config import Settings
from s3ish.errors import ServiceUnavailable
from s3ish.index.protocol import Unavailable
from s3ish.objects import snapshots
from s3ish.observe.observer import Observer
from s3ish.server.claimed_world import MAIN, claimed_world
from s3ish.server.router import Router
from s3ish.testing import Running, Server
from s3ish.worlds.controlled import Controlled, Gate
from s3ish.worlds.drive_world import DriveWorld
from s3ish.worlds.memory_app import MemoryApplication
from s3ish.worlds.registry import Worlds
from tests.objects.support import World
from tests.waiting import until, wait_until


@pytest.fixture(scope="module", params=["memory", "drives"])
def shared(request, start_shared_server, tmp_path_factory):
    """A server in memory, or one that keeps its data on drives."""
    if request.param == "memory":
        with Server(buckets=("made",)) as server:
            yield server
        return
    roots = [tmp_path_factory.mktemp(f"drive{number}") for number in range(3)]
    controls = {"S3ISH_TEST_CONTROLS": "true", "S3ISH_ACCESS_KEY": "test", "S3ISH_SECRET_KEY": "test"}
    yield Running(start_shared_server(*roots, "--bucket", "made", **controls).endpoint)


@pytest.fixture
def server(shared):
    yield shared
    shared.reset()
    for world in shared.control("GET", "worlds")["worlds"]:
        shared.control("DELETE", f"worlds/{world}")


def client(running, **config):
    return boto3.client("s3", **running.client_arguments, config=Config(retries={"max_attempts": 0}, **config))


def keys(s3, bucket="made"):
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_buckets_of_one_name_hold_different_objects(server):
    main, one, two = server, server.world("one"), server.world("two")
    for running, key in ((main, "m"), (one, "1"), (two, "2")):
        client(running).put_object(Bucket="made", Key=key, Body=key.encode())
    client(one).create_bucket(Bucket="own")
    assert [keys(client(it)) for it in (main, one, two)] == [["m"], ["1"], ["2"]]
    with pytest.raises(ClientError, match="NoSuchBucket"):
        client(two).list_objects_v2(Bucket="own")
    assert server.control("GET", "worlds") == {"worlds": ["test-one", "test-two"]}


def test_a_reset_is_of_one_world(server):
    one, two = server.world("one"), server.world("two")
    for running in (server, one, two):
        client(running).put_object(Bucket="made", Key="k", Body=b"x")
    one.reset()
    assert [keys(client(it)) for it in (server, one, two)] == [["k"], [], ["k"]]
    server.reset()
    assert [keys(client(it)) for it in (server, one, two)] == [[], [], ["k"]]


def test_clock_faults_and_requests_are_of_one_world(server):
    one, two = server.world("one"), server.world("two")
    one.control("PUT", "clock", {"at": "2031-05-01T10:00:00Z", "running": False})
    one.control("POST", "faults", {"operation": "GetObject", "status": 503, "count": 1000})
    for running in (one, two):
        client(running).put_object(Bucket="made", Key="k", Body=b"x")
    with pytest.raises(ClientError, match="InternalError"):
        client(one).get_object(Bucket="made", Key="k")
    assert client(two).get_object(Bucket="made", Key="k")["LastModified"].year != 2031
    assert client(one).head_object(Bucket="made", Key="k")["LastModified"] == datetime(2031, 5, 1, 10, tzinfo=UTC)
    assert one.control("GET", "requests")["counts"] == {"PutObject": 1, "GetObject": 1, "HeadObject": 1}
    assert two.control("GET", "requests?operation=GetObject")["counts"] == {"PutObject": 1, "GetObject": 1}
    assert server.control("GET", "requests")["counts"] == {}


def test_a_fork_is_a_world_of_its_own(server):
    client(server).put_object(Bucket="made", Key="before", Body=b"x" * 100_000)
    server.snapshot("filled")
    one, two = server.fork("filled", "one"), server.fork("filled", "two")
    client(one).delete_object(Bucket="made", Key="before")
    client(two).put_object(Bucket="made", Key="more", Body=b"x")
    client(server).delete_object(Bucket="made", Key="before")
    assert [keys(client(it)) for it in (server, one, two)] == [[], [], ["before", "more"]]
    one.reset()
    assert client(one).get_object(Bucket="made", Key="before")["Body"].read() == b"x" * 100_000
    with pytest.raises(ValueError, match="there is no snapshot 'none'"):
        server.fork("none", "one")
    server.control("DELETE", "snapshots/filled")


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_is_of_the_world_of_its_key(server, version):
    one = client(server.world("one"), signature_version=version)
    one.put_object(Bucket="made", Key="k", Body=b"of one")
    url = one.generate_presigned_url("get_object", Params={"Bucket": "made", "Key": "k"})
    assert "test-one" in url
    assert urllib.request.urlopen(url).read() == b"of one"
    with pytest.raises(urllib.error.HTTPError, match=r"40[34]"):
        urllib.request.urlopen(url.replace("test-one", "test-two"))


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_form_is_of_the_world_of_its_key(server, size):
    one = server.world("one")
    post = client(one).generate_presigned_post("made", "k")
    boundary = "edge"
    fields = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in post["fields"].items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    body = ("".join(fields) + head).encode() + b"x" * size + f"\r\n--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    assert urllib.request.urlopen(urllib.request.Request(post["url"], body, kind)).status == 204
    assert client(one).get_object(Bucket="made", Key="k")["Body"].read() == b"x" * size
    assert keys(client(server)) == []


def test_a_session_is_of_the_world_of_its_parent(server):
    one = server.world("one")
    client(one).put_object(Bucket="made", Key="of-one", Body=b"x")
    given = boto3.client("sts", **one.client_arguments).get_session_token()["Credentials"]
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        config=Config(signature_version="s3v4"),
    )
    assert keys(s3) == ["of-one"]
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "made", "Key": "of-one"})
    assert urllib.request.urlopen(url).read() == b"x"


def test_who_signs_nothing_is_in_the_main_world(server):
    for running in (server, server.world("one")):
        client(running).create_bucket(Bucket="open")
        allowed = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::open/*"}
        policy = {"Version": "2012-10-17", "Statement": [allowed]}
        client(running).put_bucket_policy(Bucket="open", Policy=json.dumps(policy))
        client(running).put_object(Bucket="open", Key="k", Body=running.access_key.encode())
    assert urllib.request.urlopen(f"{server.endpoint}/open/k").read() == b"test"


def test_the_secret_is_that_of_the_root_user(server):
    one = server.world("one")
    one.secret_key = "wrong"
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client(one).list_buckets()


def test_a_key_that_settings_name_is_of_the_main_world():
    with Server(access_key="test-mine", secret_key="hush", buckets=("made",)) as server:
        client(server).put_object(Bucket="made", Key="k", Body=b"x")
        assert server.control("GET", "worlds") == {"worlds": []}
        assert server.control("GET", "requests")["counts"] == {"PutObject": 1}


def test_worlds_have_an_end(start_server):
    process = start_server("--test", S3ISH_TEST_WORLDS="2", S3ISH_TEST_WORLD_IDLE_SECONDS="3")

    def of(name):
        return boto3.client(
            "s3",
            endpoint_url=process.endpoint,
            aws_access_key_id=f"test-{name}",
            aws_secret_access_key="test",
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 0}),
        )

    of("one").create_bucket(Bucket="gone")
    of("two").list_buckets()
    with pytest.raises(ClientError, match="There are 2 worlds") as refused:
        of("three").list_buckets()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503

    def has_room(name):
        with contextlib.suppress(ClientError):
            return of(name).list_buckets()

    wait_until(lambda: has_room("three"))
    wait_until(lambda: has_room("one"))
    assert of("one").list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    ("header", "query", "name"),
    [
        ("AWS4-HMAC-SHA256 Credential=test-a/20260101/us-east-1/s3/aws4_request, Signature=x", "", "test-a"),
        ("AWS4-HMAC-SHA256 SignedHeaders=host,Credential=test-a.b_c/2026/x", "", "test-a.b_c"),
        ("AWS test-a:signature", "", "test-a"),
        ("AWS test:signature", "", MAIN),
        ("AWS4-HMAC-SHA256 Credential=test-/2026", "", MAIN),
        ("AWS4-HMAC-SHA256 Credential=test-" + "x" * 65 + "/2026", "", MAIN),
        ("Bearer test-a/", "", MAIN),
        ("", "list-type=2&X-Amz-Credential=test-a%2F2026%2Fus-east-1&X-Amz-Date=1", "test-a"),
        ("", "X-Amz-Credential=test-a/2026", "test-a"),
        ("", "AWSAccessKeyId=test-a&Expires=1", "test-a"),
        ("", "prefix=X-Amz-Credential=test-a/2026", MAIN),
        ("", "X-Amz-Credential=test-a%2F2026&X-Amz-Security-Token=***", MAIN),
        ("", "", MAIN),
    ],
)
def test_which_world_a_request_names(header, query, name):
    headers = [(b"authorization", header.encode())] if header else []
    assert claimed_world({"headers": headers, "query_string": query.encode()}) == name


@pytest.mark.parametrize("name", ["x", "test-", "test-a/b", "test-" + "x" * 65])
def test_what_is_no_name_of_a_world(server, name):
    with pytest.raises(ValueError, match="a world is named by its access key"):
        server.control("GET", f"snapshots?world={name}")
    with pytest.raises(ValueError, match=r"there is no (world|control)"):
        server.control("DELETE", f"worlds/{name}")


async def test_first_requests_at_once_share_a_world():
    application = MemoryApplication(Settings())
    worlds = application._worlds
    await worlds.begin()
    first, second = await asyncio.gather(worlds.of("test-a"), worlds.of("test-a"))
    assert first is second
    await worlds.end()


class StubbornWorld:
    """A world that cannot be removed at first, and whose removal takes until ``may_end``."""

    idle_seconds = 1e9

    def __init__(self, failures):
        self.failures, self.removed = failures, False
        self.may_end = asyncio.Event()
        self.may_end.set()

    def touch(self):
        pass

    async def end(self):
        pass

    async def remove(self):
        if self.failures:
            self.failures -= 1
            raise ServiceUnavailable
        await self.may_end.wait()
        self.removed = True


async def test_a_world_that_cannot_be_removed_stays_and_is_removed_later():
    made = StubbornWorld(2)

    async def make(_):
        return made

    worlds = Worlds(Settings(), StubbornWorld(0), make)
    assert await worlds.of("test-a") is made
    with pytest.raises(ServiceUnavailable):
        await worlds.remove("test-a")
    await worlds._remove_idle()
    assert (worlds.names, made.removed) == (["test-a"], False)
    await worlds._remove_idle()
    assert (worlds.names, made.removed) == ([], True)


async def test_a_request_during_the_removal_of_its_world_is_of_a_new_one():
    async def make(_):
        return StubbornWorld(0)

    worlds = Worlds(Settings(), StubbornWorld(0), make)
    old = await worlds.of("test-a")
    old.may_end.clear()
    removal = asyncio.create_task(worlds.remove("test-a"))
    await asyncio.sleep(0)
    asked = asyncio.create_task(worlds.of("test-a"))
    await asyncio.sleep(0)
    assert not asked.done()
    old.may_end.set()
    await removal
    assert await asked is not old
    assert worlds.names == ["test-a"]


async def test_the_end_of_the_server_ends_a_world_that_is_being_removed():
    ended = []
    made = StubbornWorld(0)
    made.may_end.clear()

    async def end():
        ended.append(made)

    made.end = end

    async def make(_):
        return made

    worlds = Worlds(replace(Settings(), test=replace(Settings().test, world_idle_seconds=0)), StubbornWorld(0), make)
    await worlds.begin(["test-a"])
    await until(worlds._making.locked)
    await worlds.end()
    assert ended == [made]


async def test_a_world_that_cannot_be_settled_is_an_error_of_s3(tmp_path, monkeypatch):
    async def settle_all(*_):
        raise Unavailable("the index does not answer")

    monkeypatch.setattr("s3ish.worlds.drive_world.settle_all", settle_all)
    lower = World(tmp_path)
    store = lower.open()
    await snapshots.take(store, snapshots.START)
    main = Controlled(store.clock, Gate())
    main.begin(store, None, None, None, None, None)
    world = DriveWorld(Settings(), main, Router(catalogue()), Observer(), "test-a")
    for _ in range(2):  # one that begins, and one that is there
        with pytest.raises(ServiceUnavailable):
            await world.opened()
    await world.end()
    await lower.close()


def test_processes_of_a_run_use_a_shared_server_without_prefixes(server, tmp_path):
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent(
            """
            import pytest

            @pytest.mark.parametrize("number", range(6))
            def test_alone(s3ish_client, s3ish_server, number):
                assert s3ish_server.access_key.startswith("test-")
                assert [b["Name"] for b in s3ish_client.list_buckets()["Buckets"]] == ["made"]
                s3ish_client.create_bucket(Bucket="the-same-name")
                s3ish_client.put_object(Bucket="the-same-name", Key="a", Body=b"x")
            """
        )
    )
    plugins = ["-p", "s3ish.pytest_plugin", "-p", "xdist.plugin", "-n", "2"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "--rootdir", tmp_path, tmp_path],
        env={name: value for name, value in environ.items() if not name.startswith("PYTEST")}
        | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "S3ISH_ENDPOINT": server.endpoint},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert "6 passed" in ended.stdout, ended.stdout + ended.stderr
    assert server.control("GET", "worlds") == {"worlds": []}
