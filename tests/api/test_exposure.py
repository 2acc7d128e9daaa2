"""What a server lets out: no secret, nothing beside S3 for those without rights, one clean log line a request."""

import http.client
import json
import os
import re
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

ACCESS, SECRET = "visible-access-key", "kept-secret-3b5d8a1f/+x"
USER, USER_SECRET = "visible-user-key", "kept-secret-of-the-user-77"
TOKEN = "kept-secret-metrics-token"
WRONG = "kept-secret-typed-wrong-9"


class Exposed(NamedTuple):
    """A server that did a bit of everything and has ended."""

    folder: Path
    log: str
    answers: bytes
    metrics: bytes
    commands: bytes
    signatures: set[str]


def client(endpoint, secret=SECRET, access=ACCESS, version="s3v4"):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(signature_version=version, retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


def fetch(endpoint, method, path, headers=None, body=None):
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=20)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def use(s3):
    """One of each kind of request."""
    s3.create_bucket(Bucket="bucket")
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="bucket", Key="small", Body=b"x", Metadata={"colour": "blue"}, Tagging="a=b")
    s3.put_object(Bucket="bucket", Key="large", Body=bytes(200_000))
    s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/large")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="many")["UploadId"]
    part = s3.upload_part(Bucket="bucket", Key="many", UploadId=upload, PartNumber=1, Body=b"part")
    s3.upload_part(Bucket="bucket", Key="many", UploadId=upload, PartNumber=2, Body=b"part")
    s3.complete_multipart_upload(
        Bucket="bucket",
        Key="many",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    s3.list_objects_v2(Bucket="bucket")
    s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "copy"}]})
    s3.create_multipart_upload(Bucket="bucket", Key="unfinished")


def command_lines():
    """The command lines of all processes."""
    found = b""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += path.read_bytes()
    return found


def collect(signatures):
    """Return a function that notes the signature of each request that a client sends."""

    def note(request, **_):
        text = request.headers.get("Authorization", b"")
        text = text.decode() if isinstance(text, bytes) else text
        signatures.add(text.rpartition("Signature=")[2])

    return note


