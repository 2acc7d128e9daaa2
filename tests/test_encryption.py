"""A server with a master key: what asks for encryption is encrypted on every drive, and healed without the key."""

import base64
import json
import subprocess
import sys

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.conftest import ServerProcess
from tests.objects.support import sample

MASTER = base64.b64encode(b"k" * 32).decode()
WORDS = b"words that nobody may read "


@pytest.fixture
def new_server():
    """A function that starts a server; those still running at the end are ended."""
    started = []

    def start(*arguments, **variables):
        started.append(ServerProcess(*arguments, **variables))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def serve(new_server, tmp_path):
    """A function that starts a server on the test's volume; it returns a client and what ends the server."""

    def start(**settings):
        server = new_server(tmp_path / "data", **{f"S3ISH_{name}": value for name, value in settings.items()})
        client = boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            aws_access_key_id="s3ishadmin",
            aws_secret_access_key="s3ishadmin",
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )
        return client, server.stop

    return start


def stored_in(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("size", [0, 1000, 70_000, 3_000_000])
def test_encrypted_objects_come_back_whole_and_in_ranges(serve, tmp_path, size):
    client, stop = serve(MASTER_KEY=MASTER)
    client.create_bucket(Bucket="bucket")
    data = (WORDS * (size // len(WORDS) + 1))[:size]
    put = client.put_object(Bucket="bucket", Key="k", Body=data, ServerSideEncryption="AES256")
    assert put["ServerSideEncryption"] == "AES256"
    found = client.get_object(Bucket="bucket", Key="k")
    assert (found["Body"].read(), found["ServerSideEncryption"], found["ContentLength"]) == (data, "AES256", size)
    assert found["ETag"] == put["ETag"]
    for start, stop_ in ((0, 1), (size // 2, size // 2 + 70_000), (size - 1, size)):
        if 0 <= start < min(stop_, size):
            asked = f"bytes={start}-{stop_ - 1}"
            body = client.get_object(Bucket="bucket", Key="k", Range=asked)["Body"].read()
            assert body == data[start:stop_]
    client.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/k", ServerSideEncryption="AES256")
    assert client.get_object(Bucket="bucket", Key="copy")["Body"].read() == data
    assert stop()[0] == 0
    assert WORDS not in stored_in(tmp_path / "data")


def test_parts_are_encrypted_each_by_itself(serve, tmp_path):
    client, stop = serve(MASTER_KEY=MASTER)
    client.create_bucket(Bucket="bucket")
    parts = [(WORDS * 200_000)[: 5 * 1024 * 1024], WORDS * 1000]
    upload = client.create_multipart_upload(Bucket="bucket", Key="k", ServerSideEncryption="AES256")["UploadId"]
    done = []
    for number, part in enumerate(parts, 1):
        answer = client.upload_part(Bucket="bucket", Key="k", UploadId=upload, PartNumber=number, Body=part)
        done.append({"PartNumber": number, "ETag": answer["ETag"]})
    client.complete_multipart_upload(Bucket="bucket", Key="k", UploadId=upload, MultipartUpload={"Parts": done})
    assert client.get_object(Bucket="bucket", Key="k")["Body"].read() == b"".join(parts)
    edge = len(parts[0])
    body = client.get_object(Bucket="bucket", Key="k", Range=f"bytes={edge - 5}-{edge + 4}")["Body"].read()
    assert body == b"".join(parts)[edge - 5 : edge + 5]
    assert stop()[0] == 0
    assert WORDS not in stored_in(tmp_path / "data")


def test_a_bucket_encrypts_by_default(serve, tmp_path):
    client, stop = serve(MASTER_KEY=MASTER)
    client.create_bucket(Bucket="bucket")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    client.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert client.put_object(Bucket="bucket", Key="k", Body=WORDS)["ServerSideEncryption"] == "AES256"
    assert client.get_object(Bucket="bucket", Key="k")["Body"].read() == WORDS
    assert stop()[0] == 0
    assert WORDS not in stored_in(tmp_path / "data")


def test_without_its_key_an_object_is_an_error_and_is_healed_all_the_same(serve, tmp_path):
    client, stop = serve(MASTER_KEY=MASTER)
    client.create_bucket(Bucket="bucket")
    data = sample(300_000)
    client.put_object(Bucket="bucket", Key="k", Body=data, ServerSideEncryption="AES256")
    client.put_object(Bucket="bucket", Key="plain", Body=data)
    assert stop()[0] == 0
    shard = next(path for path in (tmp_path / "data" / "bucket").rglob("data.0") if "k@" in str(path))
    damaged = bytearray(shard.read_bytes())
    damaged[100] ^= 1
    shard.write_bytes(damaged)
    client, stop = serve()
    with pytest.raises(ClientError) as caught:
        client.get_object(Bucket="bucket", Key="k")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert client.get_object(Bucket="bucket", Key="plain")["Body"].read() == data
    assert stop()[0] == 0
    healed = subprocess.run(
        [sys.executable, "-m", "s3ish", "heal", tmp_path / "data"], capture_output=True, text=True, check=False
    )
    assert healed.returncode == 0, healed.stdout + healed.stderr
    other = base64.b64encode(b"n" * 32).decode()
    client, stop = serve(MASTER_KEY=other, ENCRYPTION_PREVIOUS_MASTER_KEY=MASTER)
    assert client.get_object(Bucket="bucket", Key="k")["Body"].read() == data
    assert stop()[0] == 0


def test_everything_can_be_encrypted(serve, tmp_path):
    client, stop = serve(MASTER_KEY=MASTER, ENCRYPTION_EVERYTHING="true")
    client.create_bucket(Bucket="bucket")
    assert client.put_object(Bucket="bucket", Key="k", Body=WORDS)["ServerSideEncryption"] == "AES256"
    assert stop()[0] == 0
    assert WORDS not in stored_in(tmp_path / "data")
    assert json.dumps("k" * 32).encode() not in stored_in(tmp_path / "data")
