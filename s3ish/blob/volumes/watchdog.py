"""Watching over the calls to volumes: one that does not answer is left alone, so that the others go on without it.

Whatever waits for it then fails at once, as on a volume that is out of reach: reads use parity, writes go on by their
quorum, and what it lacks is repaired when it is back. It is back when all calls that hung have returned (until then an
old one could still change something), it has had a rest, and a small file could be written. No more volumes are left
alone than parity makes good: beyond that there is nothing to go on with.

https://www.kernel.org/doc/html/latest/scsi/scsi_eh.html tells what the kernel does meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial

from s3ish.blob.volumes.calls import Call
from s3ish.blob.volumes.volume import Volume
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.threads import OwnThread, ThreadPool

_LOOKS = 15
"""In how many looks a call is seen, one after the other, before it counts as one that hangs.

They are counted, not the seconds: where the whole process stood still, nothing has hung.
"""

_REST = 4 * _LOOKS
"""For how many looks a volume is left alone."""


class Watchdog:
    """The watch over the volumes of a process. It sleeps while no call is under way and all of them answer.

    Args:
        on_state: called with the position and state of a volume that has begun or ceased to answer, or takes no more
            writes.
        now: returns the time in nanoseconds.
    """

    def __init__(
        self, volumes: Volumes, offload: ThreadPool, on_state: Callable[[int, str], None], now: Callable[[], int]
    ) -> None:
        self._volumes, self._offload, self._on_state, self._now = volumes, offload, on_state, now
        self._seen: Counter[tuple[Call, int]] = Counter()
        self._rest: Counter[Volume] = Counter()
        self._trying: dict[Volume, OwnThread] = {}
        self._states = volumes.states
        self._timer: asyncio.TimerHandle | None = None
        self.jobs = 0  # under way, or waiting for a thread: their calls may begin after a look

    def soon(self) -> None:
        """Look at the calls in a moment: one is about to begin."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._volumes.patience_seconds / _LOOKS, self._look)

    def close(self) -> None:
        """Look no more."""
        if self._timer:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        seen, self._seen = self._seen, Counter()
        for volume in self._volumes.present:
            if volume.calls.hung:
                self._try(volume, volume.try_again)
            elif volume.missed:
                self._try(volume, volume.end_missing)
            steps = [(call, call.steps) for call in list(volume.calls.under_way.values()) if not call.slow]
            self._seen.update({step: seen[step] + 1 for step in steps})
            if any(self._seen[step] > _LOOKS for step in steps):
                self._give_up(volume)
            if volume.state != self._states[volume.position]:
                self._states[volume.position] = volume.state
                self._on_state(volume.position, volume.state)
        if self.jobs or self._seen or any(volume.calls.hung or volume.missed for volume in self._volumes.present):
            self.soon()

    def _give_up(self, volume: Volume) -> None:
        """Leave a volume alone, and give up the jobs that hang on it."""
        if not volume.calls.hung and self._volumes.missed >= self._volumes.tolerated:
            return
        self._rest[volume] = _REST
        for thread in volume.calls.leave_alone():
            self._offload.give_up(thread)

    def _try(self, volume: Volume, action: Callable[[Callable[[], int]], None]) -> None:
        """Try whether a volume answers, or takes writes, on a thread that may hang as long as it likes."""
        self._rest[volume] -= 1
        if self._rest[volume] > 0 or volume.calls.stuck:
            return
        if volume not in self._trying or self._trying[volume].ended:
            self._rest[volume] = _REST
            self._trying[volume] = OwnThread(f"try-volume-{volume.position}", partial(action, self._now))
