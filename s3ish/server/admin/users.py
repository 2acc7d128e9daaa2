"""Users and their keys in the admin API."""

from typing import Any

from msgspec import Struct

from s3ish.identity import keys, users
from s3ish.identity.picking import pick
from s3ish.identity.records import GroupRecord, UserRecord
from s3ish.server.admin import shown
from s3ish.server.admin.call import AdminCall, arn_of


class NewKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A key to be made; random where nothing is said."""

    access_key: str = ""
    secret_key: str = ""


class NewUser(Struct, frozen=True, forbid_unknown_fields=True):
    """A user to be made; ``policies`` and ``boundary`` are names or ARNs, ``key`` its first key, None for none."""

    name: str
    path: str = "/"
    tags: dict[str, str] = {}
    groups: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    boundary: str = ""
    key: NewKey | None = None


class KeyState(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a key works."""

    active: bool


async def list_users(call: AdminCall) -> Any:
    """Return all users, without their keys."""
    call.require("s3ish:ListUsers", arn_of(UserRecord, "/", ""))
    return call.page(call.directory.all(UserRecord), "users", lambda user: shown.user(user, call.directory))


async def create_user(call: AdminCall) -> Any:
    """Make a user, at once with what it is to have."""
    wanted = call.read(NewUser)
    arn = arn_of(UserRecord, wanted.path, wanted.name)
    boundary = call.policy_arn(wanted.boundary) if wanted.boundary else ""
    needed = {
        "CreateUser": True,
        "TagUser": bool(wanted.tags),
        "CreateAccessKey": wanted.key is not None,
    }
    for action in (action for action, is_needed in needed.items() if is_needed):
        call.require(f"s3ish:{action}", arn, boundary=boundary)
    policies = [call.policy_arn(policy) for policy in wanted.policies]
    for policy in policies:
        call.require("s3ish:AttachUserPolicy", arn, policy, boundary)
    for group in wanted.groups:
        call.check("AddUserToGroup", GroupRecord, group)
    new = keys.make_key(call.registry, wanted.key.access_key, wanted.key.secret_key) if wanted.key else None
    user = await users.create_user(
        call.registry,
        wanted.name,
        path=wanted.path,
        tags=tuple(wanted.tags.items()),
        groups=wanted.groups,
        attached=policies,
        boundary=boundary,
        key=new,
    )
    return {**shown.user(user, call.directory), **({"key": _secret(new)} if new else {})}


async def get_user(call: AdminCall) -> Any:
    """Return a user with its keys."""
    name = call.names["user"]
    call.check("GetUser", UserRecord, name)
    user = pick(call.directory, UserRecord, name)
    return {**shown.user(user, call.directory), "keys": await shown.keys(user, call.registry)}


async def delete_user(call: AdminCall) -> Any:
    """Remove a user with all that it has."""
    name = call.names["user"]
    call.check("DeleteUser", UserRecord, name)
    await users.delete_user(call.registry, name, with_all=True)


async def create_key(call: AdminCall) -> Any:
    """Give a user a key."""
    name = call.names["user"]
    call.check("CreateAccessKey", UserRecord, name)
    wanted = call.read(NewKey)
    new = keys.make_key(call.registry, wanted.access_key, wanted.secret_key)
    await keys.add_key(call.registry, name, new)
    return _secret(new)


async def update_key(call: AdminCall) -> Any:
    """Switch a key on or off."""
    name = call.names["user"]
    call.check("UpdateAccessKey", UserRecord, name)
    await keys.set_active(call.registry, name, call.names["key"], active=call.read(KeyState).active)


async def delete_key(call: AdminCall) -> Any:
    """Remove a key."""
    name = call.names["user"]
    call.check("DeleteAccessKey", UserRecord, name)
    await keys.delete_key(call.registry, name, call.names["key"])


def _secret(new: keys.NewKey) -> dict[str, str]:
    return {"access_key": new.key.id, "secret_key": new.secret_key}
