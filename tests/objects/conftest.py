"""A store with all its engines, on a directory that the test throws away."""

import pytest
import structlog.testing

from s3ish.objects import multipart
from tests.objects.support import World, make_bucket
from tests.witness import witnessed


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    yield world
    await world.close()


@pytest.fixture
async def store(world):
    """A store with a bucket ``b`` that never was versioned."""
    store = world.open()
    await make_bucket(store)
    return store


@pytest.fixture
def small_parts(monkeypatch):
    """Parts may be as small as 200 bytes, so that a test needs no megabytes."""
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 200)


@pytest.fixture(autouse=True)
def witness():
    """Look on at all commits: no writer of versions forgets what follows, nor to count."""
    with witnessed():
        yield


@pytest.fixture(autouse=True)
def quiet():
    """What the jobs log, kept from the terminal."""
    with structlog.testing.capture_logs() as logged:
        yield logged
