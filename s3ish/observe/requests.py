"""What is counted of requests beside their number and duration, and which of them were slow."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import structlog

from s3ish.observe.families import Sample
from s3ish.observe.lines import RequestLine
from s3ish.observe.tally import BYTES, Tally

log = structlog.get_logger()

AUTH_STAGES = {
    "AuthorizationHeaderMalformed": "form",
    "AuthorizationQueryParametersError": "form",
    "CredentialsNotSupported": "form",
    "MissingSecurityHeader": "form",
    "InvalidAccessKeyId": "key",
    "InvalidToken": "key",
    "NotSignedUp": "key",
    "ExpiredToken": "time",
    "RequestTimeTooSkewed": "time",
    "SignatureDoesNotMatch": "signature",
    "BadDigest": "body",
    "InvalidDigest": "body",
    "XAmzContentSHA256Mismatch": "body",
    "AccessDenied": "rights",
}
"""The stage of the check of a signature, or of what follows it, that an error comes from."""

Stages = Mapping[str, float]
"""The stages of a request in their order, and when each ended, in seconds of the monotonic clock."""
NO_STAGES: Stages = {}


class RequestTallies:
    """The tallies of the requests of one process.

    Args:
        slow_seconds: a request that takes longer is logged with its stages; 0 for none.
    """

    def __init__(self, slow_seconds: float = 0.0) -> None:
        self.in_flight = 0
        self._ended: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._seconds: defaultdict[str, Tally] = defaultdict(Tally)
        self._torn: Counter[str] = Counter()
        self._slow_seconds = slow_seconds
        self._errors: Counter[str] = Counter()
        self._malformed: Counter[str] = Counter()
        self._slow: Counter[str] = Counter()
        self._auth: Counter[str] = Counter()
        self._limited: Counter[str] = Counter()
        self._stages: defaultdict[str, float] = defaultdict(float)
        self._first_byte: defaultdict[str, Tally] = defaultdict(Tally)
        self._received, self._sent = Tally(BYTES), Tally(BYTES)

    @property
    def begun(self) -> int:
        """How many requests there were, with those that are being answered."""
        return sum(self._ended.values()) + self.in_flight

    def add(self, line: RequestLine, stages: Stages, started: float) -> None:
        """Count a request that has ended; its stage "handle" ended with the head of the answer."""
        self._ended[line.operation, line.status] += 1
        self._seconds[line.operation].add(line.seconds)
        if line.error:
            self._errors[line.error] += 1
            if stage := AUTH_STAGES.get(line.error):
                self._auth[stage] += 1
        if line.received:
            self._received.add(line.received)
        if line.sent:
            self._sent.add(line.sent)
        if line.torn:
            self._torn[line.torn] += 1
        before, seconds = started, self._stages
        for name, at in stages.items():
            seconds[name] += at - before
            before = at
        if "handle" in stages:
            self._first_byte[line.operation].add(stages["handle"] - started)
        if self._slow_seconds and line.seconds >= self._slow_seconds:
            self._slow[line.operation] += 1
            _log_slow(line, stages, started)

    def malformed(self, code: str) -> None:
        """Count what was refused before it was a request."""
        self._malformed[code] += 1

    def limited(self, limit: str) -> None:
        """Count a request that was refused because of a limit."""
        self._limited[limit] += 1

    def samples(self) -> Iterator[Sample]:
        """See ``Source``."""
        yield "requests_in_flight", (), self.in_flight
        yield from (("requests", (each, str(status)), count) for (each, status), count in self._ended.items())
        yield from (("request_duration_seconds", (each,), tally) for each, tally in self._seconds.items())
        yield "received_bytes", (), self._received.total
        yield "sent_bytes", (), self._sent.total
        for name, counts in (
            ("torn_answers", self._torn),
            ("request_errors", self._errors),
            ("malformed_requests", self._malformed),
            ("slow_requests", self._slow),
            ("auth_failures", self._auth),
            ("limited_requests", self._limited),
        ):
            yield from ((name, (label,), count) for label, count in counts.items())
        yield from (("request_stage_seconds", (stage,), seconds) for stage, seconds in self._stages.items())
        yield from (("request_first_byte_seconds", (each,), tally) for each, tally in self._first_byte.items())
        yield "request_body_bytes", (), self._received
        yield "answer_body_bytes", (), self._sent


def _log_slow(line: RequestLine, stages: Stages, started: float) -> None:
    spent, before = {}, started
    for name, at in stages.items():
        spent[f"{name}_ms"] = round((at - before) * 1000, 3)
        before = at
    trace = {"trace_id": line.trace_id} if line.trace_id else {}
    log.warning(
        "slow request",
        request_id=line.request_id,
        operation=line.operation,
        bucket=line.bucket,
        key=line.key,
        status=line.status,
        received=line.received,
        sent=line.sent,
        ms=round(line.seconds * 1000, 3),
        **spent,
        **trace,
    )
