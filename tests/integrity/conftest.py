"""A store with all its engines, on a directory that the test throws away."""

import pytest
import structlog.testing

from tests.objects.support import World, make_bucket


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


@pytest.fixture(autouse=True)
def logged():
    """What the jobs log, kept from the terminal."""
    with structlog.testing.capture_logs() as entries:
        yield entries
