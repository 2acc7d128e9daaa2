"""A server for each file, and one of special limits where a test asks for it."""

from datetime import UTC, datetime

import pytest

from s3ish.cli import cert
from tests.server.support import LIMITS, Application, Server


@pytest.fixture(scope="session")
def tls(tmp_path_factory):
    """The files of a certificate for this machine."""
    return cert.write(tmp_path_factory.mktemp("tls"), ["localhost", "127.0.0.1"], datetime.now(UTC), days=1)


@pytest.fixture
def start():
    """A function that starts a server of given limits."""
    started = []

    def begin(**changes):
        idle_seconds, tls = changes.pop("idle_seconds", 5), changes.pop("tls", None)
        started.append(Server(Application(), LIMITS._replace(**changes), idle_seconds=idle_seconds, tls=tls))
        return started[-1]

    yield begin
    for server in started:
        server.stop()


@pytest.fixture(scope="module", params=["clear", "tls"])
def shared(request, tls):
    """A server for many requests, without TLS and with it."""
    server = Server(Application(), LIMITS, tls=tls if request.param == "tls" else None)
    yield server
    server.stop()


@pytest.fixture
def server(shared):
    """The shared server; after the test it answers a good request."""
    shared.application.__init__()
    yield shared
    assert shared.works()
