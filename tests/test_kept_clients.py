"""Clients and sessions that code under test keeps, before a mock, from one mock to the next, and behind it."""

import asyncio
import functools
import os
import sys
from types import SimpleNamespace

import boto3
import pytest

from s3ish.testing import Server, mock_s3


def names(s3):
    return [it["Name"] for it in s3.list_buckets()["Buckets"]]


def test_a_client_that_is_kept_comes_to_the_next_mock_too():
    @functools.cache
    def client():
        return boto3.client("s3")

    for name in ("one", "two"):
        with mock_s3(buckets=(f"bucket-{name}",)):
            assert names(client()) == [f"bucket-{name}"]
    client().close()


def test_a_mock_has_another_port_where_that_of_its_process_is_taken():
    with mock_s3() as first:
        port = int(first.endpoint.rpartition(":")[2])
        with mock_s3() as within:
            assert within.endpoint != first.endpoint
    with Server(port=port), mock_s3() as other:
        assert other.endpoint != first.endpoint
    with mock_s3(port=0) as given:
        assert given.endpoint.startswith("http://127.0.0.1:")


def test_the_session_of_boto3_takes_no_key_into_a_mock_and_none_out_of_it(monkeypatch):
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert boto3.client("s3")._request_signer._credentials.access_key == "real"
    before = boto3.DEFAULT_SESSION
    with mock_s3(buckets=("made",), access_key="other", secret_key="other-secret"):
        assert names(boto3.client("s3")) == ["made"]
    assert boto3.DEFAULT_SESSION is before
    assert boto3.client("s3")._request_signer._credentials.access_key == "real"


def test_file_systems_that_s3fs_keeps_are_forgotten(monkeypatch):
    forgotten = []
    kept = SimpleNamespace(clear_instance_cache=lambda: forgotten.append(os.environ.get("AWS_ENDPOINT_URL")))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", SimpleNamespace(S3FileSystem=kept))
    with mock_s3() as server:
        assert forgotten == [server.endpoint]
    assert len(forgotten) == 2


def test_an_asynchronous_context_is_the_same():
    async def run():
        async with mock_s3(buckets=("made",)) as server:
            assert os.environ["AWS_ENDPOINT_URL"] == server.endpoint
            assert await asyncio.to_thread(names, boto3.client("s3")) == ["made"]

    asyncio.run(run())


def test_a_mock_that_cannot_begin_leaves_nothing(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with pytest.raises(RuntimeError, match="cannot begin"), mock_s3(seed="/nowhere"):
        raise AssertionError("it has not begun")
    assert "AWS_ENDPOINT_URL" not in os.environ
