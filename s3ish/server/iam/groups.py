"""Groups, as the IAM query API names them.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
"""

from s3ish.identity import groups as kept
from s3ish.identity import users
from s3ish.identity.picking import pick
from s3ish.identity.records import GroupRecord, UserRecord, arn
from s3ish.server.iam import shown
from s3ish.server.iam.users import check as check_user
from s3ish.server.query_call import Action, Call


def _check(call: Call, action: str) -> str:
    """Return the name of the group that a call is about, if the caller may do that. Raises AccessDenied."""
    name = call.text("GroupName", most=128)
    found = call.registry.directory.named(GroupRecord, name)
    call.require(f"iam:{action}", found.arn if found else arn("group", name))
    return name


async def create_group(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateGroup.html"""
    name, path = call.text("GroupName", most=128), call.optional("Path", "/")
    call.require("iam:CreateGroup", arn("group", path + name))
    return f"<Group>{shown.group(await kept.create_group(call.registry, name, path=path))}</Group>"


async def get_group(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetGroup.html"""
    directory = call.registry.directory
    group = pick(directory, GroupRecord, _check(call, "GetGroup"))
    users_in = call.page(
        directory.members(group), lambda it: it.name, lambda it: f"<member>{shown.user(it)}</member>", "Users"
    )
    return f"<Group>{shown.group(group)}</Group>{users_in}"


async def list_groups(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListGroups.html"""
    prefix = call.path_prefix()
    call.require("iam:ListGroups", arn("group", prefix))
    found = [group for group in call.registry.directory.all(GroupRecord) if group.path.startswith(prefix)]
    return call.page(found, lambda it: it.name, lambda it: f"<member>{shown.group(it)}</member>", "Groups")


async def list_groups_for_user(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListGroupsForUser.html"""
    call.text("UserName", most=128)
    directory = call.registry.directory
    user = pick(directory, UserRecord, check_user(call, "ListGroupsForUser"))
    found = directory.groups_of(user)
    return call.page(found, lambda it: it.name, lambda it: f"<member>{shown.group(it)}</member>", "Groups")


async def update_group(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateGroup.html"""
    name = _check(call, "UpdateGroup")
    new_name, new_path = call.optional("NewGroupName"), call.optional("NewPath")
    before = pick(call.registry.directory, GroupRecord, name)
    call.require("iam:UpdateGroup", arn("group", (new_path or before.path) + (new_name or name)))
    await kept.update_group(call.registry, name, new_name=new_name, new_path=new_path)
    return ""


async def delete_group(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteGroup.html"""
    await kept.delete_group(call.registry, _check(call, "DeleteGroup"))
    return ""


async def add_user_to_group(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddUserToGroup.html"""
    name = _check(call, "AddUserToGroup")
    await users.join(call.registry, call.text("UserName", most=128), name)
    return ""


async def remove_user_from_group(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_RemoveUserFromGroup.html"""
    name = _check(call, "RemoveUserFromGroup")
    await users.leave(call.registry, call.text("UserName", most=128), name)
    return ""


ACTIONS: dict[str, Action] = {
    "AddUserToGroup": add_user_to_group,
    "CreateGroup": create_group,
    "DeleteGroup": delete_group,
    "GetGroup": get_group,
    "ListGroups": list_groups,
    "ListGroupsForUser": list_groups_for_user,
    "RemoveUserFromGroup": remove_user_from_group,
    "UpdateGroup": update_group,
}
