"""A planned fault: which requests meet it, and what it is."""

from functools import cached_property
from typing import Annotated

import xxhash
from msgspec import Meta, Struct

from s3ish.api.catalogue import catalogue
from s3ish.auth.patterns import Pattern
from s3ish.server.request_record import RequestRecord

ANSWER_LATE = frozenset(("CompleteMultipartUpload", "CopyObject", "UploadPartCopy"))
"""Operations that may fail after their status 200 was sent: the error is in the body then.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
"""
_MOST = 1_000_000_000
_Pattern = Annotated[str, Meta(max_length=1024)]
_Count = Annotated[int, Meta(ge=1, le=_MOST)]
_Seconds = Annotated[float, Meta(ge=0, le=600)]
_MOST_BYTES = 1 << 50
_Bytes = Annotated[int, Meta(ge=0, le=_MOST_BYTES)]


class FaultPlan(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, dict=True):
    """Which requests meet a fault, and which.

    A request matches by ``operation``, ``bucket``, ``key``, ``user_agent`` and ``access_key``, in which ``*`` and ``?``
    are wildcards; what is empty matches all. Of those that match, the fault is met from the ``nth`` on: by each that
    ``pattern`` has an ``x`` for, over and over, and with a ``probability``, which ``seed`` decides; until ``count``
    have met it, or ``seconds`` have gone since the plan was made. Without any of these one meets it.

    The fault, of which a plan has one: ``status`` with ``code`` is answered in place of doing it, 200 with the error in
    the body; ``drop`` does it, and ends the connection without an answer; ``cut_after_bytes`` sends so much of the body
    and ends the connection, ``reset_after_bytes`` resets it; ``flip_at_byte`` changes a bit of the body;
    ``wrong_checksum`` changes the checksums in the headers. With it, or alone: ``delay_seconds`` before it is done,
    ``first_byte_seconds`` after that, and a body of ``bytes_per_second``.
    """

    operation: _Pattern = ""
    bucket: _Pattern = ""
    key: _Pattern = ""
    user_agent: _Pattern = ""
    access_key: _Pattern = ""
    nth: _Count = 1
    count: _Count | None = None
    seconds: Annotated[float, Meta(gt=0, le=1e7)] | None = None
    pattern: Annotated[str, Meta(pattern=r"^[x.]{0,1000}$")] = ""
    probability: Annotated[float, Meta(gt=0, le=1)] | None = None
    seed: Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)] = 0
    delay_seconds: _Seconds = 0
    first_byte_seconds: _Seconds = 0
    bytes_per_second: Annotated[int, Meta(ge=1, le=_MOST_BYTES)] | None = None
    status: Annotated[int, Meta(ge=200, le=599)] | None = None
    code: Annotated[str, Meta(pattern="^[A-Za-z]{0,64}$")] = ""
    drop: bool = False
    cut_after_bytes: _Bytes | None = None
    reset_after_bytes: _Bytes | None = None
    flip_at_byte: _Bytes | None = None
    wrong_checksum: bool = False

    def __post_init__(self) -> None:
        kinds = {
            "status": self.status is not None,
            "drop": self.drop,
            "cut_after_bytes": self.cut_after_bytes is not None,
            "reset_after_bytes": self.reset_after_bytes is not None,
            "flip_at_byte": self.flip_at_byte is not None,
            "wrong_checksum": self.wrong_checksum,
        }
        slow = self.delay_seconds or self.first_byte_seconds or self.bytes_per_second
        if sum(kinds.values()) > 1:
            raise ValueError(f"a plan has one of {', '.join(kinds)}")
        if not any(kinds.values()) and not slow:
            raise ValueError(
                f"a plan needs a fault: {', '.join(kinds)}, delay_seconds, first_byte_seconds or bytes_per_second"
            )
        if self.code and self.status is None:
            raise ValueError("a code needs a status")
        if self.operation and not any(_fits(self._operation, operation.name) for operation in catalogue()):
            raise ValueError(f"no operation is called {self.operation[:64]}: write it as in docs/operations.md")
        if self.pattern and "x" not in self.pattern:
            raise ValueError("a pattern needs an x, where the fault is met")
        if self.status is not None and self.status < 400 and not (self.status == 200 and self.operation in ANSWER_LATE):
            names = ", ".join(sorted(ANSWER_LATE))
            raise ValueError(f"status is >= 400, or 200 with an operation that answers errors so: {names}")

    @property
    def most(self) -> int:
        """How many requests meet the fault, at the most."""
        if self.count is not None:
            return self.count
        return _MOST if self.seconds or self.pattern or self.probability else 1

    def matches(self, request: RequestRecord) -> bool:
        """Whether a request is one of those that count."""
        target = request.target
        return (
            _fits(self._operation, request.operation_name)
            and _fits(self._bucket, target.bucket if target else "")
            and _fits(self._key, target.key if target else "")
            and _fits(self._user_agent, request.headers.get("user-agent", ""))
            and _fits(self._access_key, request.principal.access_key)
        )

    def falls_on(self, number: int) -> bool:
        """Whether the fault is due for one of those that match.

        Args:
            number: which of them it is, from 1.
        """
        place = number - self.nth
        if place < 0 or (self.pattern and self.pattern[place % len(self.pattern)] == "."):
            return False
        if self.probability is None:
            return True
        return xxhash.xxh64_intdigest(f"{self.seed}/{number}".encode()) < self.probability * 2**64

    @cached_property
    def _operation(self) -> Pattern | None:
        return _pattern(self.operation)

    @cached_property
    def _bucket(self) -> Pattern | None:
        return _pattern(self.bucket)

    @cached_property
    def _key(self) -> Pattern | None:
        return _pattern(self.key)

    @cached_property
    def _user_agent(self) -> Pattern | None:
        return _pattern(self.user_agent)

    @cached_property
    def _access_key(self) -> Pattern | None:
        return _pattern(self.access_key)


def _pattern(text: str) -> Pattern | None:
    return Pattern(text, variables=False) if text else None


def _fits(pattern: Pattern | None, value: str) -> bool:
    return pattern is None or pattern.matches(value, lambda _: ())


class Planned(Struct):
    """A plan, how many requests have matched, and how many of them have met the fault; ``ends`` is when it does."""

    plan: FaultPlan
    ends: float
    matched: int = 0
    met: int = 0

    def meets(self, request: RequestRecord, now: float) -> bool:
        """Count a request; tell whether it meets the fault, which the caller then counts as met."""
        if not self.plan.matches(request):
            return False
        self.matched += 1
        return self.met < self.plan.most and now < self.ends and self.plan.falls_on(self.matched)
