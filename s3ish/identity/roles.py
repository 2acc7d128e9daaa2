"""Roles: made, changed, removed.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html
"""

from msgspec.structs import replace

from s3ish.auth.lasting import with_principals
from s3ish.auth.policy import read_trust_policy
from s3ish.errors import DeleteConflict, LimitExceeded, ValidationError
from s3ish.identity.directory import Directory
from s3ish.identity.holders import check_attached
from s3ish.identity.names import check_description, check_document, check_name, check_path, check_tags
from s3ish.identity.picking import check_free, new_id, pick
from s3ish.identity.records import Pairs, RoleRecord
from s3ish.identity.registry import Add, Registry, Remove, Replace

MOST_ROLES = 1000
MOST_TRUST_CHARACTERS = 4096
LEAST_SECONDS, MOST_SECONDS = 3600, 43_200


async def create_role(
    registry: Registry,
    name: str,
    trust: str,
    *,
    path: str = "/",
    description: str = "",
    most_seconds: int = LEAST_SECONDS,
    tags: Pairs = (),
    boundary: str = "",
) -> RoleRecord:
    """Make a role.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html

    Args:
        trust: the policy that says who may assume it.
        most_seconds: how long a session may last.
        boundary: the ARN of the managed policy that bounds its rights, empty if none does.

    Raises:
        EntityAlreadyExists, LimitExceeded, NoSuchEntity, MalformedPolicyDocument, ValidationError, InvalidInput.
    """
    clock = registry.store.clock
    role = RoleRecord(
        id=new_id(RoleRecord, clock),
        name=check_name(name, "roleName"),
        created_ns=clock.service_ns(),
        path=check_path(path),
        tags=check_tags(tags),
        trust=check_document(trust, MOST_TRUST_CHARACTERS, read_trust_policy),
        description=check_description(description),
        most_seconds=_check_seconds(most_seconds),
        boundary=boundary,
    )

    def decide(directory: Directory) -> tuple[Add, RoleRecord]:
        check_free(directory, RoleRecord, name)
        if len(directory.all(RoleRecord)) >= MOST_ROLES:
            raise LimitExceeded(f"Cannot exceed quota for RolesPerAccount: {MOST_ROLES}")
        wanted = replace(role, trust=with_principals(trust, directory.id_of))
        check_attached(directory, wanted)
        return Add(wanted), wanted

    return await registry.change(decide)


async def update_role(
    registry: Registry,
    name: str,
    *,
    trust: str | None = None,
    description: str | None = None,
    most_seconds: int | None = None,
) -> None:
    """Change what is given of a role.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html

    Raises:
        NoSuchEntity, MalformedPolicyDocument, LimitExceeded, ValidationError.
    """
    if trust is not None:
        check_document(trust, MOST_TRUST_CHARACTERS, read_trust_policy)
    if description is not None:
        check_description(description)
    if most_seconds is not None:
        _check_seconds(most_seconds)

    def decide(directory: Directory) -> tuple[Replace, None]:
        role = pick(directory, RoleRecord, name)
        changed = replace(
            role,
            trust=role.trust if trust is None else with_principals(trust, directory.id_of),
            description=role.description if description is None else description,
            most_seconds=role.most_seconds if most_seconds is None else most_seconds,
        )
        return Replace(changed), None

    await registry.change(decide)


async def delete_role(registry: Registry, name: str, *, with_all: bool = False) -> None:
    """Remove a role. Its sessions stop.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html

    Args:
        with_all: also one that has policies.

    Raises:
        NoSuchEntity, DeleteConflict.
    """

    def decide(directory: Directory) -> tuple[Remove, None]:
        role = pick(directory, RoleRecord, name)
        first = ("delete policies first" if role.inline else "") or (
            "detach all policies first" if role.attached else ""
        )
        if first and not with_all:
            raise DeleteConflict(f"Cannot delete entity, must {first}.")
        return Remove(role), None

    await registry.change(decide)


def _check_seconds(seconds: int) -> int:
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise ValidationError(f"MaxSessionDuration must be from {LEAST_SECONDS} to {MOST_SECONDS}")
    return seconds
