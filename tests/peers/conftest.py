"""A store with all its engines, as the tests of objects have it."""

from tests.objects.conftest import small_parts, store, world

__all__ = ["small_parts", "store", "world"]
