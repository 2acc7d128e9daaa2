"""Named keys, by which objects are encrypted (SSE-KMS): made, found by id, alias or ARN, disabled, deleted, rotated.

A key is a record of the store, with its materials sealed under the master key: it survives the index, and tells nothing
to who has the drives. An alias is a record that names a key.

https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html
"""

import hashlib
import re
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec.structs import replace

from s3ish.errors import (
    InternalError,
    KMSDisabledException,
    KMSInvalidStateException,
    KMSNotFoundException,
)
from s3ish.model import ACCOUNT, SystemRecord
from s3ish.objects import system
from s3ish.objects.encodings.keyring import Keyring
from s3ish.objects.encodings.named import NamedKey
from s3ish.objects.encodings.sealing import KEY_BYTES
from s3ish.objects.store import Store, attempts
from s3ish.tables.catalogue import SYSTEM
from s3ish.tables.table import Held

_KEYS, _ALIASES = "keys/", "key-aliases/"
DEFAULT_ALIAS = "alias/aws/s3"
"""The key of objects that ask for a named key and name none; it is made when it is first needed."""
ALIAS = re.compile(r"alias/[a-zA-Z0-9/_-]{1,128}")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ARN = re.compile(r"arn:aws[a-z0-9-]*:kms:([a-z0-9-]+):([0-9]{12}):(?:key/(.+)|(alias/.+))")

State = Literal["Enabled", "Disabled", "PendingDeletion"]


class NameTaken(Exception):
    """There is an alias of this name."""


class Material(msgspec.Struct, frozen=True):
    """One material of a key: when it was made, in nanoseconds since the epoch, and itself, sealed."""

    number: int
    made_ns: int
    sealed: dict[str, str]


class KeyDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the record of a key says."""

    id: str
    materials: tuple[Material, ...]
    state: State = "Enabled"
    description: str = ""


class StoredKey(msgspec.Struct, frozen=True):
    """A key as it is in the store."""

    held: Held[SystemRecord]
    document: KeyDocument


def arn_of(store: Store, key_id: str) -> str:
    """Return the ARN of a key."""
    return f"arn:aws:kms:{store.region}:{ACCOUNT}:key/{key_id}"


async def usable(store: Store, name: str = "") -> NamedKey:
    """Return a key to encrypt or decrypt by.

    Args:
        name: its id, an alias, or the ARN of either; the default key if empty.

    Raises:
        KMSNotFoundException, KMSDisabledException, KMSInvalidStateException: there is none, or it may not be used.
        InternalError: it cannot be opened.
    """
    if name in ("", DEFAULT_ALIAS):
        await _make_default(store)
    stored = await find(store, name or DEFAULT_ALIAS)
    document = stored.document
    arn = arn_of(store, document.id)
    if document.state == "Disabled":
        raise KMSDisabledException(f"{arn} is disabled.")
    if document.state == "PendingDeletion":
        raise KMSInvalidStateException(f"{arn} is pending deletion.")
    try:
        materials = {it.number: _keyring(store).open(it.sealed, _bound(document.id)) for it in document.materials}
    except ValueError as error:
        raise InternalError(f"The key {arn} cannot be opened: {error}.") from error
    return NamedKey(document.id, materials)


async def find(store: Store, name: str) -> StoredKey:
    """Return a key by its id, an alias, or the ARN of either. Raises KMSNotFoundException."""
    matched = _ARN.fullmatch(name)
    if matched and matched[1] != store.region:
        raise KMSNotFoundException(f"Invalid arn {matched[1]}")
    wanted = (matched[3] or matched[4]) if matched else name
    if ALIAS.fullmatch(wanted):
        shown = f"arn:aws:kms:{store.region}:{ACCOUNT}:{wanted}"
        alias = await store.get(SYSTEM, _ALIASES + wanted) if not matched or matched[2] == ACCOUNT else None
        if alias is None:
            raise KMSNotFoundException(f"Alias {shown} is not found.")
        wanted = alias.record.document
    elif not matched and not _ID.fullmatch(wanted):
        raise KMSNotFoundException(f"Invalid keyId '{name[:256]}'")
    held = await store.get(SYSTEM, _KEYS + wanted) if not matched or matched[2] == ACCOUNT else None
    if held is None:
        raise KMSNotFoundException(f"Key '{matched[0][:256] if matched else arn_of(store, wanted)}' does not exist")
    return _stored(held)


async def every(store: Store) -> list[StoredKey]:
    """Return all keys, by id."""
    return [_stored(held) for held in (await system.read_all(store, _KEYS))[0]]


async def aliases(store: Store) -> dict[str, str]:
    """Return which key each alias names."""
    held, _ = await system.read_all(store, _ALIASES)
    return {it.record.name.removeprefix(_ALIASES): it.record.document for it in held}


async def create(store: Store, alias: str = "", description: str = "") -> str:
    """Make a key, and an alias of it if one is given; return its id.

    Raises:
        NameTaken: there is such an alias.
        S3Error: the engines failed.
    """
    if alias and alias in await aliases(store):
        raise NameTaken(alias)
    key_id = _id_of(store.clock.random_bytes(16))
    await _make(store, key_id, description)
    if alias and not await system.ensure(store, _ALIASES + alias, key_id):
        raise NameTaken(alias)
    return key_id


async def ensure(store: Store, alias: str, key_id: str = "", description: str = "") -> str:
    """Make a key with an alias unless there is one; return the id of the key that has the alias then.

    Args:
        key_id: the id of a new key, random if empty. A key of this id that is there gets the alias.

    Raises:
        S3Error: the engines failed.
    """
    if (found := (await aliases(store)).get(alias)) is not None:
        return found
    key_id = key_id or _id_of(store.clock.random_bytes(16))
    await _make(store, key_id, description)
    await system.ensure(store, _ALIASES + alias, key_id)
    return (await aliases(store))[alias]


async def set_state(store: Store, name: str, state: State) -> None:
    """Enable a key, disable it, or keep it for its deletion. Raises KMSNotFoundException."""
    await _change(store, name, lambda document: replace(document, state=state))


async def add_material(store: Store, name: str) -> int:
    """Give a key a new material, for data keys from now on; return its number. Raises KMSNotFoundException."""
    changed = await _change(
        store,
        name,
        lambda it: replace(it, materials=(*it.materials, _material(store, it.id, it.materials[-1].number + 1))),
    )
    return changed.materials[-1].number


async def seal_again(store: Store) -> int:
    """Seal all materials under the newest master key; return how many keys were not. Raises InternalError."""
    count = 0
    for stored in await every(store):
        if all(_keyring(store).is_newest(it.sealed) for it in stored.document.materials):
            continue

        def sealed(document: KeyDocument) -> KeyDocument:
            return replace(
                document, materials=tuple(_sealed_again(store, document.id, it) for it in document.materials)
            )

        await _change(store, stored.document.id, sealed)
        count += 1
    return count


async def destroy(store: Store, name: str) -> None:
    """Remove a key and its aliases for good: what is encrypted under it is lost. Raises KMSNotFoundException."""
    stored = await find(store, name)
    for alias, key_id in (await aliases(store)).items():
        if key_id == stored.document.id:
            await system.forget(store, _ALIASES + alias)
    await system.forget(store, stored.held.record.name)


def _keyring(store: Store) -> Keyring:
    if store.keyring is None:
        raise InternalError("The object is encrypted, and the server has no master key.")
    return store.keyring


def _stored(held: Held[SystemRecord]) -> StoredKey:
    try:
        return StoredKey(held, msgspec.json.decode(held.record.document, type=KeyDocument))
    except msgspec.MsgspecError as error:
        raise InternalError(f"The record {held.record.name} is not that of a key.") from error


def _id_of(random: bytes) -> str:
    text = random.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:32]))


_DEFAULT_ID = _id_of(hashlib.sha256(b"s3ish " + DEFAULT_ALIAS.encode()).digest()[:16])
"""The same everywhere, so that of several processes that make the key one does."""


def _bound(key_id: str) -> bytes:
    return b"s3ish material of a named key 1\0" + key_id.encode()


def _material(store: Store, key_id: str, number: int) -> Material:
    material = store.clock.random_bytes(KEY_BYTES)
    return Material(number, store.clock.service_ns(), dict(_keyring(store).wrap(material, _bound(key_id))))


def _sealed_again(store: Store, key_id: str, material: Material) -> Material:
    keyring, bound = _keyring(store), _bound(key_id)
    return replace(material, sealed=dict(keyring.wrap(keyring.open(material.sealed, bound), bound)))


async def _make_default(store: Store) -> None:
    """Make the default key if there is none yet."""
    if await store.get(SYSTEM, _ALIASES + DEFAULT_ALIAS) is None:
        await _make(store, _DEFAULT_ID, "Default key that protects objects when no other key is defined")
        await system.ensure(store, _ALIASES + DEFAULT_ALIAS, _DEFAULT_ID)


async def _make(store: Store, key_id: str, description: str) -> None:
    document = KeyDocument(key_id, (_material(store, key_id, 1),), description=description)
    await system.ensure(store, _KEYS + key_id, _text(document))


def _text(document: KeyDocument) -> str:
    return msgspec.json.encode(document).decode()


async def _change(store: Store, name: str, change: Callable[[KeyDocument], KeyDocument]) -> KeyDocument:
    for _ in attempts():
        mark = await system.seen(store)
        stored = await find(store, name)
        wanted = change(stored.document)
        if wanted == stored.document or await system.change(store, stored.held, _text(wanted), mark):
            return wanted
    raise AssertionError  # attempts() raises before
