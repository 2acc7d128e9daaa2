"""What the server saw: requests by operation and status since a moment, read from its metrics.

This tells whether a client really uploaded in parts or copied within the server, and uncovers errors that a client
hides by trying again. Another server than s3ish has no such metrics; then nothing is known. Of several workers one
does not know the last second of the others, so that the server is to have one.
"""

import re
import urllib.error
import urllib.request
from collections import Counter

_LINE = re.compile(r'^s3ish_requests_total\{operation="([^"]*)",status="(\d+)"\} ([0-9.e+]+)$', re.MULTILINE)
_SECONDS = 10


class Traffic:
    """Counts requests at an endpoint."""

    def __init__(self, endpoint: str) -> None:
        self._url = f"{endpoint.rstrip('/')}/-/metrics"
        self._start = self._read()

    def restart(self) -> None:
        """Count from now on."""
        self._start = self._read()

    def seen(self) -> Counter[str] | None:
        """Return the successful requests by operation, or None where the server does not tell."""
        counts = self._since()
        if counts is None:
            return None
        found: Counter[str] = Counter()
        for (operation, status), count in counts.items():
            if status < 400:
                found[operation] += count
        return found

    def refused(self) -> dict[str, int]:
        """Return the requests that were answered with an error, by operation and status."""
        return {f"{name} {status}": count for (name, status), count in (self._since() or {}).items() if status >= 400}

    def broken(self) -> bool:
        """Return whether the server failed by its own fault."""
        return any(status >= 500 and status != 501 for _, status in self._since() or ())

    def _since(self) -> Counter[tuple[str, int]] | None:
        now = self._read()
        return None if now is None or self._start is None else now - self._start

    def _read(self) -> Counter[tuple[str, int]] | None:
        try:
            with urllib.request.urlopen(self._url, timeout=_SECONDS) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError:
            return None
        return Counter(
            {(operation, int(status)): int(float(count)) for operation, status, count in _LINE.findall(text)}
        )
