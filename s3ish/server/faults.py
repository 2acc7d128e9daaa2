"""Where faults can be planned: points that every request passes, and what may happen there.

The pipeline asks them if it was given some; a server has none unless a stack for tests wants them.
"""

from collections.abc import Mapping
from typing import Any

from s3ish.observe.lines import RequestLine
from s3ish.server.request_record import RequestRecord
from s3ish.wire.shape import Written


class FaultPoints:
    """Points where nothing happens; a plan of faults overrides what it needs."""

    async def before(self, request: RequestRecord) -> None:
        """The request may be done, and nothing of it is: refuse it with an S3 error, or delay it."""

    async def after(self, request: RequestRecord, written: Written) -> Written:  # noqa: ARG002 - for those who override it
        """All is done and durable, and nothing is answered: change the answer, delay it, or raise Disconnected."""
        return written

    def sending(self, request: RequestRecord, send: Any) -> Any:  # noqa: ARG002 - as above
        """The answer begins: return what sends it, which may slow it down, cut it, or raise Disconnected."""
        return send

    def ended(self, line: RequestLine, headers: Mapping[str, str]) -> None:
        """The request has ended, as its line tells; ``headers`` are what it came with, as far as they were read."""
