"""One real server per test process, clients that speak to it as any program does, and a door for bad requests."""

import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import boto3
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.api.iam_support import client, remove
from tests.documents import read_document

REGION = "us-east-1"
DOMAIN = "s3.test"
SITES = "web.test"
MASTER_KEY = "dGhlIG1hc3RlciBrZXkgb2YgdGhlIHRlc3RzIGhlcmU="
ROOT = ("s3ishadmin", "s3ishadmin")
OTHER = ("OTHERACCESSKEY", "the-other-secret")
READER = ("READERACCESSKEY", "the-readers-secret")
LIMITED = ("LIMITEDACCESSKEY", "the-limited-secret")
LIMITED_POLICY = """{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*", "Condition": {"StringLike": {"s3:prefix": "ci/*"}}},
  {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::*/${aws:username}/*"}]}"""

CONFIGURATION = f"""
[server]
domains = ["{DOMAIN}"]
website_domains = ["{SITES}", "www.site.test"]

[encryption]
master_key = "{MASTER_KEY}"

[jobs]
access_log_seconds = 0.2

[[auth.users]]
access_key = "{OTHER[0]}"
secret_key = "{OTHER[1]}"
id = "other"
display_name = "Somebody Else"

[[auth.users]]
access_key = "{READER[0]}"
secret_key = "{READER[1]}"
id = "reader"
policies = ["readonly"]

[[auth.users]]
access_key = "{LIMITED[0]}"
secret_key = "{LIMITED[1]}"
id = "ci"
policies = ['''{LIMITED_POLICY}''']
"""

TARGETS = """
[[notifications.targets]]
arn = "arn:aws:sqs:us-east-1:000000000000:to-a-file"
kind = "file"
path = "{folder}/events.jsonl"

[[notifications.targets]]
arn = "arn:s3ish:sqs::1:other-region"
kind = "file"
path = "{folder}/events.jsonl"

[[notifications.targets]]
arn = "arn:aws:sns:us-east-1:000000000000:to-a-file"
kind = "file"
path = "{folder}/topic.jsonl"

[[notifications.targets]]
arn = "arn:aws:lambda:us-east-1:000000000000:function:to-a-file"
kind = "file"
path = "{folder}/function.jsonl"

[[notifications.targets]]
arn = "arn:aws:events:us-east-1:000000000000:event-bus/default"
kind = "file"
path = "{folder}/bus.jsonl"

[[replication.targets]]
arn = "arn:s3ish:replication:::away"
endpoint = "http://127.0.0.1:9"
bucket = "away"
access_key = "a"
secret_key = "b"
"""


class Server(NamedTuple):
    """Where a server listens, where it keeps its data, and where it logs."""

    endpoint: str
    data: Path
    log: Path

    @property
    def audit(self):
        """Its audit log."""
        return self.log.with_name("audit.jsonl")

    def events(self, bucket, name="events"):
        """The events of a bucket that a target has been given so far, the oldest first."""
        path = self.log.with_name(f"{name}.jsonl")
        told = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [it for it in told if bucket in (it.get("Bucket"), *_buckets(it))]


def _buckets(told):
    """Return which bucket a message is about."""
    about = [record["s3"] for record in told.get("Records", ())] or [told.get("detail", {"bucket": {"name": ""}})]
    return [it["bucket"]["name"] for it in about]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A running server: its endpoint, its data directory and its log; it ends with exit code 0 and logged no bug."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "config.toml").write_text(CONFIGURATION + TARGETS.format(folder=folder))
    data, log = folder / "data", folder / "log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("S3ISH", "AWS", "MINIO"))}
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "s3ish", "serve", data, "--port", "0", "--config", folder / "config.toml"],
            env=environment
            | {"S3ISH_FSYNC": "false", "S3ISH_WORKERS": "1", "S3ISH_LOG_AUDIT": str(folder / "audit.jsonl")},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    greeting = (re.search(r"endpoint\s+(http://\S+)", line) for line in process.stdout)
    endpoint = next((found[1] for found in greeting if found), None)
    assert endpoint, log.read_text()
    yield Server(endpoint, data, log)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert "unhandled" not in log.read_text()
    assert "Traceback" not in log.read_text()


def _client(endpoint, keys, **settings):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        region_name=REGION,
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **settings),
    )


@pytest.fixture(scope="session")
def s3(server):
    """A boto3 client of the root user, with stock settings but for retries."""
    return _client(server.endpoint, ROOT)


@pytest.fixture(scope="session")
def plain(server):
    """A client of the root user that adds no checksum of its own."""
    return _client(server.endpoint, ROOT, request_checksum_calculation="when_required")


@pytest.fixture(scope="session")
def other(server):
    """A client of another user."""
    return _client(server.endpoint, OTHER)


@pytest.fixture(scope="session")
def reader(server):
    """A client of a user of the root user's account who may only read."""
    return _client(server.endpoint, READER)


@pytest.fixture(scope="session")
def limited(server):
    """A client of a user of the root user's account who may work below one prefix."""
    return _client(server.endpoint, LIMITED)


@pytest.fixture(scope="session")
def stranger(server):
    """A client whose access key nobody knows."""
    return _client(server.endpoint, ("UNKNOWNACCESSKEY", "whatever"))


@pytest.fixture
def new_bucket(s3):
    """A function that makes a bucket of a name that no other test has."""

    def make(versioning=None):
        name = f"t-{uuid.uuid4().hex[:20]}"
        s3.create_bucket(Bucket=name)
        if versioning:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
        return name

    return make


@pytest.fixture
def bucket(new_bucket):
    """A bucket that never was versioned."""
    return new_bucket()


@pytest.fixture
def versioned(new_bucket):
    """A bucket with versioning enabled."""
    return new_bucket("Enabled")


