"""The servers of the tests of the edge: one for each file, and one of special limits where a test asks for it."""

from tests.server.conftest import server, shared, start, tls

__all__ = ["server", "shared", "start", "tls"]
