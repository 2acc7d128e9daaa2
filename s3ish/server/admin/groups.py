"""Groups in the admin API."""

from typing import Any

from msgspec import Struct

from s3ish.identity import groups, users
from s3ish.identity.picking import pick
from s3ish.identity.records import GroupRecord
from s3ish.server.admin import shown
from s3ish.server.admin.call import AdminCall, arn_of


class NewGroup(Struct, frozen=True, forbid_unknown_fields=True):
    """A group to be made."""

    name: str
    path: str = "/"


async def list_groups(call: AdminCall) -> Any:
    """Return all groups."""
    call.require("s3ish:ListGroups", arn_of(GroupRecord, "/", ""))
    return call.page(call.directory.all(GroupRecord), "groups", lambda group: shown.group(group, call.directory))


async def create_group(call: AdminCall) -> Any:
    """Make a group."""
    wanted = call.read(NewGroup)
    call.require("s3ish:CreateGroup", arn_of(GroupRecord, wanted.path, wanted.name))
    group = await groups.create_group(call.registry, wanted.name, path=wanted.path)
    return shown.group(group, call.directory)


async def get_group(call: AdminCall) -> Any:
    """Return a group with its users."""
    name = call.names["group"]
    call.check("GetGroup", GroupRecord, name)
    return shown.group(pick(call.directory, GroupRecord, name), call.directory)


async def delete_group(call: AdminCall) -> Any:
    """Remove a group without users and policies."""
    name = call.names["group"]
    call.check("DeleteGroup", GroupRecord, name)
    await groups.delete_group(call.registry, name)


async def add_user(call: AdminCall) -> Any:
    """Put a user into a group."""
    call.check("AddUserToGroup", GroupRecord, call.names["group"])
    await users.join(call.registry, call.names["user"], call.names["group"])


async def remove_user(call: AdminCall) -> Any:
    """Take a user out of a group."""
    call.check("RemoveUserFromGroup", GroupRecord, call.names["group"])
    await users.leave(call.registry, call.names["user"], call.names["group"])
