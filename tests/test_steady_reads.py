"""A running server with two workers: what a read began with it ends with, and the log tells of no damage."""

import base64
import hashlib
import http.client
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

from tests.waiting import wait_until

PART = 5 << 20
PARTS = [hashlib.shake_128(b"%d" % number).digest(PART) for number in range(3)] + [b"the last one is short"]
WHOLE = b"".join(PARTS)


def connect(server):
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, signature_version="s3v4", retries={"total_max_attempts": 1}),
    )


def store_parts(s3, key):
    upload = s3.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]
    sent = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(Bucket="bucket", Key=key, UploadId=upload, PartNumber=number, Body=part)["ETag"],
        }
        for number, part in enumerate(PARTS, 1)
    ]
    s3.complete_multipart_upload(Bucket="bucket", Key=key, UploadId=upload, MultipartUpload={"Parts": sent})


class SlowReader:
    """A GET of which nothing is taken but the head, as long as nobody asks for the rest."""

    def __init__(self, server, s3, key, span=None):
        headers = {"Range": f"bytes={span[0]}-{span[1] - 1}"} if span else {}
        url = urlsplit(s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": key}))
        self.wanted = WHOLE[slice(*span)] if span else WHOLE
        self._connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=60)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 << 10)
        self._connection.request("GET", f"{url.path}?{url.query}", headers=headers)
        self._answer = self._connection.getresponse()
        assert self._answer.status == (206 if span else 200)

    def rest(self):
        return self._answer.read()

    def close(self):
        self._connection.close()


def overwrite(s3):
    s3.put_object(Bucket="bucket", Key="k", Body=b"newer")


def delete(s3):
    s3.delete_object(Bucket="bucket", Key="k")


def delete_many(s3):
    s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "k"}]})


def delete_version(s3):
    s3.delete_object(Bucket="bucket", Key="k", VersionId="null")


def test_reads_of_an_object_that_goes_end_as_they_began(start_server, tmp_path):  # cases 50, 161
    server = start_server(tmp_path, "--workers", "2", S3ISH_LOG_FORMAT="json")
    s3 = connect(server)
    s3.create_bucket(Bucket="bucket")
    for end in (overwrite, delete, delete_many, delete_version):
        store_parts(s3, "k")
        with ExitStack() as stack:
            spans = (None, (1, PART + 1), (PART, len(WHOLE)), None)
            readers = [stack.enter_context(closing(SlowReader(server, s3, "k", span))) for span in spans]
            end(s3)
            for reader in readers:
                data = reader.rest()
                assert len(data) == len(reader.wanted)
                assert data == reader.wanted
    s3.close()
    code, log = server.stop()
    assert code == 0
    for word in ("Traceback", '"damage"', '"status":500', '"status":503'):
        assert word not in log


SIZES = (100, 90_000, 300_000, 2_500_000)
"""In the index alone; of one stripe; of several."""
TURNS = 20


def test_reads_and_copies_of_a_key_that_is_overwritten_all_the_time_never_fail(start_server, tmp_path):  # case 44
    server = start_server(tmp_path, "--workers", "2", S3ISH_LOG_FORMAT="json")
    s3 = connect(server)
    s3.create_bucket(Bucket="bucket")
    contents = [hashlib.shake_128(b"%d" % number).digest(size) for number, size in enumerate(SIZES)]
    digests = {hashlib.md5(data).hexdigest() for data in contents}
    source = {"Bucket": "bucket", "Key": "k"}
    ended = threading.Event()

    def write(number):
        mine = connect(server)
        while not ended.is_set():
            mine.put_object(Bucket="bucket", Key="k", Body=contents[number % len(contents)])
            number += 1
        mine.close()

    def read(number):
        mine = connect(server)
        for _ in range(TURNS):
            assert hashlib.md5(mine.get_object(**source)["Body"].read()).hexdigest() in digests
            copied = mine.copy_object(Bucket="bucket", Key=f"copy {number}", CopySource=source)
            assert copied["CopyObjectResult"]["ETag"].strip('"') in digests
            upload = mine.create_multipart_upload(Bucket="bucket", Key=f"part {number}")["UploadId"]
            names = {"Bucket": "bucket", "Key": f"part {number}", "UploadId": upload}
            part = mine.upload_part_copy(**names, PartNumber=1, CopySource=source)
            assert part["CopyPartResult"]["ETag"].strip('"') in digests
            mine.abort_multipart_upload(**names)
        mine.close()

    write_once = s3.put_object(Bucket="bucket", Key="k", Body=contents[0])
    assert write_once["ETag"].strip('"') in digests
    with ThreadPoolExecutor(7) as pool:
        writers = [pool.submit(write, number) for number in range(2)]
        readers = [pool.submit(read, number) for number in range(5)]
        try:
            for reader in readers:
                reader.result()
        finally:
            ended.set()
        for writer in writers:
            writer.result()
    s3.close()
    code, log = server.stop()
    assert code == 0
    for word in ("Traceback", '"damage"', '"status":500', '"status":503'):
        assert word not in log, [line for line in log.splitlines() if word in line][:3]


