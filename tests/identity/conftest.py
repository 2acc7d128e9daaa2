"""A store on a directory that the test throws away, and users in it."""

from tests.objects.conftest import quiet, world

__all__ = ["quiet", "world"]
