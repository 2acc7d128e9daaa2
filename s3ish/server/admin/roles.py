"""Roles in the admin API."""

from typing import Any

from msgspec import Raw, Struct

from s3ish.identity import roles
from s3ish.identity.picking import pick
from s3ish.identity.records import RoleRecord
from s3ish.server.admin import shown
from s3ish.server.admin.call import AdminCall, arn_of


class NewRole(Struct, frozen=True, forbid_unknown_fields=True):
    """A role to be made; ``trust`` is the policy that says who may assume it, ``boundary`` a name or ARN."""

    name: str
    trust: Raw
    path: str = "/"
    description: str = ""
    max_session_seconds: int = roles.LEAST_SECONDS
    boundary: str = ""


async def list_roles(call: AdminCall) -> Any:
    """Return all roles."""
    call.require("s3ish:ListRoles", arn_of(RoleRecord, "/", ""))
    return call.page(call.directory.all(RoleRecord), "roles", lambda role: shown.role(role, call.directory))


async def create_role(call: AdminCall) -> Any:
    """Make a role."""
    wanted = call.read(NewRole)
    boundary = call.policy_arn(wanted.boundary) if wanted.boundary else ""
    call.require("s3ish:CreateRole", arn_of(RoleRecord, wanted.path, wanted.name), boundary=boundary)
    role = await roles.create_role(
        call.registry,
        wanted.name,
        bytes(wanted.trust).decode(),
        path=wanted.path,
        description=wanted.description,
        most_seconds=wanted.max_session_seconds,
        boundary=boundary,
    )
    return shown.role(role, call.directory)


async def get_role(call: AdminCall) -> Any:
    """Return a role."""
    call.check("GetRole", RoleRecord, call.names["role"])
    return shown.role(pick(call.directory, RoleRecord, call.names["role"]), call.directory)


async def put_trust(call: AdminCall) -> Any:
    """Replace the policy that says who may assume a role."""
    name = call.names["role"]
    call.check("UpdateAssumeRolePolicy", RoleRecord, name)
    await roles.update_role(call.registry, name, trust=call.text())


async def delete_role(call: AdminCall) -> Any:
    """Remove a role with its policies."""
    name = call.names["role"]
    call.check("DeleteRole", RoleRecord, name)
    await roles.delete_role(call.registry, name, with_all=True)
