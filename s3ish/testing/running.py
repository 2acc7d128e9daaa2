"""A server for tests, wherever it runs: how clients come to it, and what tests do with it."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from s3ish.outbound.tls import as_clients_of_aws

_ANSWER_SECONDS = 60
_WORLD = "test-"
"""What an access key begins with that has a world of its own."""


_NONE = "what answers there is no server of s3ish that has test controls"


class Running:
    """A server that runs somewhere: how clients and tests come to it.

    Args:
        endpoint: its URL.
        access_key, secret_key: the root user's keys.
        region: for clients that want one.
        token: that of the test controls (``test.token``), which a client on another machine needs.

    Raises ValueError: the endpoint is no URL.

    A key ``test-<name>`` has buckets, a clock, faults, requests and snapshots of its own, which the methods then are
    about; see ``world``.
    """

    def __init__(
        self,
        endpoint: str,
        access_key: str = "test",
        secret_key: str = "test",  # noqa: S107 - of the profile for tests
        region: str = "us-east-1",
        token: str = "",
    ) -> None:
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise ValueError(f"an endpoint is a URL: http://{endpoint}")
        self.endpoint = endpoint.rstrip("/")
        self.access_key, self.secret_key, self.region = access_key, secret_key, region
        self._token = token
        self.clock, self.faults, self.requests = ServerClock(self), Faults(self), Requests(self)

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
        self.control("DELETE", f"worlds/{quote(self.access_key, safe='')}")

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request to the test controls, and return what they answer.

        Args:
            method: of HTTP.
            path: behind ``/-/test/``: ``reset``, ``clock``, ``snapshots``, ``faults``, ``requests`` or ``worlds``.
            body: what is sent, as JSON.

        Raises:
            ValueError: they refuse it; the text says why.
            OSError: the server does not answer, or is not trusted.
        """
        where = urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(where.netloc, timeout=_ANSWER_SECONDS)
        if where.scheme == "https":
            trust = as_clients_of_aws()
            connection = http.client.HTTPSConnection(where.netloc, timeout=_ANSWER_SECONDS, context=trust)
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            text = json.dumps(body) if body is not None else None
            connection.request(method, self._located(path), text, headers)
            answer = connection.getresponse()
            told = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(_reason(told))
        try:
            return json.loads(told)
        except ValueError:
            raise ValueError(_NONE) from None

    def _located(self, path: str) -> str:
        if not self.access_key.startswith(_WORLD):
            return f"/-/test/{path}"
        return f"/-/test/{path}{'&' if '?' in path else '?'}world={quote(self.access_key, safe='')}"

    def world(self, name: str) -> "Running":
        """Return the same server with the access key ``test-<name>``, which shares nothing with any other.

        Its buckets are at first what the server's were at its start.
        """
        return Running(self.endpoint, f"{_WORLD}{name}", self.secret_key, self.region, self._token)

    def reset(self, bucket: str = "", *, snapshot: str = "") -> None:
        """Be as after the start, or with the store as in a snapshot: a bucket, or all with clock, faults and requests.

        Raises ValueError: there is no such bucket or snapshot.
        """
        self.control("POST", "reset", {"bucket": bucket, "snapshot": snapshot})

    def snapshot(self, name: str) -> None:
        """Keep the store as it is under a name, in place of what had it; no byte is copied."""
        self.control("PUT", f"snapshots/{_named(name)}")

    def fork(self, name: str, world: str) -> "Running":
        """Return the world of the access key ``test-<world>``, begun again with the store as in a snapshot of this one.

        Raises ValueError: there is no such snapshot.
        """
        other = self.world(world)
        self.control("POST", f"snapshots/{_named(name)}/fork", {"world": other.access_key})
        return other

    def restore(self, name: str) -> None:
        """Have the store be as in a snapshot; the clock and the rest stay. Raises ValueError: there is none."""
        self.control("POST", f"snapshots/{_named(name)}/restore")


def _named(snapshot: str) -> str:
    """Return the name of a snapshot as a part of a path. Raises ValueError for one that the path would hide."""
    if not snapshot or "/" in snapshot:
        raise ValueError(f"{snapshot!r} is no name of a snapshot: it has letters, digits, dots, hyphens, underscores")
    return quote(snapshot)


def _reason(told: bytes) -> str:
    try:
        return str(json.loads(told)["error"])
    except (ValueError, KeyError, TypeError):
        return _NONE if told.lstrip().startswith(b"<") else told.decode(errors="replace")


class ServerClock:
    """The time that the server's clients see."""

    def __init__(self, server: Running) -> None:
        self._server = server

    @property
    def now(self) -> datetime:
        """What time it is."""
        return datetime.fromisoformat(self._server.control("GET", "clock")["now"])

    def set(self, at: datetime | str, *, running: bool = False) -> None:
        """Let it be a moment, with a time zone: an aware datetime, or a text in ISO 8601.

        Args:
            at: that moment.
            running: whether it goes on from there, or stands still.

        Raises:
            ValueError: it has no time zone, or is too far away.
        """
        text = at if isinstance(at, str) else at.isoformat()
        self._server.control("PUT", "clock", {"at": text, "running": running})

    def advance(self, seconds: float, *, running: bool = True) -> None:
        """Let it be so many seconds later. What is due by then, by lifecycle rules, has been done on return."""
        self._server.control("PUT", "clock", {"advance_seconds": seconds, "running": running})

    def reset(self) -> None:
        """Let it be the machine's time."""
        self._server.control("DELETE", "clock")


class Faults:
    """What requests are to meet."""

    def __init__(self, server: Running) -> None:
        self._server = server

    def add(self, **plan: Any) -> None:
        """Plan a fault: ``add(operation="PutObject", nth=3, status=503, code="SlowDown")``.

        ``docs/test-controls.yaml`` has all fields. Raises ValueError: they make no plan.
        """
        self._server.control("POST", "faults", plan)

    @contextmanager
    def during(self, **plan: Any) -> Iterator[None]:
        """Plan a fault that ends with the context, and all others with it."""
        self.add(**plan)
        try:
            yield
        finally:
            self.clear()

    @property
    def met(self) -> list[int]:
        """How many requests have met each of the planned faults, in the order of the plans."""
        return [each["met"] for each in self._server.control("GET", "faults")["faults"]]

    def clear(self) -> None:
        """Forget all plans."""
        self._server.control("DELETE", "faults")


class Requests:
    """What the server was asked."""

    def __init__(self, server: Running) -> None:
        self._server = server

    def find(self, operation: str = "", **wanted: str) -> list[dict[str, Any]]:
        """Return the newest 1,000 requests that match, the oldest first.

        Args:
            operation: of which they are.
            wanted: ``bucket``, ``key``, ``user``, ``method``, ``status``, ``error`` or ``user_agent``.
        """
        found: list[dict[str, Any]] = self._asked(operation, wanted)["requests"]
        return found

    def count(self, operation: str = "", **wanted: str) -> int:
        """Return how many requests match; see ``find``."""
        return int(self._asked(operation, wanted | {"limit": "0"})["count"])

    def clear(self) -> None:
        """Forget them."""
        self._server.control("DELETE", "requests")

    @property
    def dollars(self) -> float:
        """What they would have cost at Amazon, by its list prices, without storage and free tiers."""
        return float(self._server.control("GET", "cost")["dollars"])

    def _asked(self, operation: str, wanted: Mapping[str, str]) -> Any:
        query = urlencode({"operation": operation, **wanted}, quote_via=quote)
        return self._server.control("GET", f"requests?{query}")
