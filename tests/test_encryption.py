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


def rules_of(client):
    found = client.get_bucket_encryption(Bucket="bucket")
    return found["ServerSideEncryptionConfiguration"]["Rules"]


def test_everything_can_be_encrypted(serve, tmp_path):
    client, stop = serve(MASTER_KEY=MASTER, ENCRYPTION_EVERYTHING="true")
    client.create_bucket(Bucket="bucket")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
    assert rules_of(client) == [rule]
    blocked = {"BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}
    client.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration={"Rules": [blocked]})
    assert rules_of(client) == [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}} | blocked]
    client.delete_bucket_encryption(Bucket="bucket")
    assert rules_of(client) == [rule]
    assert client.put_object(Bucket="bucket", Key="k", Body=WORDS)["ServerSideEncryption"] == "AES256"
    assert stop()[0] == 0
    assert WORDS not in stored_in(tmp_path / "data")
    assert json.dumps("k" * 32).encode() not in stored_in(tmp_path / "data")


CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"a customer's key of 32 bytes: it"}


def test_an_object_under_a_clients_key_outlives_the_index_and_is_healed_without_the_key(serve, tmp_path, run_s3ish):
    client, stop = serve()
    client.create_bucket(Bucket="bucket")
    data = (WORDS * 20_000)[:300_000]
    tag = client.put_object(Bucket="bucket", Key="k", Body=data, **CUSTOMER)["ETag"]
    upload = client.create_multipart_upload(Bucket="bucket", Key="parts", **CUSTOMER)["UploadId"]
    assert stop()[0] == 0
    assert WORDS not in stored_in(tmp_path / "data")
    assert CUSTOMER["SSECustomerKey"] not in stored_in(tmp_path / "data")
    shard = next(path for path in (tmp_path / "data" / "bucket").rglob("data.0") if "k@" in str(path))
    damaged = bytearray(shard.read_bytes())
    damaged[100] ^= 1
    shard.write_bytes(damaged)
    rebuilt = run_s3ish("index", "rebuild", tmp_path / "data")
    assert rebuilt.returncode == 0, rebuilt.stderr
    healed = run_s3ish("heal", tmp_path / "data")
    assert healed.returncode == 0, healed.stdout + healed.stderr
    client, stop = serve()
    found = client.get_object(Bucket="bucket", Key="k", **CUSTOMER)
    assert (found["Body"].read(), found["ETag"]) == (data, tag)
    with pytest.raises(ClientError, match="AccessDenied"):
        client.get_object(Bucket="bucket", Key="k", **CUSTOMER | {"SSECustomerKey": b"x" * 32})
    part = client.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=1, Body=WORDS, **CUSTOMER)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload=parts)
    assert client.get_object(Bucket="bucket", Key="parts", **CUSTOMER)["Body"].read() == WORDS


def test_a_clients_key_may_need_tls(serve):
    client, _ = serve(ENCRYPTION_CUSTOMER_KEYS_NEED_TLS="true", SERVER_TRUSTED_PROXIES="127.0.0.1")
    client.create_bucket(Bucket="bucket")
    with pytest.raises(ClientError, match=r"InvalidRequest.*secure connection"):
        client.put_object(Bucket="bucket", Key="k", Body=WORDS, **CUSTOMER)
    with pytest.raises(ClientError, match=r"InvalidRequest.*secure connection"):
        client.copy_object(
            Bucket="bucket",
            Key="k",
            CopySource="bucket/none",
            CopySourceSSECustomerAlgorithm="AES256",
            CopySourceSSECustomerKey=CUSTOMER["SSECustomerKey"],
        )

    def over_tls(request, **_):
        request.headers["X-Forwarded-Proto"] = "https"

    client.meta.events.register("before-send.s3", over_tls)
    client.put_object(Bucket="bucket", Key="k", Body=WORDS, **CUSTOMER)


@pytest.mark.parametrize("sizes", [(10, 20, 5), (100_000, 10, 70_000), (70_000, 300_000, 100)])
def test_what_is_appended_is_encrypted_as_the_object_is(serve, tmp_path, sizes):
    client, stop = serve(MASTER_KEY=MASTER)
    client.create_bucket(Bucket="bucket")
    kinds = {"plain": {}, "aes": {"ServerSideEncryption": "AES256"}, "kms": {"ServerSideEncryption": "aws:kms"}}
    kinds["two-layers"] = {"ServerSideEncryption": "aws:kms:dsse"}
    for key, encryption in kinds.items():
        data = b""
        for size in sizes:
            piece = (WORDS * (size // len(WORDS) + 1))[:size] if encryption else b"x" * size
            said = {} if data else encryption
            answer = client.put_object(Bucket="bucket", Key=key, Body=piece, WriteOffsetBytes=len(data), **said)
            assert answer.get("ServerSideEncryption") == encryption.get("ServerSideEncryption")
            data += piece
        client.rename_object(Bucket="bucket", Key=f"{key}-renamed", RenameSource=key)
        assert client.get_object(Bucket="bucket", Key=f"{key}-renamed")["Body"].read() == data
        last = client.get_object(Bucket="bucket", Key=f"{key}-renamed", Range="bytes=-7")
        assert last["Body"].read() == data[-7:]
    wrong = {"Bucket": "bucket", "Key": "kms-renamed", "Body": b"x", "WriteOffsetBytes": sum(sizes)}
    with pytest.raises(ClientError, match="EncryptionTypeMismatch"):
        client.put_object(**wrong, ServerSideEncryption="AES256")
    client.put_object(**wrong, ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/aws/s3")
    assert stop()[0] == 0
    assert WORDS not in stored_in(tmp_path / "data")
