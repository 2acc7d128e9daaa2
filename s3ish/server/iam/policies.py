"""Managed policies, as the IAM query API names them.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
"""

from s3ish.auth.ready_policies import READY
from s3ish.errors import ValidationError
from s3ish.identity import holders
from s3ish.identity import policies as kept
from s3ish.identity.directory import READY_ARN, ready_policy
from s3ish.identity.picking import pick_policy, pick_policy_to_change
from s3ish.identity.records import GroupRecord, PolicyRecord, RoleRecord, UserRecord, arn
from s3ish.server.iam import shown
from s3ish.server.query_call import Action, Call, members
from s3ish.server.query_protocol import element

_DOCUMENT_CHARACTERS = 131_072
_USAGES = ("PermissionsPolicy", "PermissionsBoundary")


def _check(call: Call, action: str) -> str:
    """Return the ARN of the policy that a call is about, if the caller may do that. Raises AccessDenied."""
    policy = call.text("PolicyArn")
    call.require(f"iam:{action}", policy)
    return policy


async def create_policy(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html"""
    name, path = call.text("PolicyName", most=128), call.optional("Path", "/")
    call.require("iam:CreatePolicy", arn("policy", path + name))
    tags = call.tags()
    if tags:
        call.require("iam:TagPolicy", arn("policy", path + name))
    record = await kept.create_policy(
        call.registry,
        name,
        call.text("PolicyDocument", most=_DOCUMENT_CHARACTERS),
        path=path,
        description=call.optional("Description"),
        tags=tags,
    )
    return f"<Policy>{shown.policy(record, record.arn, call.registry.directory)}</Policy>"


async def get_policy(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetPolicy.html"""
    policy = _check(call, "GetPolicy")
    directory = call.registry.directory
    return f"<Policy>{shown.policy(pick_policy(directory, policy), policy, directory)}</Policy>"


async def list_policies(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicies.html"""
    call.require("iam:ListPolicies", "*")
    scope, prefix = call.optional("Scope", "All"), call.path_prefix()
    if scope not in ("All", "AWS", "Local"):
        raise ValidationError("Scope must be All, AWS or Local")
    directory, attached_only = call.registry.directory, call.flag("OnlyAttached")
    own = [(policy.arn, policy) for policy in directory.all(PolicyRecord)] if scope != "AWS" else []
    ready = [(READY_ARN + name, ready_policy(name)) for name in READY] if scope != "Local" else []
    found = [
        (policy_arn, policy)
        for policy_arn, policy in own + ready
        if policy.path.startswith(prefix)
        and (not attached_only or directory.attached_to(policy_arn) or directory.bounded_by(policy_arn))
    ]
    return call.page(
        sorted(found, key=lambda it: it[0]),
        lambda it: it[0],
        lambda it: f"<member>{shown.policy(it[1], it[0], directory)}</member>",
        "Policies",
    )


async def delete_policy(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html"""
    await kept.delete_policy(call.registry, _check(call, "DeletePolicy"))
    return ""


async def create_policy_version(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicyVersion.html"""
    policy, document = _check(call, "CreatePolicyVersion"), call.text("PolicyDocument", most=_DOCUMENT_CHARACTERS)
    version = await kept.add_version(call.registry, policy, document, is_default=call.flag("SetAsDefault"))
    record = pick_policy(call.registry.directory, policy)
    return f"<PolicyVersion>{shown.version(record, version, whole=False)}</PolicyVersion>"


async def get_policy_version(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetPolicyVersion.html"""
    record = pick_policy(call.registry.directory, _check(call, "GetPolicyVersion"))
    version = kept.find_version(record, call.text("VersionId"))
    return f"<PolicyVersion>{shown.version(record, version, whole=True)}</PolicyVersion>"


async def list_policy_versions(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicyVersions.html"""
    record = pick_policy(call.registry.directory, _check(call, "ListPolicyVersions"))
    versions = [shown.version(record, version, whole=False) for version in reversed(record.versions)]
    return members("Versions", versions) + element("IsTruncated", False)


async def set_default_policy_version(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_SetDefaultPolicyVersion.html"""
    policy = _check(call, "SetDefaultPolicyVersion")
    await kept.set_default(call.registry, policy, call.text("VersionId"))
    return ""


async def delete_policy_version(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicyVersion.html"""
    policy = _check(call, "DeletePolicyVersion")
    await kept.delete_version(call.registry, policy, call.text("VersionId"))
    return ""


async def list_entities_for_policy(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListEntitiesForPolicy.html"""
    policy = _check(call, "ListEntitiesForPolicy")
    usage = call.optional("PolicyUsageFilter")
    if usage not in ("", *_USAGES):
        raise ValidationError(f"PolicyUsageFilter must be one of {', '.join(_USAGES)}")
    wanted, prefix = call.optional("EntityFilter"), call.path_prefix()
    pick_policy(call.registry.directory, policy)
    directory = call.registry.directory
    uses = zip(_USAGES, (directory.attached_to, directory.bounded_by), strict=True)
    using = {it.id: it for name, find in uses if usage in ("", name) for it in find(policy)}
    found = sorted((it for it in using.values() if it.path.startswith(prefix)), key=lambda it: it.name)
    lists = ((UserRecord, "User"), (GroupRecord, "Group"), (RoleRecord, "Role"))
    return "".join(
        members(
            f"Policy{noun}s",
            [
                element(f"{noun}Name", it.name) + element(f"{noun}Id", it.id)
                for it in found
                if isinstance(it, kind) and wanted in ("", noun)
            ],
        )
        for kind, noun in lists
    ) + element("IsTruncated", False)


async def tag_policy(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagPolicy.html"""
    name = pick_policy_to_change(call.registry.directory, _check(call, "TagPolicy")).name
    await holders.add_tags(call.registry, PolicyRecord, name, call.some_tags())
    return ""


async def untag_policy(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagPolicy.html"""
    name = pick_policy_to_change(call.registry.directory, _check(call, "UntagPolicy")).name
    await holders.remove_tags(call.registry, PolicyRecord, name, frozenset(call.some("TagKeys")))
    return ""


async def list_policy_tags(call: Call) -> str:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicyTags.html"""
    return shown.all_tags(pick_policy(call.registry.directory, _check(call, "ListPolicyTags")))


ACTIONS: dict[str, Action] = {
    "CreatePolicy": create_policy,
    "CreatePolicyVersion": create_policy_version,
    "DeletePolicy": delete_policy,
    "DeletePolicyVersion": delete_policy_version,
    "GetPolicy": get_policy,
    "GetPolicyVersion": get_policy_version,
    "ListEntitiesForPolicy": list_entities_for_policy,
    "ListPolicies": list_policies,
    "ListPolicyTags": list_policy_tags,
    "ListPolicyVersions": list_policy_versions,
    "SetDefaultPolicyVersion": set_default_policy_version,
    "TagPolicy": tag_policy,
    "UntagPolicy": untag_policy,
}
