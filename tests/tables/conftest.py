"""A store with all its engines, as the tests of objects have it."""

from tests.objects.conftest import quiet, small_parts, store, world

__all__ = ["quiet", "small_parts", "store", "world"]
