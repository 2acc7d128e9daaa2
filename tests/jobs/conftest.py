"""A store with all its engines, as the checks of integrity have it."""

from tests.integrity.conftest import logged, store, world
from tests.objects.conftest import witness

__all__ = ["logged", "store", "witness", "world"]