@pytest.fixture(scope="module")
def exposed(start_shared_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exposed")
    (folder / "config.toml").write_text(
        f'[[auth.users]]\naccess_key = "{USER}"\nsecret_key = "{USER_SECRET}"\nid = "user"\n'
    )
    server = start_shared_server(
        folder / "data",
        "--config",
        folder / "config.toml",
        S3ISH_ACCESS_KEY=ACCESS,
        S3ISH_SECRET_KEY=SECRET,
        S3ISH_METRICS_TOKEN=TOKEN,
        S3ISH_LOG_LEVEL="debug",
        S3ISH_LOG_FORMAT="json",
    )
    endpoint, signatures, answers = server.endpoint, set(), b""
    clients = [
        client(endpoint),
        client(endpoint, USER_SECRET, USER),
        client(endpoint, WRONG),
        client(endpoint, WRONG, "unknown-key"),
    ]
    for s3 in clients:
        s3.meta.events.register("before-send.s3", collect(signatures))
    use(clients[0])
    for s3 in clients[1:]:
        for call in (lambda s3=s3: s3.get_object(Bucket="bucket", Key="small"), s3.list_buckets):
            try:
                call()
            except ClientError as error:
                answers += json.dumps(error.response, default=str).encode()
    for s3, method in product((clients[0], client(endpoint, version="s3")), ("get_object", "delete_object")):
        url = s3.generate_presigned_url(method, {"Bucket": "bucket", "Key": "small"}, 60)
        signatures.add(unquote(re.search(r"Signature=([^&]+)", url)[1]))
        path = url.removeprefix(endpoint)
        for target in (path, path.replace("small", "other"), path + "&versionId=x"):
            answers += fetch(endpoint, "GET", target)[2]
    answers += fetch(endpoint, "GET", "/bucket/small", {"Authorization": f"Basic {WRONG}"})[2]
    answers += fetch(endpoint, "GET", f"/bucket/small?AWSAccessKeyId={ACCESS}&Signature={WRONG}&Expires=1")[2]
    status, _, metrics = fetch(endpoint, "GET", "/-/metrics", {"Authorization": f"Bearer {TOKEN}"})
    assert status == 200
    commands = command_lines()
    _, log = server.stop()
    return Exposed(folder / "data", log, answers, metrics, commands, signatures - {""})


def files(folder):
    for root, _, names in os.walk(folder):
        for name in names:
            yield Path(root) / name


SECRETS = (SECRET, USER_SECRET, TOKEN, WRONG)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_in_log_answer_metric_command_or_file(exposed, secret):  # cases 53, 130, 141
    needles = [secret.encode(), secret.replace("/", "%2F").replace("+", "%2B").encode(), secret[:-4].encode()]
    for needle in needles:
        assert needle not in exposed.log.encode()
        assert needle not in exposed.metrics
        assert needle not in exposed.commands
        if secret != WRONG:  # what the client itself sent may come back to it
            assert needle not in exposed.answers
        assert [path for path in files(exposed.folder) if needle in path.read_bytes()] == []


def test_no_signature_in_log_metric_or_file(exposed):  # case 141
    assert len(exposed.signatures) > 15
    kept = b"".join(path.read_bytes() for path in files(exposed.folder))
    for signature in exposed.signatures:
        assert len(signature) in (64, 28)
        assert signature not in exposed.log
        assert signature.encode() not in exposed.metrics + kept
    assert "X-Amz-Signature" not in exposed.log
    assert "AWSAccessKeyId" not in exposed.log
    assert "AWS4-HMAC-SHA256" not in exposed.log


def test_the_search_would_find_something(exposed):
    assert ACCESS in exposed.log
    assert b"SignatureDoesNotMatch" in exposed.answers
    assert any(b"colour" in path.read_bytes() for path in files(exposed.folder))
    assert b"s3ish_requests_total" in exposed.metrics


def test_a_line_of_the_log_is_one_request_and_printable(start_server, tmp_path):  # cases 53, 142
    server = start_server(tmp_path / "data", S3ISH_LOG_FORMAT="json")
    hostile = {
        "User-Agent": "\x80\u00ad" + "x" * 8000,
        "Authorization": "AWS4-HMAC-SHA256 Credential=a%0a\u0085b/20260131/us-east-1/s3/aws4_request, "
        "SignedHeaders=host, Signature=00",
        "x-amz-date": "20260131T000000Z",
        "Referer": "http://[\u0090",
    }
    encoded = {name: value.encode("utf-8") for name, value in hostile.items()}
    paths = [
        "/bucket/%1b%5b31m%0d%0aINFO%20forged",
        "/%1b%5d0;title%07/k",
        "/bucket/" + "%e2%80%ae" * 300,
        "/b%0a/k?%1b=%0a",
    ]
    for path in paths:
        status, _, _ = fetch(server.endpoint, "GET", path, encoded)
        assert 400 <= status < 500
    _, log = server.stop()
    lines = [json.loads(line) for line in log.splitlines()]
    assert len([line for line in lines if line["event"] == "request"]) == len(paths)
    assert not [line for line in log.splitlines() if not line.isprintable() or len(line) > 4096]


OTHER_PATHS = [
    "/-/metrics",
    "/-/",
    "/-/debug",
    "/-/../bucket/small",
    "/docs",
    "/openapi.json",
    "/redoc",
    "/minio/admin/v3/info",
    "/minio/bootstrap/v1/verify",
    "/minio/v2/metrics/cluster",
    "/rustfs/rpc/read_file_stream",
    "/debug/pprof/",
    "/.s3ish/index.db",
    "/.s3ish/volume.json",
    "/bucket/.s3ish/index.db",
    "/%2es3ish/index.db",
    "/metrics",
    "/status",
]


def test_nothing_beside_s3_is_open(start_server, tmp_path):  # case 137
    server = start_server(tmp_path / "data", S3ISH_METRICS_TOKEN=TOKEN)
    client(server.endpoint, "s3ishadmin", "s3ishadmin").create_bucket(Bucket="bucket")
    for path in OTHER_PATHS:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-Forwarded-For": "127.0.0.1"}):
            status, _, body = fetch(server.endpoint, "GET", path, headers)
            wanted = (
                (501,) if path.startswith("/minio/admin/") else (400, 403, 404, 405)
            )  # it says what is here instead
            assert status in wanted, path
            assert b"s3ish_" not in body
    for path in ("/-/live", "/-/ready", "/minio/health/live"):
        assert fetch(server.endpoint, "GET", path)[::2] == (200, b"ok\n")
        assert fetch(server.endpoint, "POST", path)[0] == 405
    assert fetch(server.endpoint, "GET", "/-/metrics", {"Authorization": f"Bearer {TOKEN}"})[0] == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "x" * 8000])
def test_no_origin_is_permitted_anything(raw, bucket, server, origin):  # case 132
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    for answer in (
        raw("GET", f"/{bucket}", headers=asked),
        raw("GET", f"/{bucket}", headers=asked, keys=None),
        raw("OPTIONS", f"/{bucket}/k", headers=asked, keys=None),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
