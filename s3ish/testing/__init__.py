"""s3ish for tests: a server in their process, one elsewhere, and what they do with it.

    with s3ish.testing.Server() as server:
        s3 = boto3.client("s3", **server.client_arguments)

``docs/testing.md`` says more.
"""

from s3ish.testing.mock import mock_s3
from s3ish.testing.running import Faults, Requests, Running, ServerClock
from s3ish.testing.server import Server

__all__ = ["Faults", "Requests", "Running", "Server", "ServerClock", "mock_s3"]
