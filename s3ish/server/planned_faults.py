"""Faults by plan: what the n-th request of a kind meets. For tests of clients; a server for data has none.

A plan is deterministic: the same requests in the same order meet the same faults, those of a probability too.
"""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

from s3ish.clock import Clock
from s3ish.errors import S3Error
from s3ish.observe.lines import RequestLine
from s3ish.server.body import Disconnected
from s3ish.server.fault_plan import FaultPlan, Planned
from s3ish.server.faults import FaultPoints
from s3ish.server.faulty_sends import cut, flipped, slowed
from s3ish.server.recorder import Recorder
from s3ish.server.request_record import RequestRecord
from s3ish.wire.shape import Written

MOST_PLANS = 100
_CHECKSUM = "x-amz-checksum-"


class PlannedError(S3Error, status=503, message="A planned fault."):
    """What a plan has answered."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__()
        self.status, self.code = status, code or "InternalError"  # type: ignore[misc]  # of this one error


class PlannedFaults(FaultPoints):
    """The plans of a server. Each request asks each plan once, when it may be done and nothing of it is.

    Args:
        recorder: what keeps the requests that have ended.
        clock: how long a plan lasts is of machine time.
    """

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._recorder, self._clock = recorder, clock
        self.plans: list[Planned] = []
        self._due: dict[str, FaultPlan] = {}

    def add(self, plan: FaultPlan) -> None:
        """Add a plan. Raises ValueError if there are too many."""
        if len(self.plans) >= MOST_PLANS:
            raise ValueError(f"there are {MOST_PLANS} plans already")
        ends = self._clock.monotonic() + plan.seconds if plan.seconds else float("inf")
        self.plans.append(Planned(plan, ends))

    def clear(self) -> None:
        """Forget all plans."""
        self.plans.clear()
        self._due.clear()

    async def before(self, request: RequestRecord) -> None:
        """See ``FaultPoints.before``."""
        plan = self._met(request)
        if plan is None:
            return
        self._due[request.request_id] = plan
        if plan.delay_seconds:
            await asyncio.sleep(plan.delay_seconds)
        if plan.status is not None:
            if plan.first_byte_seconds:
                await asyncio.sleep(plan.first_byte_seconds)
            raise PlannedError(plan.status, plan.code)

    def _met(self, request: RequestRecord) -> FaultPlan | None:
        """Count a request in all plans; return the first whose fault it meets."""
        now = self._clock.monotonic()
        due = [planned for planned in self.plans if planned.meets(request, now)]
        if not due:
            return None
        due[0].met += 1
        return due[0].plan

    async def after(self, request: RequestRecord, written: Written) -> Written:
        """See ``FaultPoints.after``."""
        plan = self._due.get(request.request_id)
        if plan is None:
            return written
        if plan.first_byte_seconds:
            await asyncio.sleep(plan.first_byte_seconds)
        if plan.drop:
            raise Disconnected
        if plan.wrong_checksum:
            written.headers = [
                (name, _falsified(value) if name.startswith(_CHECKSUM) and name != f"{_CHECKSUM}type" else value)
                for name, value in written.headers
            ]
        return written

    def sending(self, request: RequestRecord, send: Any) -> Any:
        """See ``FaultPoints.sending``."""
        plan = self._due.get(request.request_id)
        if plan is None:
            return send
        if plan.cut_after_bytes is not None:
            send = cut(send, plan.cut_after_bytes, resets=False)
        if plan.reset_after_bytes is not None:
            send = cut(send, plan.reset_after_bytes, resets=True)
        if plan.flip_at_byte is not None:
            send = flipped(send, plan.flip_at_byte)
        if plan.bytes_per_second is not None:
            send = slowed(send, plan.bytes_per_second)
        return send

    def ended(self, line: RequestLine, headers: Mapping[str, str]) -> None:
        """See ``FaultPoints.ended``."""
        self._due.pop(line.request_id, None)
        self._recorder.add(line, headers)


def _falsified(value: str) -> str:
    """Return another checksum of the same form: base64, with ``-N`` behind it where it is of N parts."""
    text, dash, count = value.partition("-")
    data = bytearray(base64.b64decode(text))
    data[0] ^= 1
    return base64.b64encode(data).decode() + dash + count
