"""A store with all its engines, as the checks of integrity have it."""

from tests.integrity.conftest import logged, store, world

__all__ = ["logged", "store", "world"]
