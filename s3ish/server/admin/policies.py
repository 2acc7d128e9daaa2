"""Managed policies in the admin API, and the policies of users, groups and roles."""

import json
from typing import Any

from s3ish.auth.ready_policies import READY
from s3ish.identity import holders, policies
from s3ish.identity.directory import ready_policy
from s3ish.identity.picking import pick, pick_policy
from s3ish.identity.records import GroupRecord, Holder, PolicyRecord, RoleRecord, UserRecord
from s3ish.server.admin import shown
from s3ish.server.admin.call import AdminCall, Handler, arn_of

KINDS: dict[str, type[Holder]] = {"user": UserRecord, "group": GroupRecord, "role": RoleRecord}
"""What has policies, by what the part of the path is called that names it."""


async def list_policies(call: AdminCall) -> Any:
    """Return all managed policies, those that are always there too."""
    call.require("s3ish:ListPolicies", "*")
    own = call.directory.all(PolicyRecord)
    names = {policy.name for policy in own}
    found = [*own, *(ready_policy(name) for name in READY if name not in names)]
    found.sort(key=lambda policy: policy.name)
    return call.page(found, "policies", lambda policy: shown.policy(policy, call.directory))


async def get_policy(call: AdminCall) -> Any:
    """Return a managed policy."""
    arn = call.policy_arn(call.names["policy"])
    call.require("s3ish:GetPolicy", arn)
    return shown.policy(pick_policy(call.directory, arn), call.directory)


async def put_policy(call: AdminCall) -> Any:
    """Make a managed policy, or let another document of it count."""
    name, document = call.names["policy"], call.text()
    found = call.directory.named(PolicyRecord, name)
    if found is not None:
        call.require("s3ish:CreatePolicyVersion", found.arn)
        await policies.add_version(call.registry, found.arn, document, is_default=True, drop_oldest=True)
        return shown.policy(pick_policy(call.directory, found.arn), call.directory)
    call.require("s3ish:CreatePolicy", arn_of(PolicyRecord, "/", name))
    return shown.policy(await policies.create_policy(call.registry, name, document), call.directory)


async def delete_policy(call: AdminCall) -> Any:
    """Remove a managed policy that is attached to nothing, with all its versions."""
    arn = call.policy_arn(call.names["policy"])
    call.require("s3ish:DeletePolicy", arn)
    await policies.delete_policy(call.registry, arn, with_versions=True)


def attach(noun: str) -> Handler:
    """Return what attaches a managed policy."""

    async def act(call: AdminCall) -> Any:
        name = call.names[noun]
        arn = call.policy_arn(call.names["policy"])
        call.check(f"Attach{noun.capitalize()}Policy", KINDS[noun], name, arn)
        await holders.attach(call.registry, KINDS[noun], name, arn)

    return act


def detach(noun: str) -> Handler:
    """Return what detaches a managed policy."""

    async def act(call: AdminCall) -> Any:
        name = call.names[noun]
        arn = call.policy_arn(call.names["policy"])
        call.check(f"Detach{noun.capitalize()}Policy", KINDS[noun], name, arn)
        await holders.detach(call.registry, KINDS[noun], name, arn)

    return act


def set_boundary(noun: str) -> Handler:
    """Return what bounds the rights of a user or role by a managed policy."""

    async def act(call: AdminCall) -> Any:
        name = call.names[noun]
        arn = call.policy_arn(call.names["policy"])
        call.check(f"Put{noun.capitalize()}PermissionsBoundary", KINDS[noun], name, boundary=arn)
        await holders.set_boundary(call.registry, KINDS[noun], name, arn)

    return act


def end_boundary(noun: str) -> Handler:
    """Return what lets the policies of a user or role give all that they say."""

    async def act(call: AdminCall) -> Any:
        name = call.names[noun]
        call.check(f"Delete{noun.capitalize()}PermissionsBoundary", KINDS[noun], name)
        await holders.set_boundary(call.registry, KINDS[noun], name, "")

    return act


def put_inline(noun: str) -> Handler:
    """Return what gives a policy of its own."""

    async def act(call: AdminCall) -> Any:
        name = call.names[noun]
        call.check(f"Put{noun.capitalize()}Policy", KINDS[noun], name)
        await holders.put_inline(call.registry, KINDS[noun], name, call.names["policy"], call.text())

    return act


def get_inline(noun: str) -> Handler:
    """Return what shows the document of a policy of its own."""

    async def act(call: AdminCall) -> Any:
        name = call.names[noun]
        call.check(f"Get{noun.capitalize()}Policy", KINDS[noun], name)
        return json.loads(holders.find_inline(pick(call.directory, KINDS[noun], name), call.names["policy"]))

    return act


def delete_inline(noun: str) -> Handler:
    """Return what takes away a policy of its own."""

    async def act(call: AdminCall) -> Any:
        name = call.names[noun]
        call.check(f"Delete{noun.capitalize()}Policy", KINDS[noun], name)
        await holders.delete_inline(call.registry, KINDS[noun], name, call.names["policy"])

    return act
