"""Delivering events: the rows of the outbox that wait for one target, sent in order and removed when they were taken.

A row goes after the target has taken its message, so that each event is delivered at least once: after a kill in
between it is sent again. Events of one key arrive in their order: if one of them is not taken, those behind it
wait. Others do not, unless the target takes nothing at all; then it is left alone for a while, twice as long each time.

Writes to a bucket are never refused because a target is down. What waits is bounded: of more events than that the
oldest are dropped, which the log and a metric say.
"""

import asyncio
from collections.abc import Sequence

import structlog

from s3ish.index.protocol import Damaged
from s3ish.jobs.rest import Rest
from s3ish.jobs.runner import Step
from s3ish.objects.outbox import is_bus
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer
from s3ish.tables import keys
from s3ish.tables.catalogue import OUTBOX
from s3ish.targets.message import message_of
from s3ish.targets.protocol import Message, Target, Undelivered

log = structlog.get_logger()

_ROWS_A_STEP = 256
_SECONDS_A_STEP = 5.0
"""For so long a step begins to send; what is under way then comes to its end within the target's limit."""
_LOOK_SECONDS = 0.1
"""How often the outbox is looked at while it is empty."""
_MOST_HELD = 10_000
"""How many keys may wait because an event of theirs was not taken, before the oldest are tried again."""
_COUNT_SECONDS = 10.0
"""How often the events are counted that wait for a target that does not keep up."""


