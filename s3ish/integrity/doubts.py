"""Sidecars that differ from their rows while requests are served.

A writer changes the sidecar first and the row a moment later. So a difference is looked at again when no write can take
as long any more: then it is one that was cut off, and the row, by which every answer went, holds.
"""

from s3ish.integrity.inspect import DIFFERS, Finding, Inspector
from s3ish.objects.store import Store
from s3ish.tables.table import Named

SETTLE_SECONDS = 60.0
"""How long a sidecar must differ from its unchanged row before it is written anew: no write takes as long."""

_MAX_DOUBTS = 1000


class Doubts:
    """The sidecars that are to be looked at again."""

    def __init__(self, store: Store) -> None:
        self._clock = store.clock
        self._inspector = Inspector(store, repair=True)
        self._waiting: dict[str, tuple[float, Named]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, item: Named, finding: Finding | None) -> bool:
        """Take a finding for later, if it is a difference; tell whether it was taken."""
        if finding is None or DIFFERS not in finding.problems or len(self._waiting) >= _MAX_DOUBTS:
            return False
        self._waiting[item.ref.id] = self._clock.monotonic() + SETTLE_SECONDS, item
        return True

    async def settle(self) -> list[Finding]:
        """Write anew what is due and still differs. Returns what was found. Raises BlobError."""
        findings = []
        now = self._clock.monotonic()
        for blob, (due, item) in list(self._waiting.items()):
            if due <= now:
                del self._waiting[blob]
                if finding := await self._inspector.look(item):
                    findings.append(finding)
        return findings
