"""A server that is told to end while clients write: it ends in time, and keeps what it said it had stored."""

import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from urllib.parse import urlsplit

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from structlog.testing import capture_logs

from s3ish.blob.volumes.open_set import open_volumes
from s3ish.clock import Clock
from s3ish.config import Settings, StorageSettings
from s3ish.process import predecessor
from tests.waiting import WAIT_SECONDS, wait_until

CLIENTS = 4
STOP_SECONDS = 15


def client(endpoint):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


def test_sigterm_under_load_loses_nothing(start_server, tmp_path):  # case 16
    server = start_server(tmp_path, "--workers", "2")
    client(server.endpoint).create_bucket(Bucket="bucket")
    stored, failures, enough = [], [], threading.Event()

    def write(number):
        s3 = client(server.endpoint)
        for round_ in count():
            key, body = f"{number}/{round_}", bytes([round_ % 256]) * (100 if round_ % 3 else 300_000)
            try:
                s3.put_object(Bucket="bucket", Key=key, Body=body)
            except (BotoCoreError, ClientError) as error:
                failures.append(error)
                return
            stored.append((key, body))
            if len(stored) >= 10 * CLIENTS:
                enough.set()

    threads = [threading.Thread(target=write, args=[number]) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    assert enough.wait(30)
    begun = time.monotonic()
    code, log = server.stop()
    assert time.monotonic() - begun < STOP_SECONDS
    assert code == 0
    for thread in threads:
        thread.join(10)
    assert len(failures) == CLIENTS
    assert "Traceback" not in log
    again = client(start_server(tmp_path).endpoint)
    for key, body in stored:
        assert again.get_object(Bucket="bucket", Key=key)["Body"].read() == body
    pages = again.get_paginator("list_objects_v2").paginate(Bucket="bucket")
    assert {key for key, _ in stored} <= {item["Key"] for page in pages for item in page["Contents"]}


def test_a_start_after_a_kill_waits_for_the_workers_which_end_their_requests(start_server, tmp_path):
    server = start_server(tmp_path, S3ISH_WORKERS="2", S3ISH_SERVER_SHUTDOWN_SECONDS="2")
    s3, address = client(server.endpoint), urlsplit(server.endpoint)
    s3.create_bucket(Bucket="bucket")
    url = urlsplit(s3.generate_presigned_url("put_object", {"Bucket": "bucket", "Key": "key"}))
    with socket.create_connection((address.hostname, address.port)) as slow:
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 9\r\nExpect: 100-continue"
        slow.sendall(f"{head}\r\n\r\n".encode())
        assert slow.recv(100).startswith(b"HTTP/1.1 100")
        server.stop(signal.SIGKILL)
        patient = {"S3ISH_SERVER_SHUTDOWN_SECONDS": "60"}  # on a slow machine workers need longer than they should
        again = start_server(tmp_path, "--port", str(address.port), S3ISH_WORKERS="2", **patient)
        assert client(again.endpoint).list_buckets()["Buckets"][0]["Name"] == "bucket"


def test_a_start_waits_for_workers_alone_and_says_so_once(tmp_path, monkeypatch):
    monkeypatch.setattr(predecessor, "set_up_logs", lambda *_: None)
    monkeypatch.setattr(predecessor, "log", structlog.get_logger())
    settings = Settings(storage=StorageSettings(volumes=(str(tmp_path),)))
    server, worker = (open_volumes([str(tmp_path)], clock=Clock()) for _ in range(2))
    server.lock_server()
    worker.lock_worker("a" * 8)
    with capture_logs() as logged, ThreadPoolExecutor() as threads:
        predecessor.await_end(settings, Clock())  # a server that lives is not waited for
        assert logged == []
        server.close()
        waiting = threads.submit(predecessor.await_end, settings, Clock())
        wait_until(lambda: logged)
        assert not waiting.done()
        worker.close()
        waiting.result(WAIT_SECONDS)
    assert [(entry["event"], entry["volumes"]) for entry in logged] == [
        ("waits for the workers of a server that was killed", [str(tmp_path)])
    ]
