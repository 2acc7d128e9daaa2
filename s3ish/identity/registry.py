"""Users and what belongs to them, as one process sees and changes them.

All of it is in memory, for signatures are checked at every request. Another process may have changed it: before a
change is answered it changes a mark in memory that all of them share, and a request that finds another mark than the
last one looks at the index. There stands a mark too, which every change writes: it is what holds, also where a process
ended before it changed the other one, so it is looked at now and then. A change reads it first, decides on all that
there is, and is made only if that is still so.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
from msgspec import Struct

from s3ish.auth.credentials import Role, User
from s3ish.errors import InternalError
from s3ish.identity.directory import Directory
from s3ish.identity.last_used import LastUsed
from s3ish.identity.records import KINDS, Record, decode
from s3ish.identity.secrets import Secrets
from s3ish.model import SystemRecord
from s3ish.objects import system
from s3ish.objects.store import Store, attempts
from s3ish.shared_mark import SharedMark
from s3ish.tables.table import Held

T = TypeVar("T")

log = structlog.get_logger()

LOOK_SECONDS = 1.0
"""How often a process looks at the index unasked: for changes whose maker ended before it changed the shared mark, or
was cut off, and for records that were damaged."""


class Add(Struct, frozen=True):
    """A new record is made."""

    record: Record


class Replace(Struct, frozen=True):
    """A record is replaced by another state of it."""

    record: Record


class Remove(Struct, frozen=True):
    """A record goes."""

    record: Record


Edit = Add | Replace | Remove


class Registry:
    """Who holds keys; see ``Holders``.

    Args:
        store: where the records are.
        fixed: the users of the configuration, the root user first.
        secrets: keeps secret keys.
        shared: what the processes of the server tell each other changes by.
    """

    def __init__(self, store: Store, fixed: Sequence[User], secrets: Secrets, shared: SharedMark | None = None) -> None:
        self.store, self.secrets = store, secrets
        self.shared = shared or SharedMark()
        self._fixed = fixed
        self._known: dict[str, tuple[Held[SystemRecord], Record]] = {}
        self._mark: bytes | None = None
        self._complete = False
        self._noticed = b""
        self._reading = asyncio.Lock()
        self.directory = Directory(fixed, (), secrets)
        self.used = LastUsed(store, lambda access_key: self.directory.key(access_key) is not None)

    def find(self, access_key: str) -> User | None:
        """Return the user with an access key that is active, or None."""
        return self.directory.find(access_key)

    def find_role(self, role_id: str) -> Role | None:
        """Return the role with an id, or None."""
        return self.directory.find_role(role_id)

    def note_use(self, user: User) -> None:
        """Note that a user has signed a request, if its key is kept in the store."""
        if user.stamp and not user.parent:
            self.used.note(user.access_key)

    @property
    def is_behind(self) -> bool:
        """Whether something may have changed since the last look: a look is due before it is read."""
        return self.shared.value != self._noticed

    async def keep_up(self) -> None:
        """See every change that was answered before now, by any process. Raises S3Error."""
        if self.is_behind:
            await self.look()

    async def look(self) -> None:
        """Read all records, as they are together at one moment, unless that is what is known. Raises S3Error."""
        async with self._reading:  # of two that read, the one that began first could end last
            shared = self.shared.value  # first: what changes while records are read is looked at once more
            await asyncio.sleep(0)  # what is read in this turn of the event loop may be older than the mark
            await self._renew()
            self._noticed = shared

    def tell(self) -> None:
        """Have all processes look, at their next request."""
        self.shared.change(self.store.clock.random_bytes(8))

    async def _renew(self) -> None:
        while True:
            mark = await system.seen(self.store)
            if mark == self._mark and self._complete:
                return
            rows = [await system.read_all(self.store, f"{kind.folder}/") for kind in KINDS]
            if await system.seen(self.store) == mark:
                break
        known = {}
        complete = all(is_complete for _, is_complete in rows)
        for kind, (found, _) in zip(KINDS, rows, strict=True):
            for held in found:
                record = self._read(kind, held)
                if record is None:
                    complete = False
                else:
                    known[record.row] = held, record
        self.directory = Directory(self._fixed, [record for _, record in known.values()], self.secrets)
        self._known, self._mark, self._complete = known, mark, complete

    def _read(self, kind: type[Record], held: Held[SystemRecord]) -> Record | None:
        """Return what a row says; one that was read before is not read again."""
        before = self._known.get(held.record.name)
        if before is not None and before[0].value == held.value:
            return before[1]
        try:
            return decode(kind, held.record.document)
        except ValueError as error:
            log.error("a record of users cannot be read", record=held.record.name, cause=str(error))
            return None

    async def change(self, decide: Callable[[Directory], tuple[Edit | None, T]]) -> T:
        """Make one change, and return what ``decide`` returns beside it.

        Args:
            decide: returns the change, or None for none, given all that there is. It may be called again when another
                caller was faster.

        Raises:
            S3Error: the engines failed; and what ``decide`` raises.
        """
        for _ in attempts():
            await self.look()
            if not self._complete:
                raise InternalError("A record of users is damaged; the log says which.")
            edit, result = decide(self.directory)
            if edit is None:
                return result
            try:
                done = await self._apply(edit)
            finally:  # also what failed may have happened
                self.tell()
                await self.look()
            if done:
                return result
        raise AssertionError  # attempts() raises before

    async def _apply(self, edit: Edit) -> bool:
        record, mark = edit.record, self._mark
        if isinstance(edit, Add):
            return await system.create(self.store, record.row, record.encoded(), mark)
        held, _ = self._known[record.row]
        if isinstance(edit, Replace):
            return await system.change(self.store, held, record.encoded(), mark)
        return await system.remove(self.store, held, mark)
