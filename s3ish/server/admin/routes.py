"""The calls of the admin API: method, path and who answers; docs/admin-api.yaml describes them."""

from typing import Any, NamedTuple

from s3ish import __version__
from s3ish.identity.records import KINDS
from s3ish.server.admin import buckets, explain, groups, policies, roles, users
from s3ish.server.admin.call import AdminCall, Handler

PREFIX = "/-/admin"


class Route(NamedTuple):
    """One call; a part of the path in braces varies."""

    method: str
    path: str
    action: str
    handler: Handler
    status: int = 200


async def get_info(call: AdminCall) -> Any:
    """Return what the server is, and how much of what it has."""
    call.require("s3ish:GetInfo", "*")
    return {
        "version": __version__,
        "region": call.registry.store.region,
        "encrypted_secrets": call.registry.secrets.are_encrypted,
        **{kind.folder: len(call.directory.all(kind)) for kind in KINDS},
    }


def _of_holders(noun: str, folder: str) -> tuple[Route, ...]:
    """Return the calls for the policies of users, groups or roles."""
    attached, inline = f"/{folder}/{{{noun}}}/policies/{{policy}}", f"/{folder}/{{{noun}}}/inline/{{policy}}"
    title = noun.capitalize()
    return (
        Route("PUT", attached, f"Attach{title}Policy", policies.attach(noun), 204),
        Route("DELETE", attached, f"Detach{title}Policy", policies.detach(noun), 204),
        Route("GET", inline, f"Get{title}Policy", policies.get_inline(noun)),
        Route("PUT", inline, f"Put{title}Policy", policies.put_inline(noun), 204),
        Route("DELETE", inline, f"Delete{title}Policy", policies.delete_inline(noun), 204),
    )


def _of_bounded(noun: str, folder: str) -> tuple[Route, ...]:
    """Return the calls for the permissions boundaries of users or roles."""
    path, action = f"/{folder}/{{{noun}}}/boundary", f"{noun.capitalize()}PermissionsBoundary"
    return (
        Route("PUT", f"{path}/{{policy}}", f"Put{action}", policies.set_boundary(noun), 204),
        Route("DELETE", path, f"Delete{action}", policies.end_boundary(noun), 204),
    )


ROUTES = (
    Route("GET", "/info", "GetInfo", get_info),
    Route("GET", "/explain", "Explain", explain.list_refusals),
    Route("POST", "/explain", "Explain", explain.decide),
    Route("GET", "/explain/{request}", "Explain", explain.explain_request),
    Route("GET", "/buckets/{bucket}/owner", "GetBucketOwner", buckets.get_owner),
    Route("PUT", "/buckets/{bucket}/owner", "PutBucketOwner", buckets.put_owner),
    Route("GET", "/users", "ListUsers", users.list_users),
    Route("POST", "/users", "CreateUser", users.create_user, 201),
    Route("GET", "/users/{user}", "GetUser", users.get_user),
    Route("DELETE", "/users/{user}", "DeleteUser", users.delete_user, 204),
    Route("POST", "/users/{user}/keys", "CreateAccessKey", users.create_key, 201),
    Route("PATCH", "/users/{user}/keys/{key}", "UpdateAccessKey", users.update_key, 204),
    Route("DELETE", "/users/{user}/keys/{key}", "DeleteAccessKey", users.delete_key, 204),
    *_of_holders("user", "users"),
    *_of_bounded("user", "users"),
    Route("GET", "/groups", "ListGroups", groups.list_groups),
    Route("POST", "/groups", "CreateGroup", groups.create_group, 201),
    Route("GET", "/groups/{group}", "GetGroup", groups.get_group),
    Route("DELETE", "/groups/{group}", "DeleteGroup", groups.delete_group, 204),
    Route("PUT", "/groups/{group}/users/{user}", "AddUserToGroup", groups.add_user, 204),
    Route("DELETE", "/groups/{group}/users/{user}", "RemoveUserFromGroup", groups.remove_user, 204),
    *_of_holders("group", "groups"),
    Route("GET", "/policies", "ListPolicies", policies.list_policies),
    Route("GET", "/policies/{policy}", "GetPolicy", policies.get_policy),
    Route("PUT", "/policies/{policy}", "PutPolicy", policies.put_policy),
    Route("DELETE", "/policies/{policy}", "DeletePolicy", policies.delete_policy, 204),
    Route("GET", "/roles", "ListRoles", roles.list_roles),
    Route("POST", "/roles", "CreateRole", roles.create_role, 201),
    Route("GET", "/roles/{role}", "GetRole", roles.get_role),
    Route("DELETE", "/roles/{role}", "DeleteRole", roles.delete_role, 204),
    Route("PUT", "/roles/{role}/trust", "UpdateAssumeRolePolicy", roles.put_trust, 204),
    *_of_holders("role", "roles"),
    *_of_bounded("role", "roles"),
)