@pytest.fixture(scope="session")
def refused():
    """A function that makes a call which must fail with a code and a status; it returns the whole answer."""

    def check(code, status, call, **arguments):
        with pytest.raises(ClientError) as caught:
            call(**arguments)
        answer = caught.value.response
        assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
        return answer

    return check


class _Signer(S3SigV4Auth):
    """botocore's signer, with a payload hash of the test's choice."""

    def __init__(self, keys, payload):
        super().__init__(Credentials(*keys), "s3", REGION)
        self._chosen = payload

    def payload(self, request):
        return self._chosen

    def _header_value(self, value):
        """Only blanks are trimmed: botocore takes away every white space of Unicode."""
        return re.sub("[ \t]+", " ", value).strip(" ")


class Answer:
    """What came back: ``status``, ``headers`` (names in lower case), ``body``."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def xml(self):
        """The body as an element whose names are without namespace."""
        return read_document(self.body)

    @property
    def code(self):
        """The error code in the body."""
        return self.xml.findtext("Code")

    @property
    def outcome(self):
        """Status and error code, to compare both at once."""
        return self.status, self.code


@pytest.fixture(scope="session")
def raw(server):
    """A function that signs a request with botocore and sends exactly these bytes.

    ``path`` is sent as it is, with its query; ``signed_path`` is what is signed where that is another form of it.
    ``keys`` None sends it unsigned; ``payload`` is the value of ``x-amz-content-sha256``, the right one by default;
    ``unsigned`` are headers that the signature leaves out.
    """
    where = urlsplit(server.endpoint)

    def send(
        method, path, body=b"", headers=None, *, keys=ROOT, payload=None, host=None, unsigned=None, signed_path=None
    ):
        body = body.encode() if isinstance(body, str) else body
        headers = {"Host": host or where.netloc, **(headers or {})}
        request = AWSRequest(method, f"http://{where.netloc}{signed_path or path}", headers, body)
        if keys:
            _Signer(keys, payload or hashlib.sha256(body).hexdigest()).add_auth(request)
        sent = {**dict(request.headers), **(unsigned or {})}
        if body and "content-length" not in map(str.lower, sent):
            sent["Content-Length"] = str(len(body))
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value.encode() if isinstance(value, str) else value)
            connection.endheaders(body or None)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    return send


@pytest.fixture(scope="session")
def presign(server):
    """A function that signs a method and a path in the query, for sending with ``keys=None``."""

    def sign(method, path, expires=60):
        request = AWSRequest(method, server.endpoint + path)
        S3SigV4QueryAuth(Credentials(*ROOT), "s3", REGION, expires=expires).add_auth(request)
        return request.url.removeprefix(server.endpoint)

    return sign


def _content(raw, bucket):
    """Everything that a client can see of a bucket, as it stands in the answers."""
    versions, uploads = raw("GET", f"/{bucket}?versions="), raw("GET", f"/{bucket}?uploads=&encoding-type=url")
    names = [(item.findtext("Key"), item.findtext("UploadId")) for item in uploads.xml.iter("Upload")]
    parts = [raw("GET", f"/{bucket}/{key}?uploadId={upload}").body for key, upload in names]
    return versions.body, uploads.body, parts


def _files(data, bucket):
    """Path and size of every file of a bucket and of the server's own; the index is left out, it is always writing."""
    return {
        (str(path.relative_to(data)), path.stat().st_size)
        for folder in (data / bucket, data / ".s3ish")
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("index.db")
    }


@pytest.fixture
def unchanged(raw, server):
    """A context in which nothing may happen to a bucket: neither its listings nor the files on disk change."""

    class Unchanged:
        def __init__(self, bucket):
            self.bucket = bucket

        def __enter__(self):
            self.before = _content(raw, self.bucket), _files(server.data, self.bucket)

        def __exit__(self, *failure):
            if failure == (None, None, None):
                assert (_content(raw, self.bucket), _files(server.data, self.bucket)) == self.before

    return Unchanged


@pytest.fixture(scope="session")
def big():
    """Eight MiB that repeat at no power of two: several stripes, and enough for a part."""
    block = bytes((i * 131 + i // 256 * 7) % 251 for i in range(65521))
    return (block * 129)[: 8 * 1024 * 1024]


@pytest.fixture(scope="session")
def raw_iam(server):
    """A function that makes a call of the IAM query API with exactly these parameters: its status and error code."""
    where = urlsplit(server.endpoint)

    def send(keys=ROOT, service="iam", **parameters):
        body = urlencode({"Version": "2010-05-08", **parameters}).encode()
        headers = {"Host": where.netloc, "Content-Type": "application/x-www-form-urlencoded"}
        request = AWSRequest("POST", f"{server.endpoint}/", headers, body)
        SigV4Auth(Credentials(*keys), service, REGION).add_auth(request)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
        try:
            connection.request("POST", "/", body, dict(request.headers))
            response = connection.getresponse()
            found = re.search(r"<Code>(\w+)</Code>", response.read().decode())
            return response.status, found and found[1]
        finally:
            connection.close()

    return send


@pytest.fixture(scope="session")
def iam(server):
    """A client of the IAM API for the root user."""
    return client(server, "iam", ROOT)


@pytest.fixture
def new_user(iam, request):
    """A function that makes a user with a key; all that it made is gone after the test."""
    made = []

    def make(policy=None, **arguments):
        name = f"u{len(made)}.{request.node.name[:40]}".replace("[", "-").replace("]", "")
        iam.create_user(UserName=name, **arguments)
        made.append(name)
        if policy:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return name, (key["AccessKeyId"], key["SecretAccessKey"])

    yield make
    for name in made:
        remove(iam, name)
