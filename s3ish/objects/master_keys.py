"""Which master keys a store has been used with, so that a start can say that one of them is lost.

A record names each of them, and tells nothing of the key. It goes when nothing is sealed under that key any more.
"""

from s3ish.index.protocol import Damaged
from s3ish.objects import rewrapping, system
from s3ish.objects.encodings import cipher
from s3ish.objects.encodings.cipher import DATA_KEY
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import PARTS

_PREFIX = "master-keys/"
_PARTS_AT_ONCE = 1000


async def note(store: Store) -> list[str]:
    """Take note of the master keys of the settings, and return the names of those that were there once and are not now.

    Raises:
        S3Error: the engines failed.
    """
    present = store.keyring.names if store.keyring else ()
    noted = {held.record.name.removeprefix(_PREFIX) for held in (await system.read_all(store, _PREFIX))[0]}
    for name in present:
        if name not in noted:
            await system.ensure(store, _PREFIX + name, "")
    return sorted(noted.difference(present))


async def forget_older(store: Store) -> int:
    """Forget all master keys but the newest, which seals all; return how many parts of uploads keep them from that.

    The caller has seen to it that no named key is sealed under an older one.

    Raises:
        S3Error: the engines failed.
        ValueError: a data key cannot be opened, or versions are left whose rows are damaged.
    """
    assert store.keyring, "it has sealed the rest"
    left = await _parts_under_older(store)
    if not left:
        await rewrapping.renew(store)  # with what such parts have become meanwhile
        for held in (await system.read_all(store, _PREFIX))[0]:
            if held.record.name != _PREFIX + store.keyring.first:
                await system.forget(store, held.record.name)
    return left


async def _parts_under_older(store: Store) -> int:
    """Return how many parts of uploads under way have a data key that an older master key seals."""
    start, count = b"", 0
    while rows := await PARTS.rows(store.index, start, keys.END, _PARTS_AT_ONCE):
        for row, value in rows:
            try:
                links = PARTS.decode(row, value).encoding
            except Damaged:  # it may
                count += 1
                continue
            sealed = [it.parameters for it in links if it.name == cipher.NAME and DATA_KEY in it.parameters]
            count += not all(store.keyring.is_newest(parameters) for parameters in sealed) if store.keyring else 0
        start = keys.after(rows[-1][0])
    return count
