"""Setting quotas at run time: of a bucket in its record, of an owner in a record of the system.

So they survive the loss of the index, and all processes see them: those of buckets at once, those of owners within
the seconds after which a process asks again.
"""

from s3ish.errors import SlowDown
from s3ish.model import Usage
from s3ish.objects import buckets, holdings, system
from s3ish.objects.quotas import DOCUMENT, Limits, read_limits, write_limits
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import BUCKETS, OF_BUCKET, OF_OWNER

RELOAD_SECONDS = 2.0
"""How often a process asks whether the quotas of owners have changed."""
_RECORDS = "quotas/"
_ATTEMPTS = 20
_ROWS_AT_ONCE = 1000


async def set_of_bucket(store: Store, name: str, limits: Limits) -> None:
    """Give a bucket a quota, or with no limit take it away. Raises NoSuchBucket."""
    await buckets.set_documents(store, name, {DOCUMENT: write_limits(limits) if limits else None})


async def set_of_owner(store: Store, owner: str, limits: Limits) -> None:
    """Give an owner a quota, or with no limit take it away.

    Args:
        owner: the id.

    Raises:
        SlowDown: others change records all the time.
    """
    name = _RECORDS + owner
    for _ in range(_ATTEMPTS):
        mark = await system.seen(store)
        found, _complete = await system.read_all(store, name)
        held = next((held for held in found if held.record.name == name), None)
        if not limits:
            done = held is None or await system.remove(store, held, mark)
        elif held:
            done = await system.change(store, held, write_limits(limits), mark)
        else:
            done = await system.create(store, name, write_limits(limits), mark)
        if done:
            return
    raise SlowDown


async def of_owners(store: Store) -> dict[str, Limits]:
    """Return the quotas of owners, by their ids. Raises S3Error."""
    found, _ = await system.read_all(store, _RECORDS)
    return {held.record.name.removeprefix(_RECORDS): read_limits(held.record.document) for held in found}


async def described(store: Store) -> list[tuple[str, str, Limits, Usage]]:
    """Return the quotas that are set, with what is held under each. Raises S3Error, IndexFailure."""
    found = [(OF_OWNER, owner, limits) for owner, limits in (await of_owners(store)).items()]
    start = b""
    while rows := await BUCKETS.rows(store.index, start, keys.END, _ROWS_AT_ONCE):
        texts = ((bucket.name, bucket.documents.get(DOCUMENT)) for bucket in store.decode_rows(BUCKETS, rows))
        found += [(OF_BUCKET, name, read_limits(text)) for name, text in texts if text]
        start = keys.after(rows[-1][0])
    found.sort(key=_place)
    return [(kind, name, limits, await holdings.held_by(store, kind, name)) for kind, name, limits in found]


def _place(row: tuple[str, str, Limits]) -> tuple[str, str]:
    return row[:2]


class OwnerQuotas:
    """Keeps the quotas of owners fresh in one process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._mark: bytes | None = b"not read yet"

    async def reload(self) -> None:
        """Read them if records have changed. Raises S3Error."""
        mark = await system.seen(self._store)
        if mark != self._mark:
            self._store.quotas.owners = await of_owners(self._store)
            self._mark = mark
