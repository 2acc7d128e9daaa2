"""Fixtures for pytest: a server for the run, a client, and a bucket for a test. ``docs/testing.md`` says more."""

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

_BEFORE = "before-a-test"
"""The snapshot to which a test goes back."""


@pytest.fixture(scope="session")
def s3ish_server() -> "Iterator[Any]":
    """A server of this process, as ``s3ish.testing.Server``; each process of pytest-xdist has its own.

    Where S3ISH_ENDPOINT names one that runs, a world of it is used, which no other process sees; or with
    S3ISH_ACCESS_KEY and S3ISH_SECRET_KEY that of these keys.
    """
    from s3ish.testing import Running, Server  # deferred: runs that use no fixture do not pay for it

    endpoint, secret_key = os.environ.get("S3ISH_ENDPOINT"), os.environ.get("S3ISH_SECRET_KEY", "test")
    if not endpoint:
        with Server() as server:
            yield server
    elif access_key := os.environ.get("S3ISH_ACCESS_KEY"):
        yield Running(endpoint, access_key, secret_key)
    else:
        own = re.sub("[^A-Za-z0-9.-]", "-", socket.gethostname())[:40]
        world = Running(endpoint, secret_key=secret_key).world(f"{own}-{os.getpid()}")
        yield world
        with contextlib.suppress(ValueError):  # nothing was asked of it, or it was idle for too long
            world.leave()


@pytest.fixture
def s3ish_client(s3ish_server: Any) -> "Iterator[Any]":
    """A boto3 client. When the test has ended the server is as it was before: what fixtures of a run made stays."""
    import boto3

    s3ish_server.snapshot(_BEFORE)
    client = boto3.client("s3", **s3ish_server.client_arguments)
    yield client
    client.close()
    s3ish_server.reset(snapshot=_BEFORE)


@pytest.fixture
def s3ish_bucket(s3ish_client: Any, request: pytest.FixtureRequest) -> str:
    """The name of an empty bucket, made of the test's name."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:50] or "test"
    bucket = f"{name}-{os.getpid()}"
    s3ish_client.create_bucket(Bucket=bucket)
    return bucket
