"""What stands in a trace about a request or a step of a job, as the parts of a server hand it over.

The extra ``s3ish[otel]`` makes spans of it (``traces.py``); nothing here needs that to be installed.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import msgspec

from s3ish.observe.families import Sample
from s3ish.observe.requests import Stages


class Joined(msgspec.Struct, frozen=True):
    """The place of a request in a trace.

    ``trace_id`` is in hexadecimal digits. ``context`` and ``parent`` are OpenTelemetry's contexts of its own span and
    of the caller's, which is None where the trace begins here.
    """

    trace_id: str
    is_sampled: bool
    context: Any
    parent: Any


class EndedRequest(msgspec.Struct, kw_only=True):
    """A request that has ended; ``path`` is without the query, which may hold a signature.

    ``ended_ns`` is machine time in nanoseconds since the epoch; ``began``, ``ended`` and the stages are in seconds of
    the monotonic clock.
    """

    joined: Joined
    operation: str
    bucket: str
    key: str
    request_id: str
    method: str
    scheme: str
    host: str
    path: str
    client: str
    agent: str
    status: int
    error: str
    torn: str
    received: int
    sent: int
    began: float
    ended: float
    ended_ns: int
    stages: Stages


class EndedStep(msgspec.Struct):
    """A step of a background job that has ended; ``ended_ns`` is as for requests."""

    job: str
    seconds: float
    ended_ns: int
    failed: bool


class Traces(Protocol):
    """Where spans go."""

    def begin(self, headers: Mapping[str, str]) -> Joined:
        """Return the place of a request in the trace that its headers name, or in a new one."""

    def add(self, ended: EndedRequest) -> None:
        """Send the spans of a request, if it is sampled and there is room; does not wait."""

    def step(self, job: str, seconds: float, *, failed: bool) -> None:
        """Send the span of a step of a background job that ends now, if it is worth one; does not wait."""

    def samples(self) -> Iterator[Sample]:
        """See ``Source``."""

    def close(self) -> None:
        """Send what waits, for a short while, and end."""