class DeliveryJob:
    """Delivers the events that wait for one target.

    Args:
        store: the engines.
        arn: of the target.
        target: what takes them.
        observer: counts them.
        most: how many may wait.
    """

    def __init__(self, store: Store, arn: str, target: Target, observer: Observer, most: int) -> None:
        self.name = f"deliver {arn}"
        self._store, self._arn, self._target, self._observer, self._most = store, arn, target, observer, most
        self._start, self._stop = keys.outbox_range(arn)
        self._on_bus = is_bus(arn)
        self._cursor = self._start
        self._held: set[str] = set()
        self._rest = Rest(store.clock)
        self._counted_at = float("-inf")
        self._dropping = False

    async def step(self) -> Step:
        """Send the next events, or say when to try again."""
        if rest := self._rest.seconds:
            self._show(await OUTBOX.rows(self._store.index, self._start, self._stop, 1), full=True)
            await self._bound()
            return Step(more=False, pause_seconds=min(rest, _COUNT_SECONDS))
        rows = await OUTBOX.rows(self._store.index, self._cursor, self._stop, _ROWS_A_STEP)
        full = len(rows) == _ROWS_A_STEP
        if self._cursor == self._start:
            self._show(rows, full=full)
        if full or self._rest.failures:
            await self._bound()
        if not rows:
            return self._end_pass()
        messages = await self._messages(rows)
        sent, failed = await self._send(messages)
        await self._remove(sent)
        if sent:
            self._rest.end()
        taken = set(sent)
        left = [key for key, message in messages if key not in taken and message.order not in self._held]
        self._cursor = left[0] if left else keys.after(rows[-1][0]) if self._held else self._start
        if failed and self._target.in_flight == 1:  # it may be any message of those that were sent together
            return self._end_pass()
        return self._leave_alone() if failed and not sent else Step(more=True)

    # --- passes: from the oldest event to the newest, past those of keys of which one was not taken

    def _end_pass(self) -> Step:
        self._cursor = self._start
        if not self._held:
            return Step(more=False, pause_seconds=_LOOK_SECONDS)
        self._held.clear()
        return self._leave_alone()

    def _leave_alone(self) -> Step:
        """Leave the target alone for a while; then the pass goes on, so that a few events hold up no other."""
        if len(self._held) >= _MOST_HELD:
            self._held.clear()
            self._cursor = self._start
        return Step(more=False, pause_seconds=min(self._rest.begin(), _COUNT_SECONDS))

    # --- sending

    async def _messages(self, rows: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, Message]]:
        """Return the messages of rows, but for those of keys that wait. What cannot be read is lost, and removed."""
        found, lost = [], []
        for key, value in rows:
            try:
                event = OUTBOX.decode(key, value)
            except Damaged as error:
                log.error("an event is lost: its row is damaged", target=self._arn, error=str(error))
                lost.append(key)
                continue
            message = message_of(event, key[len(self._start) :].hex(), on_bus=self._on_bus)
            if message.order not in self._held:
                found.append((key, message))
        if lost:
            self._observer.events_dropped(self._arn, len(lost))
            await self._remove(lost)
        return found

    async def _send(self, messages: list[tuple[bytes, Message]]) -> tuple[list[bytes], bool]:
        """Send messages; return the rows of those that were taken, and whether one was not."""
        until = self._store.clock.monotonic() + _SECONDS_A_STEP
        gate, sent, reasons = asyncio.Semaphore(self._target.in_flight), list[bytes](), list[str]()

        async def follow(chain: Sequence[tuple[bytes, Message]]) -> None:
            for place in range(0, len(chain), self._target.batch):
                batch = chain[place : place + self._target.batch]
                async with gate:
                    if self._store.clock.monotonic() >= until or (reasons and not sent):
                        return
                    try:
                        await self._target.send([message for _, message in batch])
                    except Exception as error:
                        reasons.append(str(error) or type(error).__name__)
                        self._held.add(batch[0][1].order)
                        if not isinstance(error, Undelivered):  # its connection may be of no use any more
                            log.exception("a target failed in an unknown way", target=self._arn)
                            await self._close()
                        return
                sent.extend(key for key, _ in batch)

        async with asyncio.TaskGroup() as group:
            for chain in self._chains(messages):
                group.create_task(follow(chain))
        self._observer.events_delivered(self._arn, len(sent))
        if reasons:
            self._observer.events_failed(self._arn, len(reasons))
            if not self._rest.failures:
                log.warning("events are not delivered", target=self._arn, error=reasons[0])
        return sent, bool(reasons)

    async def _close(self) -> None:
        """End what is open to the target, as far as it can be done: what was taken meanwhile counts all the same."""
        try:
            await self._target.close()
        except Exception:
            log.exception("a target cannot be closed", target=self._arn)

    def _chains(self, messages: list[tuple[bytes, Message]]) -> list[list[tuple[bytes, Message]]]:
        """Return messages by what must arrive in order: all of them where a target takes one call at a time."""
        if self._target.in_flight == 1:
            return [messages]
        chains: dict[str, list[tuple[bytes, Message]]] = {}
        for key, message in messages:
            chains.setdefault(message.order, []).append((key, message))
        return list(chains.values())

    async def _remove(self, rows: Sequence[bytes]) -> None:
        if rows:
            await self._store.index.commit([OUTBOX.drop(row) for row in rows])

    # --- what waits

    def _show(self, rows: Sequence[tuple[bytes, bytes]], *, full: bool) -> None:
        """Show since when the first event waits, and how many do, unless there may be more than these rows."""
        self._observer.oldest_event(self._arn, self._age(rows))
        if not full:
            self._observer.events_waiting(self._arn, len(rows))
            self._dropping = False

    def _age(self, rows: Sequence[tuple[bytes, bytes]]) -> float:
        if not rows:
            return 0.0
        _, sequence, _ = keys.split_outbox_key(rows[0][0])
        return max(0.0, (self._store.clock.now_ns() - sequence) / 1e9)

    async def _bound(self) -> None:
        """Count what waits, now and then, and drop the oldest events beyond the limit."""
        now = self._store.clock.monotonic()
        if now - self._counted_at < _COUNT_SECONDS:
            return
        self._counted_at = now
        count = await OUTBOX.count(self._store.index, self._start, self._stop)
        await self._drop(count - self._most)
        self._observer.events_waiting(self._arn, min(count, self._most))

    async def _drop(self, surplus: int) -> None:
        if surplus <= 0:
            return
        if not self._dropping:
            log.error("too many events wait for a target; the oldest are dropped", target=self._arn, most=self._most)
            self._dropping = True
        while surplus > 0:
            rows = await OUTBOX.rows(self._store.index, self._start, self._stop, min(surplus, _ROWS_A_STEP))
            if not rows:
                return
            await self._remove([key for key, _ in rows])
            self._observer.events_dropped(self._arn, len(rows))
            surplus -= len(rows)
