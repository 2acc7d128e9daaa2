"""A server for each file, and one of special limits where a test asks for it."""

import pytest

from tests.server.support import LIMITS, Application, Server


@pytest.fixture
def start():
    """A function that starts a server of given limits."""
    started = []

    def begin(**changes):
        idle_seconds = changes.pop("idle_seconds", 5)
        started.append(Server(Application(), LIMITS._replace(**changes), idle_seconds=idle_seconds))
        return started[-1]

    yield begin
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def shared():
    """A server for many requests."""
    server = Server(Application(), LIMITS)
    yield server
    server.stop()


@pytest.fixture
def server(shared):
    """The shared server; after the test it answers a good request."""
    shared.application.__init__()
    yield shared
    assert shared.works()
