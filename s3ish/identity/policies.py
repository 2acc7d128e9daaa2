"""Managed policies and their versions.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html
"""

from msgspec.structs import replace

from s3ish.errors import DeleteConflict, LimitExceeded, NoSuchEntity
from s3ish.identity.directory import Directory
from s3ish.identity.names import check_description, check_document, check_name, check_path, check_tags
from s3ish.identity.picking import check_free, new_id, pick_policy_to_change
from s3ish.identity.records import Pairs, PolicyRecord, PolicyVersion
from s3ish.identity.registry import Add, Registry, Remove, Replace

MOST_POLICIES = 1500
MOST_VERSIONS = 5
MOST_CHARACTERS = 6144
"""How long the document of one may be, beside white space."""


async def create_policy(
    registry: Registry, name: str, document: str, *, path: str = "/", description: str = "", tags: Pairs = ()
) -> PolicyRecord:
    """Make a managed policy.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html

    Raises:
        EntityAlreadyExists, LimitExceeded, MalformedPolicyDocument, ValidationError, InvalidInput.
    """
    clock = registry.store.clock
    now = clock.service_ns()
    policy = PolicyRecord(
        id=new_id(PolicyRecord, clock),
        name=check_name(name, "policyName", 128),
        created_ns=now,
        path=check_path(path),
        tags=check_tags(tags),
        versions=(PolicyVersion("v1", check_document(document, MOST_CHARACTERS), now),),
        default="v1",
        description=check_description(description),
    )

    def decide(directory: Directory) -> tuple[Add, PolicyRecord]:
        check_free(directory, PolicyRecord, name)
        if len(directory.all(PolicyRecord)) >= MOST_POLICIES:
            raise LimitExceeded(f"Cannot exceed quota for PoliciesPerAccount: {MOST_POLICIES}")
        return Add(policy), policy

    return await registry.change(decide)


async def delete_policy(registry: Registry, arn: str, *, with_versions: bool = False) -> None:
    """Remove a managed policy that is attached to nothing.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html

    Args:
        with_versions: also one that has versions beside the default.

    Raises:
        NoSuchEntity, UnmodifiableEntity, DeleteConflict.
    """

    def decide(directory: Directory) -> tuple[Remove, None]:
        policy = pick_policy_to_change(directory, arn)
        if directory.attached_to(arn) or directory.bounded_by(arn):
            raise DeleteConflict("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1 and not with_versions:
            raise DeleteConflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
        return Remove(policy), None

    await registry.change(decide)


async def add_version(
    registry: Registry, arn: str, document: str, *, is_default: bool, drop_oldest: bool = False
) -> PolicyVersion:
    """Add a version to a managed policy.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicyVersion.html

    Args:
        is_default: whether it counts from now on.
        drop_oldest: whether the oldest that does not count makes room where there are too many.

    Raises:
        NoSuchEntity, UnmodifiableEntity, LimitExceeded, MalformedPolicyDocument.
    """
    check_document(document, MOST_CHARACTERS)
    now = registry.store.clock.service_ns()

    def decide(directory: Directory) -> tuple[Replace, PolicyVersion]:
        policy = pick_policy_to_change(directory, arn)
        version = PolicyVersion(f"v{policy.made + 1}", document, now)
        versions = [*policy.versions, version]
        default = version.id if is_default else policy.default
        if len(versions) > MOST_VERSIONS and drop_oldest:
            versions.remove(next(it for it in versions if it.id != default))
        if len(versions) > MOST_VERSIONS:
            raise LimitExceeded(
                f"A managed policy can have up to {MOST_VERSIONS} versions. Before you create a new version, you must "
                "delete an existing version."
            )
        changed = replace(policy, versions=tuple(versions), default=default, made=policy.made + 1, updated_ns=now)
        return Replace(changed), version

    return await registry.change(decide)


async def set_default(registry: Registry, arn: str, version_id: str) -> None:
    """Let another version count.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SetDefaultPolicyVersion.html

    Raises:
        NoSuchEntity, UnmodifiableEntity.
    """

    def decide(directory: Directory) -> tuple[Replace, None]:
        policy = pick_policy_to_change(directory, arn)
        find_version(policy, version_id)
        return Replace(replace(policy, default=version_id)), None

    await registry.change(decide)


async def delete_version(registry: Registry, arn: str, version_id: str) -> None:
    """Remove a version that does not count.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicyVersion.html

    Raises:
        NoSuchEntity, UnmodifiableEntity, DeleteConflict.
    """

    def decide(directory: Directory) -> tuple[Replace, None]:
        policy = pick_policy_to_change(directory, arn)
        version = find_version(policy, version_id)
        if version_id == policy.default:
            raise DeleteConflict("Cannot delete the default version of a policy.")
        return Replace(replace(policy, versions=tuple(it for it in policy.versions if it != version))), None

    await registry.change(decide)


def find_version(policy: PolicyRecord, version_id: str) -> PolicyVersion:
    """Return a version of a policy. Raises NoSuchEntity."""
    found = next((version for version in policy.versions if version.id == version_id), None)
    if found is None:
        raise NoSuchEntity(f"Policy {policy.name} version {version_id[:32]} does not exist.")
    return found
