"""Access keys of users: made, switched off and on, removed.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html
"""

import base64
from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from s3ish.errors import EntityAlreadyExists, LimitExceeded, NoSuchEntity
from s3ish.identity.directory import Directory
from s3ish.identity.names import check_access_key, check_secret_key
from s3ish.identity.picking import pick_to_change
from s3ish.identity.records import AccessKey, UserRecord
from s3ish.identity.registry import Registry, Replace

MOST_KEYS = 100
"""How many a user may have: its record holds them all."""


class NewKey(NamedTuple):
    """A key, and its secret, which is shown once."""

    key: AccessKey
    secret_key: str


def make_key(registry: Registry, access_key: str = "", secret_key: str = "") -> NewKey:
    """Return a new key for a user.

    Args:
        access_key, secret_key: those that the caller wants; random ones if empty.

    Raises:
        InvalidInput: they cannot be some.
    """
    clock = registry.store.clock
    access_key = check_access_key(access_key) if access_key else f"AKIA{clock.token().upper()}"
    secret_key = check_secret_key(secret_key) if secret_key else base64.b64encode(clock.random_bytes(30)).decode()
    kept = registry.secrets.keep(access_key, secret_key)
    return NewKey(AccessKey(access_key, kept, clock.service_ns()), secret_key)


def check_key_is_new(directory: Directory, access_key: str) -> None:
    """Check that no user has an access key. Raises EntityAlreadyExists."""
    if directory.has_key(access_key):
        raise EntityAlreadyExists(f"The access key {access_key} exists already.")


async def add_key(registry: Registry, user_name: str, new: NewKey) -> None:
    """Give a user a key.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html

    Raises:
        NoSuchEntity, UnmodifiableEntity, EntityAlreadyExists, LimitExceeded.
    """

    def decide(directory: Directory) -> tuple[Replace, None]:
        user = pick_to_change(directory, UserRecord, user_name)
        check_key_is_new(directory, new.key.id)
        if len(user.keys) >= MOST_KEYS:
            raise LimitExceeded(f"Cannot exceed quota for AccessKeysPerUser: {MOST_KEYS}")
        return Replace(replace(user, keys=(*user.keys, new.key))), None

    await registry.change(decide)


async def set_active(registry: Registry, user_name: str, access_key: str, *, active: bool) -> None:
    """Switch a key on or off.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html

    Raises:
        NoSuchEntity, UnmodifiableEntity.
    """
    await _change_key(registry, user_name, access_key, lambda key: replace(key, active=active))


async def delete_key(registry: Registry, user_name: str, access_key: str) -> None:
    """Remove a key, and end the sessions that were made with it.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteAccessKey.html

    Raises:
        NoSuchEntity, UnmodifiableEntity.
    """
    await _change_key(registry, user_name, access_key, lambda _: None)


async def _change_key(
    registry: Registry, user_name: str, access_key: str, become: Callable[[AccessKey], AccessKey | None]
) -> None:
    def decide(directory: Directory) -> tuple[Replace | None, None]:
        user = pick_to_change(directory, UserRecord, user_name)
        if all(key.id != access_key for key in user.keys):
            raise NoSuchEntity(f"The Access Key with id {access_key[:128]} cannot be found.")
        keys = [become(key) if key.id == access_key else key for key in user.keys]
        wanted = replace(user, keys=tuple(key for key in keys if key is not None))
        return (Replace(wanted) if wanted != user else None), None

    await registry.change(decide)
