"""What requests a server has answered, for tests that assert what a client did."""

import re
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from s3ish.observe.lines import RequestLine

MOST_KEPT = 1000
"""So many requests are kept, the newest; all are counted."""
_KEPT = ("method", "operation", "bucket", "key", "status", "error", "received", "sent", "seconds", "user", "request_id")
_STATUS = re.compile("[1-5][0-9]{2}")
_EXACT = ("operation", "bucket", "key", "user", "method", "error")
_MOST_HEADERS, _MOST_CHARACTERS = 64, 256
_SECRET = ("authorization", "x-amz-security-token", "cookie")
_SECRET_END = ("-customer-key",)
"""Headers of which only that they were there is kept."""


class Recorder:
    """The newest requests, and how many there were of each operation."""

    def __init__(self) -> None:
        self._kept: deque[dict[str, Any]] = deque(maxlen=MOST_KEPT)
        self.counts: Counter[str] = Counter()
        self.charged: Counter[tuple[str, str]] = Counter()
        self.sent_bytes = 0

    def add(self, line: RequestLine, headers: Mapping[str, str]) -> None:
        """Keep a request that has ended, as it is before the log escapes it."""
        kept = {name: getattr(line, name) for name in _KEPT}
        kept["headers"] = _shown(headers)
        self._kept.append(kept)
        self.counts[line.operation] += 1
        if line.status < 500:  # what the server is to blame for costs nothing
            self.charged[line.operation, headers.get("x-amz-storage-class", "")] += 1
            self.sent_bytes += line.sent

    def clear(self) -> None:
        """Forget all requests."""
        self._kept.clear()
        self.counts.clear()
        self.charged.clear()
        self.sent_bytes = 0

    @property
    def is_whole(self) -> bool:
        """Whether all requests that were counted are kept."""
        return self.counts.total() == len(self._kept)

    def found(self, wanted: Mapping[str, str] = {}) -> list[dict[str, Any]]:
        """Return the requests that are kept, the oldest first.

        Args:
            wanted: what they must be, by name: ``operation``, ``bucket``, ``key``, ``user``, ``method``, ``error`` or
                ``status`` as it is, ``user_agent`` with a part of it; what is empty is not looked at.

        Raises:
            ValueError: it has another name, or the status is none.
        """
        known = {*_EXACT, "status", "user_agent"}
        if unknown := wanted.keys() - known:
            raise ValueError(f"requests are not found by {min(unknown)}, but by: {', '.join(sorted(known))}")
        if (status := wanted.get("status")) and not _STATUS.fullmatch(status):
            raise ValueError(f"{status[:64]!r} is no status: it has three digits")
        return [it for it in self._kept if all(_is(it, name, text) for name, text in wanted.items() if text)]


def _is(request: Mapping[str, Any], name: str, text: str) -> bool:
    if name == "user_agent":
        return text in request["headers"].get("user-agent", "")
    return str(request[name]) == text


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    shown: dict[str, str] = {}
    for name, value in list(headers.items())[:_MOST_HEADERS]:
        is_secret = name in _SECRET or name.endswith(_SECRET_END)
        shown[name] = "…" if is_secret else value[:_MOST_CHARACTERS]
    return shown
