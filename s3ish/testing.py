"""s3ish within the process of a test: a server on a thread, with everything in memory.

    with s3ish.testing.Server() as server:
        s3 = boto3.client("s3", **server.client_arguments)

``docs/testing.md`` says more.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import Any, ParamSpec, Self, TypeVar

import uvicorn
from msgspec.structs import replace

from s3ish.config import AuthSettings, Secret, ServerSettings, Settings, StorageSettings, TestSettings
from s3ish.memory_app import MemoryApplication
from s3ish.process.serve import bind, configure, listen
from s3ish.process.serve_memory import Announced
from s3ish.threads import OwnThread

P = ParamSpec("P")
R = TypeVar("R")

_START_SECONDS = 30
_WORLD = "test-"
"""What an access key begins with that has a world of its own."""


class Running:
    """A server that runs somewhere: how clients and tests come to it.

    Args:
        endpoint: its URL.
        access_key, secret_key: the root user's keys.
        region: for clients that want one.

    A key ``test-<name>`` has buckets, a clock, faults, requests and snapshots of its own, which the methods then are
    about; see ``world``.
    """

    def __init__(
        self,
        endpoint: str,
        access_key: str = "test",
        secret_key: str = "test",  # noqa: S107 - of the profile for tests
        region: str = "us-east-1",
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.access_key, self.secret_key, self.region = access_key, secret_key, region

    @property
    def client_arguments(self) -> dict[str, str]:
        """What ``boto3.client("s3", …)`` needs."""
        return {
            "endpoint_url": self.endpoint,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "region_name": self.region,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which AWS's SDKs and command line come to it."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
        }

    def leave(self) -> None:
        """Take away what the access key ``test-<name>`` has. Raises ValueError: it has nothing, or is another key."""
        self.control("DELETE", f"worlds/{self.access_key}")

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request to the test controls, and return what they answer.

        Args:
            method: of HTTP.
            path: behind ``/-/test/``: ``reset``, ``clock``, ``snapshots``, ``faults``, ``requests`` or ``worlds``.
            body: what is sent, as JSON.

        Raises:
            ValueError: they refuse it; the text says why.
        """
        import http.client
        import json

        connection = http.client.HTTPConnection(self.endpoint.removeprefix("http://"), timeout=_START_SECONDS)
        try:
            connection.request(method, self._located(path), json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(text.decode(errors="replace"))
        return json.loads(text)

    def _located(self, path: str) -> str:
        if not self.access_key.startswith(_WORLD):
            return f"/-/test/{path}"
        return f"/-/test/{path}{'&' if '?' in path else '?'}world={self.access_key}"

    def world(self, name: str) -> "Running":
        """Return the same server with the access key ``test-<name>``, which shares nothing with any other.

        Its buckets are at first what the server's were at its start.
        """
        return Running(self.endpoint, f"{_WORLD}{name}", self.secret_key, self.region)

    def reset(self, bucket: str = "", *, snapshot: str = "") -> None:
        """Be as after the start, or with the store as in a snapshot: a bucket, or all with clock, faults and requests.

        Raises ValueError: there is no such bucket or snapshot.
        """
        self.control("POST", "reset", {"bucket": bucket, "snapshot": snapshot})

    def snapshot(self, name: str) -> None:
        """Keep the store as it is under a name, in place of what had it; no byte is copied."""
        self.control("PUT", f"snapshots/{name}")

    def fork(self, name: str, world: str) -> "Running":
        """Return the world of the access key ``test-<world>``, begun again with the store as in a snapshot of this one.

        Raises ValueError: there is no such snapshot.
        """
        other = self.world(world)
        self.control("POST", f"snapshots/{name}/fork", {"world": other.access_key})
        return other

    def restore(self, name: str) -> None:
        """Have the store be as in a snapshot; the clock and the rest stay. Raises ValueError: there is none."""
        self.control("POST", f"snapshots/{name}/restore")


class Server(Running):
    """A server of this process, on a thread of its own; nothing outlives it.

    Args:
        port: where it listens on loopback; 0 for any free port.
        access_key, secret_key: the root user's keys.
        buckets: made before it serves: ``name[:public][:versioned][:lock]``.
        seed: a folder of folders, one a bucket, whose files become objects.
        region: what it says its region is; it takes signatures for any.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        access_key: str = "test",
        secret_key: str = "test",  # noqa: S107 - it serves this machine, for the time of a test
        buckets: tuple[str, ...] = (),
        seed: str = "",
        region: str = "us-east-1",
    ) -> None:
        super().__init__("", access_key, secret_key, region)
        self._port = port
        self._settings = replace(
            Settings(),
            server=ServerSettings(port=port, workers=1, region=region, shutdown_seconds=1),
            storage=StorageSettings(default_buckets=buckets, seed=seed),
            auth=AuthSettings(access_key=access_key, secret_key=Secret(secret_key)),
            test=TestSettings(profile=True),
        )
        self._server: uvicorn.Server | None = None
        self._thread: OwnThread | None = None

    def start(self) -> Self:
        """Serve; returned is the server itself. Raises RuntimeError if it cannot, CannotListen if the port is taken."""
        bound = bind("127.0.0.1", self._port)
        listen(bound)
        self.endpoint = f"http://127.0.0.1:{bound.getsockname()[1]}"
        settled = Event()
        application = MemoryApplication(self._settings)
        config = configure(self._settings, lambda: application)
        server = self._server = Announced(config, settled.set)

        def run() -> None:
            try:
                server.run(sockets=[bound])
            except SystemExit:  # said by its lifespan
                pass
            finally:
                bound.close()
                settled.set()

        self._thread = OwnThread("s3ish test server", run)
        if not settled.wait(_START_SECONDS) or not server.started:
            self.stop()
            raise RuntimeError("the server cannot begin; the log says why")
        return self

    def stop(self) -> None:
        """End it, and all connections to it."""
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


_OTHERS = ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE")
"""Variables that would lead a client elsewhere."""


@contextlib.contextmanager
def _mocked(server: Server) -> Iterator[Server]:
    before = {name: os.environ.get(name) for name in (*server.environment, *_OTHERS)}
    for name in _OTHERS:
        os.environ.pop(name, None)
    os.environ.update(server.environment)
    try:
        yield server
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class mock_s3:  # noqa: N801 - called like a function
    """Run code with AWS's environment leading to a server of its own: ``with mock_s3():`` or ``@mock_s3()``.

    Clients that are made within come to it without a change of the code.

    Args:
        options: see ``Server``.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._stack: contextlib.ExitStack | None = None

    def __enter__(self) -> Server:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(_mocked(stack.enter_context(Server(**self._options))))
            self._stack = stack.pop_all()
        return server

    def __exit__(self, *_: object) -> None:
        if self._stack:
            self._stack.close()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function, run with a server of its own each time."""

        @functools.wraps(function)
        def within(*arguments: P.args, **named: P.kwargs) -> R:
            with mock_s3(**self._options):
                return function(*arguments, **named)

        return within
