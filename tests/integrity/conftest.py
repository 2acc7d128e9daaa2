"""A store with all its engines, on a directory that the test throws away."""

import pytest
import structlog.testing

from tests.objects.conftest import store, world

__all__ = ["logged", "store", "world"]


@pytest.fixture(autouse=True)
def logged():
    """What the jobs log, kept from the terminal."""
    with structlog.testing.capture_logs() as entries:
        yield entries
