"""Users of a server with several workers: each sees at once what another one was asked to change."""

import contextlib
import http.client
import os
import re
import signal
from itertools import count
from types import SimpleNamespace
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from urllib3 import encode_multipart_formdata

from s3ish.auth.sign_request import sign_request
from s3ish.cli.admin_client import AdminClient, Credentials
from s3ish.clock import Clock
from tests.process.test_worker import children
from tests.waiting import WAIT_SECONDS, wait_until

ROOT = Credentials("s3ishadmin", "s3ishadmin")
WORKERS = 3


class Connection:
    """A connection to one worker of a server.

    Args:
        endpoint: of the server.
    """

    def __init__(self, endpoint):
        self.host = urlsplit(endpoint).netloc
        self._connection = http.client.HTTPConnection(self.host, timeout=WAIT_SECONDS)
        self.worker = self.send("GET", "/").worker

    def send(self, method, path, headers=None, body=b""):
        """Send a request as it is; return what was answered."""
        self._connection.request(method, path, body, headers or {})
        answer = self._connection.getresponse()
        content = answer.read().decode()
        code = re.search("<Code>(.*)</Code>", content)
        return SimpleNamespace(
            status=answer.status, code=code and code[1], worker=answer.headers["x-amz-id-2"], content=content
        )

    def get(self, path, keys):
        """Send a signed request; return the error's code, None if it was allowed."""
        signed = sign_request(
            keys[:2], "GET", self.host, path, b"", now=Clock().now(), region="us-east-1", token=keys.token
        )
        return self.send("GET", path, signed).code

    def open_presigned(self, keys):
        """Open an address that was presigned; return the error's code."""
        url = client("s3", f"http://{self.host}", keys).generate_presigned_url("list_buckets")
        return self.send("GET", url.removeprefix(f"http://{self.host}")).code

    def post(self, keys):
        """Send a form; return the error's code."""
        form = client("s3", f"http://{self.host}", keys).generate_presigned_post("bucket", "posted")
        body, kind = encode_multipart_formdata({**form["fields"], "file": ("name", b"data")})
        return self.send("POST", "/bucket", {"Content-Type": kind}, body).code

    def close(self):
        self._connection.close()


def answer_on_a_new_connection(endpoint, keys):
    with contextlib.closing(Connection(endpoint)) as one:
        return one.get("/", keys)


def client(service, endpoint, keys):
    """Return a client of a service."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token or None,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}, max_pool_connections=1, signature_version="s3v4"),
    )


@pytest.fixture(scope="module")
def endpoint(start_shared_server, tmp_path_factory):
    server = start_shared_server(tmp_path_factory.mktemp("volume"), "--workers", WORKERS)
    client("s3", server.endpoint, ROOT).create_bucket(Bucket="bucket")
    return server.endpoint


@pytest.fixture
def every_worker(endpoint):
    """A connection to each worker."""
    found = {}

    def look():
        one = Connection(endpoint)
        if found.setdefault(one.worker, one) is not one:
            one.close()
        return len(found) == WORKERS

    wait_until(look)
    yield list(found.values())
    for one in found.values():
        one.close()


@pytest.fixture(scope="module")
def admin(endpoint):
    return AdminClient(endpoint, ROOT, "us-east-1")


@pytest.fixture(scope="module")
def new_keys(admin):
    """A function that makes a user with keys, who may do all."""
    numbers = count()

    def make():
        name = f"user{next(numbers)}"
        made = admin.call("POST", "users", body={"name": name, "policies": ["readwrite"], "key": {}})
        return name, Credentials(made["key"]["access_key"], made["key"]["secret_key"])

    return make


def delete_key(admin, name, keys):
    admin.call("DELETE", "users", name, "keys", keys.access_key)


def disable_key(admin, name, keys):
    admin.call("PATCH", "users", name, "keys", keys.access_key, body={"active": False})


def delete_user(admin, name, _):
    admin.call("DELETE", "users", name)


def detach_policy(admin, name, _):
    admin.call("DELETE", "users", name, "policies", "readwrite")


UNKNOWN, DENIED = "InvalidAccessKeyId", "AccessDenied"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "code"),
    [(delete_key, UNKNOWN), (disable_key, UNKNOWN), (delete_user, UNKNOWN), (detach_policy, DENIED)],
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_what_is_taken_away_is_so_at_every_worker_when_that_is_answered(admin, every_worker, new_keys, stop, code):
    for _ in range(4):
        name, keys = new_keys()
        assert [one.get("/bucket", keys) for one in every_worker] == [None] * WORKERS
        stop(admin, name, keys)
        assert [one.get("/bucket", keys) for one in every_worker] == [code] * WORKERS
        assert [one.open_presigned(keys) for one in every_worker] == [code] * WORKERS
        assert [one.post(keys) for one in every_worker] == [code] * WORKERS


@pytest.mark.slow
def test_a_removed_key_is_refused_on_every_new_connection(endpoint, every_worker, new_keys):
    name, keys = new_keys()
    assert {one.get("/", keys) for one in every_worker} == {None}
    client("iam", endpoint, ROOT).delete_access_key(UserName=name, AccessKeyId=keys.access_key)
    for _ in range(50):
        assert answer_on_a_new_connection(endpoint, keys) == UNKNOWN


@pytest.mark.slow
@pytest.mark.parametrize("use", [Connection.open_presigned, Connection.post], ids=lambda it: it.__name__)
def test_a_new_key_is_known_to_every_worker_at_once(every_worker, new_keys, use):
    for _ in range(4):
        _, keys = new_keys()
        assert [use(one, keys) for one in every_worker] == [None] * WORKERS


@pytest.mark.slow
@pytest.mark.parametrize("used", ["user", "role"])
def test_sessions_end_at_every_worker_with_what_they_are_of(endpoint, admin, every_worker, new_keys, used):
    name, keys = new_keys()
    sts = client("sts", endpoint, keys)
    if used == "user":
        made = sts.get_session_token()["Credentials"]
    else:
        trust = {"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}}
        admin.call("POST", "roles", body={"name": name, "trust": trust})
        admin.call("PUT", "roles", name, "policies", "readwrite")
        arn = f"arn:aws:iam::000000000000:role/{name}"
        made = sts.assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    session = Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    assert [one.get("/bucket", session) for one in every_worker] == [None] * WORKERS
    if used == "user":
        delete_key(admin, name, keys)
    else:
        admin.call("DELETE", "roles", name)
    assert None not in [one.get("/bucket", session) for one in every_worker]


@pytest.mark.slow
def test_a_key_that_was_disabled_is_so_after_a_restart_and_works_when_it_is_enabled(start_server, tmp_path):
    server = start_server(tmp_path / "volume", "--workers", "2")
    admin = AdminClient(server.endpoint, ROOT, "us-east-1")
    made = admin.call("POST", "users", body={"name": "alice", "policies": ["readonly"], "key": {}})["key"]
    keys = Credentials(made["access_key"], made["secret_key"])
    disable_key(admin, "alice", keys)
    server.stop()
    server = start_server(tmp_path / "volume", "--workers", "2")
    admin = AdminClient(server.endpoint, ROOT, "us-east-1")
    assert answer_on_a_new_connection(server.endpoint, keys) == UNKNOWN
    admin.call("PATCH", "users", "alice", "keys", keys.access_key, body={"active": True})
    assert {answer_on_a_new_connection(server.endpoint, keys) for _ in range(10)} == {None}


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
