"""Roles, as the IAM query API names them.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
"""

from s3ish.identity import holders
from s3ish.identity import roles as kept
from s3ish.identity.picking import pick
from s3ish.identity.records import RoleRecord, arn
from s3ish.server.iam import shown
from s3ish.server.query_call import Action, Call, members
from s3ish.server.query_protocol import element


def _check(call: Call, action: str) -> str:
    """Return the name of the role that a call is about, if the caller may do that. Raises AccessDenied."""
    name = call.text("RoleName", most=64)
    found = call.registry.directory.named(RoleRecord, name)
    call.require(f"iam:{action}", found.arn if found else arn("role", name))
    return name


def _seconds(call: Call) -> int:
    return call.number("MaxSessionDuration", kept.LEAST_SECONDS, kept.LEAST_SECONDS, kept.MOST_SECONDS)


async def create_role(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html"""
    name, path = call.text("RoleName", most=64), call.optional("Path", "/")
    boundary = call.optional("PermissionsBoundary")
    call.require("iam:CreateRole", arn("role", path + name), boundary=boundary)
    tags = call.tags()
    if tags:
        call.require("iam:TagRole", arn("role", path + name))
    record = await kept.create_role(
        call.registry,
        name,
        call.text("AssumeRolePolicyDocument", most=131_072),
        path=path,
        description=call.optional("Description"),
        most_seconds=_seconds(call),
        tags=tags,
        boundary=boundary,
    )
    return f"<Role>{shown.role(record, call.registry.directory)}</Role>"


async def get_role(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html"""
    directory = call.registry.directory
    return f"<Role>{shown.role(pick(directory, RoleRecord, _check(call, 'GetRole')), directory)}</Role>"


async def list_roles(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoles.html"""
    prefix = call.path_prefix()
    call.require("iam:ListRoles", arn("role", prefix))
    found = [role for role in call.registry.directory.all(RoleRecord) if role.path.startswith(prefix)]
    return call.page(
        found, lambda it: it.name, lambda it: f"<member>{shown.role(it, call.registry.directory)}</member>", "Roles"
    )


async def update_role(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html"""
    name = _check(call, "UpdateRole")
    description = call.optional("Description") if "Description" in call.parameters else None
    seconds = _seconds(call) if "MaxSessionDuration" in call.parameters else None
    await kept.update_role(call.registry, name, description=description, most_seconds=seconds)
    return ""


async def update_assume_role_policy(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html"""
    name = _check(call, "UpdateAssumeRolePolicy")
    await kept.update_role(call.registry, name, trust=call.text("PolicyDocument", most=131_072))
    return ""


async def delete_role(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html"""
    await kept.delete_role(call.registry, _check(call, "DeleteRole"))
    return ""


async def list_instance_profiles_for_role(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListInstanceProfilesForRole.html

    There are none; programs ask before they remove a role.
    """
    pick(call.registry.directory, RoleRecord, _check(call, "ListInstanceProfilesForRole"))
    return members("InstanceProfiles", []) + element("IsTruncated", False)


async def tag_role(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagRole.html"""
    await holders.add_tags(call.registry, RoleRecord, _check(call, "TagRole"), call.some_tags())
    return ""


async def untag_role(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagRole.html"""
    keys = frozenset(call.some("TagKeys"))
    await holders.remove_tags(call.registry, RoleRecord, _check(call, "UntagRole"), keys)
    return ""


async def list_role_tags(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoleTags.html"""
    return shown.all_tags(pick(call.registry.directory, RoleRecord, _check(call, "ListRoleTags")))


ACTIONS: dict[str, Action] = {
    "CreateRole": create_role,
    "DeleteRole": delete_role,
    "GetRole": get_role,
    "ListInstanceProfilesForRole": list_instance_profiles_for_role,
    "ListRoleTags": list_role_tags,
    "ListRoles": list_roles,
    "TagRole": tag_role,
    "UntagRole": untag_role,
    "UpdateAssumeRolePolicy": update_assume_role_policy,
    "UpdateRole": update_role,
}
