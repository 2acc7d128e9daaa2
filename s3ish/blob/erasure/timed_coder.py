"""How long coding takes, and how much is coded."""

from collections.abc import Iterator, Mapping, Sequence

from s3ish.blob.erasure.coder import Coder
from s3ish.blob.protocol import Buffer
from s3ish.clock import Clock
from s3ish.observe.families import Sample


class CoderWork:
    """What the coders of a process have done.

    Args:
        clock: tells how long it took.
    """

    def __init__(self, clock: Clock) -> None:
        self.now = clock.monotonic
        self.encoded_bytes = self.rebuilt_blocks = 0
        self.encode_seconds = self.rebuild_seconds = 0.0

    def samples(self) -> Iterator[Sample]:
        """See ``Source``."""
        yield "erasure_encoded_bytes", (), self.encoded_bytes
        yield "erasure_encode_seconds", (), self.encode_seconds
        yield "erasure_rebuilt_blocks", (), self.rebuilt_blocks
        yield "erasure_rebuild_seconds", (), self.rebuild_seconds


class TimedCoder:
    """A coder whose work is counted.

    Args:
        coder: the one that does it.
        work: where it is counted.
    """

    def __init__(self, coder: Coder, work: CoderWork) -> None:
        self.k, self.m, self.name = coder.k, coder.m, coder.name
        self._coder, self._work = coder, work

    def encode(self, stripe: Buffer) -> list[Buffer]:
        """See ``Coder``."""
        begun = self._work.now()
        blocks = self._coder.encode(stripe)
        self._work.encode_seconds += self._work.now() - begun
        self._work.encoded_bytes += len(stripe)
        return blocks

    def decode(self, shards: Mapping[int, Buffer], size: int) -> Buffer:
        """See ``Coder``."""
        return self._coder.decode(shards, size)

    def rebuild(self, shards: Mapping[int, Buffer], wanted: Sequence[int]) -> dict[int, Buffer]:
        """See ``Coder``."""
        begun = self._work.now()
        rebuilt = self._coder.rebuild(shards, wanted)
        self._work.rebuild_seconds += self._work.now() - begun
        self._work.rebuilt_blocks += len(rebuilt)
        return rebuilt
