"""boto3 with its stock retries against planned faults: what it hides, and what its caller has to find."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError, FlexibleChecksumError

from s3ish.testing import Server

BUCKET, KEY = "made", "key"
BODY = bytes(range(256)) * 8192  # 2 MiB


def read(s3: Any, key: str = KEY) -> bytes:
    """Return what is stored."""
    return bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def asked(server: Server, operation: str, times: int) -> None:
    """Fail unless the client has sent a request so often."""
    found = server.requests.count(operation)
    assert found == times, f"{operation} was sent {found} times, not {times}"


def refused(code: str, function: Callable[[], object]) -> None:
    """Fail unless a call ends with an error of S3's."""
    try:
        function()
    except ClientError as error:
        found = error.response["Error"]["Code"]
    else:
        found = "success"
    assert found == code, f"the outcome was {found}, not {code}"


def slow_down(server: Server, s3: Any) -> None:
    """It waits, and sends the upload again."""
    server.faults.add(operation="PutObject", count=2, status=503, code="SlowDown")
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY)
    asked(server, "PutObject", 3)
    assert read(s3) == BODY


def internal_error(server: Server, s3: Any) -> None:
    """It asks again."""
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY)
    server.faults.add(operation="GetObject", status=500, code="InternalError")
    assert read(s3) == BODY
    asked(server, "GetObject", 2)


def error_behind_a_status(server: Server, s3: Any) -> None:
    """It reads the body of a completion that has the status 200, and completes again."""
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=KEY)["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key=KEY, UploadId=upload, PartNumber=1, Body=BODY)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    server.faults.add(operation="CompleteMultipartUpload", status=200, code="InternalError")
    s3.complete_multipart_upload(Bucket=BUCKET, Key=KEY, UploadId=upload, MultipartUpload=parts)
    asked(server, "CompleteMultipartUpload", 2)
    assert read(s3) == BODY


def lost_answers(server: Server, s3: Any) -> None:
    """What can be done twice is done twice: an upload, a completion, a deletion."""
    server.faults.add(operation="PutObject", drop=True)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY)
    asked(server, "PutObject", 2)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=BODY)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    server.faults.add(operation="CompleteMultipartUpload", drop=True)
    s3.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload=parts)
    asked(server, "CompleteMultipartUpload", 2)
    assert read(s3, "parts") == read(s3) == BODY
    server.faults.add(operation="DeleteObject", drop=True)
    s3.delete_object(Bucket=BUCKET, Key=KEY)
    asked(server, "DeleteObject", 2)
    refused("NoSuchKey", lambda: read(s3))


def lost_answer_to_a_creation(server: Server, s3: Any) -> None:
    """The first try was done, so the second is refused; only the caller can find that the object is its own."""
    server.faults.add(operation="PutObject", drop=True)
    refused("PreconditionFailed", lambda: s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY, IfNoneMatch="*"))
    asked(server, "PutObject", 2)
    assert read(s3) == BODY


def lost_answer_to_a_replacement(server: Server, s3: Any) -> None:
    """The same with the ETag that was read: it is that of before, and another writer is not to blame."""
    before = s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"before")["ETag"]
    server.faults.add(operation="PutObject", drop=True)
    refused("PreconditionFailed", lambda: s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY, IfMatch=before))
    asked(server, "PutObject", 3)
    assert read(s3) == BODY


def conflict(server: Server, s3: Any) -> None:
    """A conflict, that of writers at the same moment, is the caller's to try again."""
    server.faults.add(operation="PutObject", status=409, code="ConditionalRequestConflict")
    refused("ConditionalRequestConflict", lambda: s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY, IfNoneMatch="*"))
    asked(server, "PutObject", 1)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY, IfNoneMatch="*")
    assert read(s3) == BODY


def torn_downloads(server: Server, s3: Any) -> None:
    """A download to a file begins again where its body ended, or was reset."""
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY)
    with tempfile.TemporaryDirectory() as folder:
        for number, fault in enumerate(({"cut_after_bytes": 1_000_000}, {"reset_after_bytes": 1_000_000})):
            server.faults.add(operation="GetObject", **fault)
            s3.download_file(BUCKET, KEY, f"{folder}/{number}")
            assert Path(f"{folder}/{number}").read_bytes() == BODY
    asked(server, "GetObject", 4)


def flipped_bit(server: Server, s3: Any) -> None:
    """The checksum shows it when the body has been read."""
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY)
    server.faults.add(operation="GetObject", flip_at_byte=1_000_000)
    try:
        read(s3)
    except FlexibleChecksumError:
        assert read(s3) == BODY
    else:
        raise AssertionError("a changed body was taken")


FAULTS = (
    slow_down,
    internal_error,
    error_behind_a_status,
    lost_answers,
    lost_answer_to_a_creation,
    lost_answer_to_a_replacement,
    conflict,
    torn_downloads,
    flipped_bit,
)


def main() -> None:
    """Meet each fault in a store of its own."""
    with Server(buckets=(BUCKET,)) as server:
        s3 = boto3.client("s3", **server.client_arguments)
        for fault in FAULTS:
            fault(server, s3)
            server.reset()
    print(f"{len(FAULTS)} kinds of faults; a conditional upload whose answer was lost is refused, and is there")


if __name__ == "__main__":
    main()
