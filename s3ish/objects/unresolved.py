"""What this process has sealed or amended without knowing whether it was committed, and could not undo.

The index failed in the middle of the commit, the request was cancelled there, or a drive refused to remove what a
refused request had sealed. A rebuild of the index would take it for committed. The job of the same name deals with it.
"""

from collections.abc import Iterator

from s3ish.model import BlobRef

CAPACITY = 10_000


class UnresolvedWrites:
    """Blobs whose fate is open, and amendments whose sidecars may be behind, each once.

    ``complete`` is False if there were too many to remember. ``intents`` are the keys of the amendments' rows: these
    are found again in the index, so that none is lost with the process.
    """

    def __init__(self) -> None:
        self._refs: dict[str, BlobRef] = {}
        self.intents: set[bytes] = set()
        self.complete = True

    def __bool__(self) -> bool:
        return bool(self._refs or self.intents) or not self.complete

    def __iter__(self) -> Iterator[BlobRef]:
        return iter(list(self._refs.values()))

    def add(self, *refs: BlobRef) -> None:
        """Remember blobs."""
        for ref in refs:
            if len(self._refs) < CAPACITY:
                self._refs[ref.id] = ref
            else:
                self.complete = False

    def add_intent(self, key: bytes) -> None:
        """Remember an amendment."""
        if len(self.intents) < CAPACITY:
            self.intents.add(key)
        else:
            self.complete = False

    def settled(self, ref: BlobRef) -> None:
        """Forget a blob: it is named by a row, as garbage if need be."""
        self._refs.pop(ref.id, None)