READERS = 12
"""So many connections that both workers have some of them."""


def test_answers_of_every_worker_tell_what_was_changed_by_another(start_server, run_s3ish, tmp_path):
    master = {"S3ISH_MASTER_KEY": base64.b64encode(b"k" * 32).decode()}
    server = start_server(tmp_path / "data", "--workers", "2", **master)
    made = run_s3ish("key", "create", "--volume", tmp_path / "data", **master)
    assert made.returncode == 0, made.stderr
    s3 = connect(server)
    s3.create_bucket(Bucket="bucket", ObjectLockEnabledForBucket=True)
    name = {"Bucket": "bucket", "Key": "k"}
    s3.put_object(**name, Body=b"data", ServerSideEncryption="AES256", Metadata={"color": "red"}, ContentType="a/b")
    url = urlsplit(s3.generate_presigned_url("get_object", Params=name))
    connections = [http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=60) for _ in range(READERS)]

    def said(header):
        """Return what the answers say, each twice: the second time it may come from what the first one kept."""
        found = set()
        for connection in connections * 2:
            connection.request("GET", f"{url.path}?{url.query}")
            answer = connection.getresponse()
            assert answer.read() == b"data"
            found.add(answer.headers[header])
        return found

    encryption = {"SSEKMS": {"KMSKeyArn": made.stdout.strip()}}
    replaced = {"MetadataDirective": "REPLACE", "Metadata": {"color": "blue"}, "ContentType": "c/d"}
    changes = (
        ("x-amz-tagging-count", lambda: s3.put_object_tagging(**name, Tagging={"TagSet": [{"Key": "a", "Value": ""}]})),
        ("x-amz-object-lock-legal-hold", lambda: s3.put_object_legal_hold(**name, LegalHold={"Status": "OFF"})),
        ("x-amz-server-side-encryption", lambda: s3.update_object_encryption(**name, ObjectEncryption=encryption)),
        ("x-amz-meta-color", lambda: s3.copy_object(**name, CopySource=name, **replaced)),
    )
    before = {header: said(header) for header, _ in changes}
    for _, change in changes[:-1]:
        change()
        told = [said(header) for header, _ in changes]
        assert all(len(found) == 1 for found in told)
    assert [before[header] for header, _ in changes] == [{None}, {None}, {"AES256"}, {"red"}]
    assert told == [{"1"}, {"OFF"}, {"aws:kms"}, {"red"}]
    changes[-1][1]()
    assert said("x-amz-meta-color") == {"blue"}
    assert said("content-type") == {"c/d"}
    for connection in connections:
        connection.close()
    s3.close()
    assert server.stop()[0] == 0


def open_shards(folder):
    """Return the shards below a folder that any process has open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            target = os.readlink(link)
            if target.startswith(f"{folder}/bucket/"):
                found.append(target)
    return found


@pytest.mark.parametrize("sent", [b"", b"a part of a body", None], ids=["no body", "a part of a body", "and reads"])
def test_a_client_that_leaves_has_no_files_open(start_server, tmp_path, sent):
    server = start_server(tmp_path)
    s3 = connect(server)
    s3.create_bucket(Bucket="bucket")
    store_parts(s3, "k")
    url = urlsplit(s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"}))
    length = 100_000 if sent is not None else 0
    head = f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {length}\r\n\r\n"
    for _ in range(10):
        with socket.create_connection((url.hostname, url.port), timeout=60) as connection:
            connection.sendall(head.encode() + (sent or b""))
            if sent is None:
                assert connection.recv(100)
            else:
                wait_until(lambda: open_shards(tmp_path))
    s3.close()
    wait_until(lambda: not open_shards(tmp_path))
