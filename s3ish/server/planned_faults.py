"""Faults by plan: what the n-th request of a kind meets. For tests of clients; a server for data has none.

A plan is deterministic: the same requests in the same order meet the same faults.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from s3ish.errors import S3Error
from s3ish.observe.lines import RequestLine
from s3ish.server.body import Disconnected
from s3ish.server.faults import FaultPoints
from s3ish.server.recorder import Recorder
from s3ish.server.request_record import RequestRecord
from s3ish.wire.shape import Written

MOST_PLANS = 100
_Name = Annotated[str, Meta(max_length=1024)]


class FaultPlan(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which requests meet a fault, and which.

    A request matches that is of the ``operation`` on the ``bucket`` with the ``key``; what is empty matches all. Of
    those the ``nth`` meets the fault, and so many that ``count`` do, one after the other.

    The fault: the answer waits for ``delay_seconds``; ``status`` with ``code`` is answered in place of doing it;
    ``drop`` does it, and ends the connection without an answer; ``cut_after_bytes`` sends so much of the body, and ends
    the connection.
    """

    operation: _Name = ""
    bucket: _Name = ""
    key: _Name = ""
    nth: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1
    count: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1
    delay_seconds: Annotated[float, Meta(ge=0, le=600)] = 0
    status: Annotated[int, Meta(ge=400, le=599)] | None = None
    code: Annotated[str, Meta(pattern="^[A-Za-z]{0,64}$")] = ""
    drop: bool = False
    cut_after_bytes: Annotated[int, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        kinds = [self.status is not None, self.drop, self.cut_after_bytes is not None]
        if sum(kinds) > 1:
            raise ValueError("a plan has one of status, drop and cut_after_bytes")
        if not any(kinds) and not self.delay_seconds:
            raise ValueError("a plan needs a fault: status, drop, cut_after_bytes or delay_seconds")
        if self.code and self.status is None:
            raise ValueError("a code needs a status")

    def matches(self, request: RequestRecord) -> bool:
        """Whether a request is one of those that count."""
        target = request.target
        return (
            self.operation in ("", request.operation_name)
            and self.bucket in ("", target.bucket if target else "")
            and self.key in ("", target.key if target else "")
        )


class Planned(Struct):
    """A plan, how many requests have matched, and how many of them have met the fault."""

    plan: FaultPlan
    matched: int = 0
    met: int = 0


class PlannedError(S3Error, status=503, message="A planned fault."):
    """What a plan has answered."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__()
        self.status, self.code = status, code or "InternalError"  # type: ignore[misc]  # of this one error


class PlannedFaults(FaultPoints):
    """The plans of a server. Each request asks each plan once, when it may be done and nothing of it is.

    Args:
        recorder: what keeps the requests that have ended.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.plans: list[Planned] = []
        self._due: dict[str, FaultPlan] = {}

    def add(self, plan: FaultPlan) -> None:
        """Add a plan. Raises ValueError if there are too many."""
        if len(self.plans) >= MOST_PLANS:
            raise ValueError(f"there are {MOST_PLANS} plans already")
        self.plans.append(Planned(plan))

    def clear(self) -> None:
        """Forget all plans."""
        self.plans.clear()
        self._due.clear()

    async def before(self, request: RequestRecord) -> None:
        """See ``FaultPoints.before``."""
        plan = self._met(request)
        if plan is None:
            return
        if plan.delay_seconds:
            await asyncio.sleep(plan.delay_seconds)
        if plan.status is not None:
            raise PlannedError(plan.status, plan.code)
        if plan.drop or plan.cut_after_bytes is not None:
            self._due[request.request_id] = plan

    def _met(self, request: RequestRecord) -> FaultPlan | None:
        """Count a request in all plans; return the first whose fault it meets."""
        found: FaultPlan | None = None
        for planned in self.plans:
            if not planned.plan.matches(request):
                continue
            planned.matched += 1
            if found is None and planned.matched >= planned.plan.nth and planned.met < planned.plan.count:
                planned.met += 1
                found = planned.plan
        return found

    async def after(self, request: RequestRecord, written: Written) -> Written:
        """See ``FaultPoints.after``."""
        plan = self._due.get(request.request_id)
        if plan is not None and plan.drop:
            raise Disconnected
        return written

    def sending(self, request: RequestRecord, send: Any) -> Any:
        """See ``FaultPoints.sending``."""
        plan = self._due.get(request.request_id)
        if plan is None or plan.cut_after_bytes is None:
            return send
        left = plan.cut_after_bytes

        async def cut(message: Any) -> None:
            nonlocal left
            if message["type"] != "http.response.body":
                await send(message)
                return
            body = message.get("body", b"")
            if len(body) <= left:
                left -= len(body)
                await send(message)
                return
            await send({"type": "http.response.body", "body": body[:left], "more_body": True})
            raise ConnectionResetError("cut by a plan")

        return cut

    def ended(self, line: RequestLine, headers: Mapping[str, str]) -> None:  # noqa: ARG002
        """See ``FaultPoints.ended``."""
        self._due.pop(line.request_id, None)
        self._recorder.add(line)
