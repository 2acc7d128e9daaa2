"""Users and their tags, as the IAM query API names them.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
"""

from s3ish.identity import holders
from s3ish.identity import users as kept
from s3ish.identity.picking import pick
from s3ish.identity.records import UserRecord, arn
from s3ish.model import ACCOUNT
from s3ish.server.iam import shown
from s3ish.server.query_call import Action, Call, moment
from s3ish.server.query_protocol import element


def name_of(call: Call) -> str:
    """Return the user that a call is about: that of the caller if it names none; empty for the root user."""
    name = call.optional("UserName", most=128)
    if name or call.principal.is_root:
        return name
    return call.principal.name if call.principal.kind == "user" else call.text("UserName")


def check(call: Call, action: str) -> str:
    """Return the user that a call is about, if the caller may do that with it. Raises AccessDenied.

    Args:
        action: without its service.
    """
    name = name_of(call)
    found = call.registry.directory.named(UserRecord, name)
    resource = found.arn if found else arn("user", name) if name else f"arn:aws:iam::{ACCOUNT}:root"
    call.require(f"iam:{action}", resource)
    return name


async def create_user(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html"""
    name, path = call.text("UserName", most=128), call.optional("Path", "/")
    boundary = call.optional("PermissionsBoundary")
    call.require("iam:CreateUser", arn("user", path + name), boundary=boundary)
    tags = call.tags()
    if tags:
        call.require("iam:TagUser", arn("user", path + name))
    record = await kept.create_user(call.registry, name, path=path, tags=tags, boundary=boundary)
    return f"<User>{shown.user(record)}</User>"


async def get_user(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUser.html"""
    name = check(call, "GetUser")
    if not name:
        root = element("UserId", ACCOUNT) + element("Arn", f"arn:aws:iam::{ACCOUNT}:root")
        return f"<User><Path>/</Path>{root}{element('CreateDate', moment(0))}</User>"
    return f"<User>{shown.user(pick(call.registry.directory, UserRecord, name))}</User>"


async def list_users(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html"""
    prefix = call.path_prefix()
    call.require("iam:ListUsers", arn("user", prefix))
    found = [user for user in call.registry.directory.all(UserRecord) if user.path.startswith(prefix)]
    return call.page(found, lambda it: it.name, lambda it: f"<member>{shown.user(it)}</member>", "Users")


async def update_user(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateUser.html"""
    name = kept.check_is_kept(check(call, "UpdateUser"))
    new_name, new_path = call.optional("NewUserName"), call.optional("NewPath")
    before = pick(call.registry.directory, UserRecord, name)
    call.require("iam:UpdateUser", arn("user", (new_path or before.path) + (new_name or name)))
    await kept.update_user(call.registry, name, new_name=new_name, new_path=new_path)
    return ""


async def delete_user(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html"""
    await kept.delete_user(call.registry, kept.check_is_kept(check(call, "DeleteUser")))
    return ""


async def tag_user(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagUser.html"""
    name = kept.check_is_kept(check(call, "TagUser"))
    await holders.add_tags(call.registry, UserRecord, name, call.some_tags())
    return ""


async def untag_user(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagUser.html"""
    name = kept.check_is_kept(check(call, "UntagUser"))
    await holders.remove_tags(call.registry, UserRecord, name, frozenset(call.some("TagKeys")))
    return ""


async def list_user_tags(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUserTags.html"""
    return shown.all_tags(pick(call.registry.directory, UserRecord, check(call, "ListUserTags")))


ACTIONS: dict[str, Action] = {
    "CreateUser": create_user,
    "DeleteUser": delete_user,
    "GetUser": get_user,
    "ListUserTags": list_user_tags,
    "ListUsers": list_users,
    "TagUser": tag_user,
    "UntagUser": untag_user,
    "UpdateUser": update_user,
}
