"""What users, groups and roles have alike: attached and inline policies, and tags.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-vs-inline.html
"""

from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from s3ish.errors import LimitExceeded, NoSuchEntity
from s3ish.identity.directory import Directory
from s3ish.identity.names import check_document, check_name, check_tags, length
from s3ish.identity.picking import pick_policy, pick_to_change
from s3ish.identity.records import GroupRecord, Holder, Pairs, Record, RoleRecord, UserRecord
from s3ish.identity.registry import Registry, Replace

H = TypeVar("H", bound=Holder)
R = TypeVar("R", bound=Record)

MOST_ATTACHED = 20
MOST_INLINE: dict[type[Record], int] = {UserRecord: 2048, GroupRecord: 5120, RoleRecord: 10_240}
"""How many characters all inline policies may have, beside white space."""


async def put_inline(registry: Registry, kind: type[H], name: str, policy_name: str, document: str) -> None:
    """Give a user, group or role a policy of its own, in place of one of the same name.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPolicy.html

    Raises:
        NoSuchEntity, UnmodifiableEntity, LimitExceeded, MalformedPolicyDocument, ValidationError.
    """
    check_name(policy_name, "policyName", 128)
    most = MOST_INLINE[kind]
    check_document(document, most)

    def become(holder: H) -> H:
        inline = {**holder.inline, policy_name: document}
        if sum(map(length, inline.values())) > most:
            raise LimitExceeded(f"Maximum policy size of {most} bytes exceeded for {kind.noun} {name}")
        return replace(holder, inline=inline)

    await _change(registry, kind, name, lambda holder, _: become(holder))


def find_inline(holder: Holder, policy_name: str) -> str:
    """Return the document of a policy of its own. Raises NoSuchEntity."""
    document = holder.inline.get(policy_name)
    if document is None:
        raise NoSuchEntity(f"The {holder.noun} policy with name {policy_name[:128]} cannot be found.")
    return document


async def delete_inline(registry: Registry, kind: type[H], name: str, policy_name: str) -> None:
    """Take a policy of its own from a user, group or role.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUserPolicy.html

    Raises:
        NoSuchEntity, UnmodifiableEntity.
    """

    def become(holder: H, _: Directory) -> H:
        find_inline(holder, policy_name)
        return replace(holder, inline={key: text for key, text in holder.inline.items() if key != policy_name})

    await _change(registry, kind, name, become)


async def attach(registry: Registry, kind: type[H], name: str, arn: str) -> None:
    """Attach a managed policy; one that is attached stays.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachUserPolicy.html

    Raises:
        NoSuchEntity, UnmodifiableEntity, LimitExceeded.
    """

    def become(holder: H, directory: Directory) -> H:
        if arn in holder.attached:
            return holder
        wanted = replace(holder, attached=(*holder.attached, arn))
        check_attached(directory, wanted)
        return wanted

    await _change(registry, kind, name, become)


async def detach(registry: Registry, kind: type[H], name: str, arn: str) -> None:
    """Detach a managed policy.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DetachUserPolicy.html

    Raises:
        NoSuchEntity, UnmodifiableEntity.
    """

    def become(holder: H, _: Directory) -> H:
        if arn not in holder.attached:
            raise NoSuchEntity(f"Policy {arn[:256]} was not found.")
        return replace(holder, attached=tuple(it for it in holder.attached if it != arn))

    await _change(registry, kind, name, become)


async def set_boundary(registry: Registry, kind: type[H], name: str, arn: str) -> None:
    """Bound what a user or role may by a managed policy; an empty ARN ends that.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPermissionsBoundary.html

    Raises:
        NoSuchEntity, UnmodifiableEntity.
    """

    def become(holder: H, directory: Directory) -> H:
        if not arn and not holder.boundary:
            raise NoSuchEntity(f"{kind.noun.capitalize()} {name[:128]} does not have permission boundary.")
        wanted = replace(holder, boundary=arn)
        check_attached(directory, wanted)
        return wanted

    await _change(registry, kind, name, become)


async def add_tags(registry: Registry, kind: type[R], name: str, tags: Pairs) -> None:
    """Give a record tags, in place of those with the same keys. Raises S3Error.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagUser.html
    """
    check_tags(tags)
    keys = {key.lower() for key, _ in tags}
    await _change(
        registry,
        kind,
        name,
        lambda it, _: replace(it, tags=check_tags((*(pair for pair in it.tags if pair[0].lower() not in keys), *tags))),
    )


async def remove_tags(registry: Registry, kind: type[R], name: str, keys: frozenset[str]) -> None:
    """Take tags from a record; keys that it does not have change nothing. Raises S3Error.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagUser.html
    """
    await _change(
        registry, kind, name, lambda it, _: replace(it, tags=tuple(pair for pair in it.tags if pair[0] not in keys))
    )


def check_attached(directory: Directory, holder: Holder) -> None:
    """Check that the policies that are attached exist, and are not too many. Raises NoSuchEntity, LimitExceeded."""
    for arn in (*holder.attached, *([holder.boundary] if holder.boundary else ())):
        pick_policy(directory, arn)
    if len(holder.attached) > MOST_ATTACHED:
        raise LimitExceeded(f"Cannot exceed quota for PoliciesPer{holder.noun.capitalize()}: {MOST_ATTACHED}")


async def _change(registry: Registry, kind: type[R], name: str, become: Callable[[R, Directory], R]) -> None:
    def decide(directory: Directory) -> tuple[Replace | None, None]:
        record = pick_to_change(directory, kind, name)
        wanted = become(record, directory)
        return (Replace(wanted) if wanted != record else None), None

    await registry.change(decide)
