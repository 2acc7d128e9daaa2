"""Fixtures for pytest: a server for the run, and what a test has of it. ``docs/testing.md`` says more."""

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
    S3ISH_ACCESS_KEY and S3ISH_SECRET_KEY that of these keys. S3ISH_TEST_TOKEN is the token of its controls.
    """
    from s3ish.testing import Running, Server  # deferred: runs that use no fixture do not pay for it

    endpoint, secret_key = os.environ.get("S3ISH_ENDPOINT"), os.environ.get("S3ISH_SECRET_KEY", "test")
    if not endpoint:
        with Server() as server:
            yield server
        return
    token = os.environ.get("S3ISH_TEST_TOKEN", "")
    if access_key := os.environ.get("S3ISH_ACCESS_KEY"):
        yield Running(endpoint, access_key, secret_key, token=token)
        return
    own = re.sub("[^A-Za-z0-9.-]", "-", socket.gethostname())[:40]
    world = Running(endpoint, secret_key=secret_key, token=token).world(f"{own}-{os.getpid()}")
    yield world
    with contextlib.suppress(ValueError):  # nothing was asked of it, or it was idle for too long
        world.leave()


@pytest.fixture
def s3ish_restored(s3ish_server: Any) -> "Iterator[Any]":
    """The server, which is as it was before when the test has ended: what fixtures of a run made stays."""
    s3ish_server.snapshot(_BEFORE)
    yield s3ish_server
    s3ish_server.reset(snapshot=_BEFORE)


@pytest.fixture
def s3ish_environment(s3ish_restored: Any) -> "Iterator[Any]":
    """The server, to which AWS's variables lead in the test, so that code that makes clients of its own uses it."""
    from s3ish.testing.mock import leading_to

    with leading_to(s3ish_restored):
        yield s3ish_restored


@pytest.fixture
def s3ish_client(s3ish_restored: Any) -> "Iterator[Any]":
    """A boto3 client."""
    import boto3
    from botocore.config import Config

    direct = Config(proxies={})  # a proxy of the environment is for others
    client = boto3.client("s3", **s3ish_restored.client_arguments, config=direct)
    yield client
    client.close()


@pytest.fixture
def s3ish_bucket(s3ish_client: Any, request: pytest.FixtureRequest) -> str:
    """The name of an empty bucket, made of the test's name."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:50] or "test"
    bucket = f"{name}-{os.getpid()}"
    s3ish_client.create_bucket(Bucket=bucket)
    return bucket


@pytest.fixture
def s3ish_faults(s3ish_restored: Any) -> Any:
    """What requests are to meet: ``s3ish_faults.add(operation="PutObject", status=503)``; forgotten after the test."""
    return s3ish_restored.faults


@pytest.fixture
def s3ish_clock(s3ish_restored: Any) -> Any:
    """The time that clients see: ``s3ish_clock.advance(86_400)``; that of the machine again after the test."""
    return s3ish_restored.clock


@pytest.fixture
def s3ish_requests(s3ish_restored: Any) -> Any:
    """What the server was asked in this test: ``s3ish_requests.count("PutObject")``."""
    s3ish_restored.requests.clear()
    return s3ish_restored.requests
