"""Queues of messages, with the semantics of the Simple Queue Service, as far as events need them.

A message is a row. To receive it is to commit that it cannot be received for a while, so that of several consumers, in
any process, one gets it; who does not delete it in time sees it again. Events of buckets come to a queue in the commit
of the change itself. What is in a queue is bounded by age and number: ``tend`` removes the oldest.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from s3ish.index.protocol import Change, Damaged
from s3ish.model import ACCOUNT, QueuedMessage, SystemRecord, dashed
from s3ish.objects import system
from s3ish.objects.store import Store, attempts, translated
from s3ish.tables import keys
from s3ish.tables.catalogue import MESSAGES, SYSTEM
from s3ish.tables.table import Held

MOST_QUEUES = 1000
MOST_IN_FLIGHT = 10_000
"""How many messages of a queue may have been received and not deleted."""
_PREFIX = "queues/"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_FIFO = ".fifo"
_ROWS = 100
_LOOK_SECONDS = 0.2
"""How often who waits for a message looks for one that another process sent, or that can be received again."""
_COUNT_SECONDS = 10.0
"""How old the count may be that says whether a queue is full."""
_SECOND_NS = 1_000_000_000
_TOKEN_BYTES = 5
_HANDLE = re.compile(r"([0-9a-f]{26})-([a-z2-7]{16})")

NUMBERS = {
    "DelaySeconds": (0, 0, 900),
    "MaximumMessageSize": (1_048_576, 1024, 1_048_576),
    "MessageRetentionPeriod": (345_600, 60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 0, 20),
    "VisibilityTimeout": (30, 0, 43_200),
}
"""The attributes of a queue that are numbers: default, least and most."""
TEXTS = ("Policy",)
"""Those that are kept and returned and change nothing."""


class QueueError(Exception):
    """A call cannot be carried out: the name of the error, what the older protocol calls it, a text, and a status."""

    def __init__(self, name: str, message: str, *, older: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.name, self.message, self.older, self.status = name, message, older or name, status


def no_queue() -> QueueError:
    """Return the error where there is no such queue."""
    older = "AWS.SimpleQueueService.NonExistentQueue"
    return QueueError("QueueDoesNotExist", "The specified queue does not exist.", older=older)


def unsupported(message: str) -> QueueError:
    """Return the error for what is not offered."""
    return QueueError("UnsupportedOperation", message, older="AWS.SimpleQueueService.UnsupportedOperation")


def _over_limit(message: str) -> QueueError:
    return QueueError("OverLimit", message, status=403)


class Kept(msgspec.Struct, frozen=True):
    """What the record of a queue says: its attributes that are not the default, and when they changed last."""

    attributes: dict[str, str] = {}
    changed_ns: int = 0


class Queue(NamedTuple):
    """A queue: its name, its record, and what that says."""

    name: str
    held: Held[SystemRecord]
    kept: Kept

    def number(self, attribute: str) -> int:
        """Return an attribute that is a number."""
        return int(self.kept.attributes.get(attribute, NUMBERS[attribute][0]))


class Counts(NamedTuple):
    """How many messages of a queue can be received, have been received, and come later."""

    visible: int
    in_flight: int
    delayed: int


class Received(NamedTuple):
    """A message with the number that tells it from all others, and the handle to delete it with."""

    message: QueuedMessage
    number: str
    handle: str


async def find(store: Store, name: str) -> Queue | None:
    """Return a queue, None if there is none."""
    held = await store.get(SYSTEM, _PREFIX + name)
    return _queue(held) if held else None


def _queue(held: Held[SystemRecord]) -> Queue:
    record = held.record
    return Queue(record.name.removeprefix(_PREFIX), held, msgspec.json.decode(record.document, type=Kept))


class Queues:
    """The queues of a server, as one process sees them.

    Args:
        store: the engines.
        most: how many messages a queue holds.
    """

    def __init__(self, store: Store, most: int) -> None:
        self._store, self._most = store, most
        self._counted: dict[str, tuple[float, int]] = {}  # when messages were counted, and how many there are since

    def arn(self, name: str) -> str:
        """Return the ARN of a queue."""
        return f"arn:aws:sqs:{self._store.region}:{ACCOUNT}:{name}"

    # --- queues ----------------------------------------------------------------------------------------------------

    async def get(self, name: str) -> Queue:
        """Return a queue. Raises QueueError."""
        found = await find(self._store, name)
        if found is None:
            raise no_queue()
        return found

    async def list(self, prefix: str = "") -> Sequence[Queue]:
        """Return the queues whose names begin with a text, by name."""
        held, _ = await system.read_all(self._store, _PREFIX + prefix)
        return [_queue(each) for each in held]

    async def create(self, name: str, attributes: Mapping[str, str]) -> None:
        """Make a queue; one that is there with the same attributes stays. Raises QueueError."""
        if name.endswith(_FIFO) or "FifoQueue" in attributes:
            raise unsupported("FIFO queues are not offered: S3 sends no events to them.")
        if not _NAME.fullmatch(name):
            raise QueueError(
                "InvalidParameterValue",
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
            )
        given = check_attributes(attributes)
        for _ in attempts():
            mark = await system.seen(self._store)
            there = await find(self._store, name)
            if there:
                if any(there.kept.attributes.get(key, _default(key)) != value for key, value in given.items()):
                    raise QueueError(
                        "QueueNameExists",
                        "A queue already exists with the same name and a different value for an attribute",
                        older="QueueAlreadyExists",
                    )
                return
            if len(await self.list()) >= MOST_QUEUES:
                raise _over_limit(f"There can be at most {MOST_QUEUES} queues.")
            if await system.create(self._store, _PREFIX + name, self._document(given), mark):
                return

    async def set_attributes(self, name: str, attributes: Mapping[str, str]) -> None:
        """Change attributes of a queue. Raises QueueError."""
        given = check_attributes(attributes)
        for _ in attempts():
            mark = await system.seen(self._store)
            queue = await self.get(name)
            document = self._document(queue.kept.attributes | given)
            if await system.change(self._store, queue.held, document, mark):
                return

    async def delete(self, name: str) -> None:
        """Remove a queue with all its messages. Raises QueueError."""
        for _ in attempts():
            mark = await system.seen(self._store)
            queue = await self.get(name)
            if await system.remove(self._store, queue.held, mark):
                break
        await self._clear(name)

    def _document(self, attributes: Mapping[str, str]) -> str:
        return msgspec.json.encode(Kept(dict(attributes), self._store.clock.service_ns())).decode()

    # --- messages --------------------------------------------------------------------------------------------------

    async def send(self, queue: Queue, bodies: Sequence[tuple[str, int]], sender: str) -> Sequence[str]:
        """Send messages, given each with the seconds for which it is delayed. Returns their ids. Raises QueueError."""
        await self._check_room(queue.name, len(bodies))
        clock, now = self._store.clock, self._store.clock.service_ns()
        changes: list[Change] = []
        ids = []
        for body, delay in bodies:
            message = QueuedMessage(
                dashed(clock.random_bytes(16).hex()), now, now + delay * _SECOND_NS, body, sender=sender
            )
            changes.append(MESSAGES.put(message, queue.name, clock.sequence(), clock.random_bytes(_TOKEN_BYTES)))
            ids.append(message.id)
        with translated():
            while not await self._store.commit(changes, [queue.held.row]):
                queue = await self.get(queue.name)
        return ids

    async def receive(self, queue: Queue, limit: int, visibility: int, wait: float) -> Sequence[Received]:
        """Receive up to so many messages.

        Args:
            visibility: for how many seconds no other call receives them.
            wait: for how many seconds to wait for the first.

        Raises QueueError: too many have been received and not deleted.
        """
        clock = self._store.clock
        end = clock.monotonic() + wait
        with translated():
            while True:
                taken = await self._take(queue, limit, visibility)
                left = end - clock.monotonic()
                if taken or left <= 0:
                    return taken
                await self._store.committed(MESSAGES, min(left, _LOOK_SECONDS))
                await self.get(queue.name)

    async def _take(self, queue: Queue, limit: int, visibility: int) -> Sequence[Received]:
        """Commit that messages are received; none if there are none."""
        for _ in attempts():
            chosen = await self._visible(queue, limit)
            if not chosen:
                return []
            now, taken, changes = self._store.clock.service_ns(), [], []
            for held in chosen:
                message = replace(
                    held.record,
                    visible_ns=now + visibility * _SECOND_NS,
                    receipt=self._store.clock.token(),
                    count=held.record.count + 1,
                    first_ns=held.record.first_ns or now,
                )
                number = _number(queue.name, held.key)
                taken.append(Received(message, number, f"{number}-{message.receipt}"))
                changes.append(MESSAGES.store(held.key, message))
            if await self._store.commit(changes, [held.row for held in chosen]):
                return taken
        raise AssertionError  # attempts() raises before

    async def _visible(self, queue: Queue, limit: int) -> Sequence[Held[QueuedMessage]]:
        """Return the oldest messages that can be received now."""
        now = self._store.clock.service_ns()
        oldest = now - queue.number("MessageRetentionPeriod") * _SECOND_NS
        start, stop = keys.outbox_range(queue.name)
        chosen: list[Held[QueuedMessage]] = []
        passed = 0
        while rows := await MESSAGES.rows(self._store.index, start, stop, _ROWS):
            for row in rows:
                message = _read(row)
                if message and message.visible_ns > now:
                    passed += 1
                elif message and message.sent_ns > oldest:
                    chosen.append(Held(MESSAGES.name, message, *row))
                    if len(chosen) == limit:
                        return chosen
            if passed >= MOST_IN_FLIGHT and not chosen:
                raise _over_limit(f"More than {MOST_IN_FLIGHT} messages are in flight.")
            start = keys.after(rows[-1][0])
            await asyncio.sleep(0)
        return chosen

    async def remove(self, name: str, handle: str) -> None:
        """Delete a message, if it was not received again since. Raises QueueError: it is no handle."""
        held = await self._received(name, handle)
        if held:
            with translated():
                await self._store.commit([MESSAGES.drop(held.key)], [held.row])

    async def hide(self, name: str, handle: str, seconds: int) -> None:
        """Let a message that was received be received again after so many seconds. Raises QueueError."""
        for _ in attempts():
            held = await self._received(name, handle)
            now = self._store.clock.service_ns()
            if held is None or held.record.visible_ns <= now:
                older = "AWS.SimpleQueueService.MessageNotInflight"
                raise QueueError("MessageNotInflight", "The message is not in flight.", older=older)
            changed = replace(held.record, visible_ns=now + seconds * _SECOND_NS)
            with translated():
                if await self._store.commit([MESSAGES.store(held.key, changed)], [held.row]):
                    return

    async def _received(self, name: str, handle: str) -> Held[QueuedMessage] | None:
        """Return the message of a handle; None if it is gone, or was received again."""
        found = _HANDLE.fullmatch(handle)
        if not found:
            raise QueueError("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
        key = keys.outbox_range(name)[0] + bytes.fromhex(found[1])
        with translated():
            value = await self._store.index.get(MESSAGES.name, key)
            held = MESSAGES.hold(key, value) if value is not None else None
        return held if held and held.record.receipt == found[2] else None

    async def purge(self, name: str) -> None:
        """Delete all messages of a queue. Raises QueueError."""
        await self.get(name)
        await self._clear(name)

    async def counts(self, name: str) -> Counts:
        """Count the messages of a queue."""
        now = self._store.clock.service_ns()
        visible = in_flight = delayed = 0
        start, stop = keys.outbox_range(name)
        while rows := await MESSAGES.rows(self._store.index, start, stop, _ROWS):
            for message in filter(None, map(_read, rows)):
                visible += message.visible_ns <= now
                in_flight += message.visible_ns > now and bool(message.receipt)
                delayed += message.visible_ns > now and not message.receipt
            start = keys.after(rows[-1][0])
            await asyncio.sleep(0)
        return Counts(visible, in_flight, delayed)

    # --- bounds ----------------------------------------------------------------------------------------------------

    async def _check_room(self, name: str, more: int) -> None:
        now = self._store.clock.monotonic()
        at, count = self._counted.get(name, (float("-inf"), 0))
        if now - at >= _COUNT_SECONDS:
            at, count = now, sum(await self.counts(name))
        if count + more > self._most:
            raise _over_limit(f"A queue holds at most {self._most} messages.")
        self._counted[name] = at, count + more

    async def tend(self) -> None:
        """Remove what is too old or too much, and messages of queues that are gone."""
        start = b""
        while rows := await MESSAGES.rows(self._store.index, start, keys.END, 1):
            name, *_ = MESSAGES.split(rows[0][0])
            queue = await find(self._store, name)
            if queue is None:
                await self._clear(name)
            else:
                await self._trim(queue)
            start = keys.outbox_range(name)[1]

    async def _trim(self, queue: Queue) -> None:
        surplus = sum(await self.counts(queue.name)) - self._most
        oldest = self._store.clock.service_ns() - queue.number("MessageRetentionPeriod") * _SECOND_NS
        while rows := await MESSAGES.rows(self._store.index, *keys.outbox_range(queue.name), _ROWS):
            sent = [message.sent_ns if message else 0 for message in map(_read, rows)]
            gone = [row for place, (row, _) in enumerate(rows) if place < surplus or sent[place] <= oldest]
            if not gone:
                return
            await self._store.index.commit([MESSAGES.drop(row) for row in gone])
            surplus -= len(gone)

    async def _clear(self, name: str) -> None:
        while rows := await MESSAGES.rows(self._store.index, *keys.outbox_range(name), _ROWS):
            with translated():
                await self._store.index.commit([MESSAGES.drop(key) for key, _ in rows])


def check_attributes(given: Mapping[str, str]) -> dict[str, str]:
    """Return attributes that a queue may have. Raises QueueError."""
    for name, value in given.items():
        if name in TEXTS:
            continue
        if name not in NUMBERS:
            raise QueueError("InvalidAttributeName", f"Unknown Attribute {name[:80]}.")
        _, least, most = NUMBERS[name]
        if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) or not least <= int(value) <= most:
            raise QueueError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
    return dict(given)


def _read(row: tuple[bytes, bytes]) -> QueuedMessage | None:
    """Return the message in a row; None if it is damaged: then it is lost, and goes as what is too old does."""
    try:
        return MESSAGES.decode(*row)
    except Damaged:
        return None


def _default(name: str) -> str:
    return str(NUMBERS[name][0]) if name in NUMBERS else ""


def _number(queue: str, key: bytes) -> str:
    """Return what tells a message from all others, given its row."""
    return key[len(keys.outbox_range(queue)[0]) :].hex()
