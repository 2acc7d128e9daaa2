"""What requests a server has answered, for tests that assert what a client did."""

from collections import Counter, deque
from typing import Any

from s3ish.observe.lines import RequestLine

MOST_KEPT = 1000
"""So many requests are kept, the newest; all are counted."""
_KEPT = ("method", "operation", "bucket", "key", "status", "error", "received", "sent", "seconds", "user", "request_id")


class Recorder:
    """The newest requests, and how many there were of each operation."""

    def __init__(self) -> None:
        self._kept: deque[dict[str, Any]] = deque(maxlen=MOST_KEPT)
        self.counts: Counter[str] = Counter()

    def add(self, line: RequestLine) -> None:
        """Keep a request that has ended, as it is before the log escapes it."""
        self._kept.append({name: getattr(line, name) for name in _KEPT})
        self.counts[line.operation] += 1

    def clear(self) -> None:
        """Forget all requests."""
        self._kept.clear()
        self.counts.clear()

    def found(self, operation: str = "", bucket: str = "") -> list[dict[str, Any]]:
        """Return the requests that are kept, the oldest first; of an operation, of a bucket where they are named."""
        return [it for it in self._kept if operation in ("", it["operation"]) and bucket in ("", it["bucket"])]
