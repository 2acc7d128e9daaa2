"""Users: made, changed, removed.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_users.html
"""

from collections.abc import Sequence

from msgspec.structs import replace

from s3ish.errors import DeleteConflict, LimitExceeded, NoSuchEntity, UnmodifiableEntity
from s3ish.identity.directory import Directory
from s3ish.identity.holders import check_attached
from s3ish.identity.keys import NewKey, check_key_is_new
from s3ish.identity.names import check_name, check_path, check_tags
from s3ish.identity.picking import check_free, new_id, pick, pick_to_change
from s3ish.identity.records import GroupRecord, Pairs, UserRecord
from s3ish.identity.registry import Add, Registry, Remove, Replace

MOST_USERS = 5000
MOST_GROUPS = 10
"""How many groups a user may be in."""


async def create_user(
    registry: Registry,
    name: str,
    *,
    path: str = "/",
    tags: Pairs = (),
    groups: Sequence[str] = (),
    attached: Sequence[str] = (),
    boundary: str = "",
    key: NewKey | None = None,
) -> UserRecord:
    """Make a user, at once with what it is to have.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html

    Args:
        groups: names of groups.
        attached: ARNs of managed policies.
        boundary: the ARN of the managed policy that bounds its rights, empty if none does.
        key: its first key.

    Raises:
        EntityAlreadyExists, NoSuchEntity, LimitExceeded, ValidationError, InvalidInput.
    """
    user = UserRecord(
        id=new_id(UserRecord, registry.store.clock),
        name=check_name(name, "userName"),
        created_ns=registry.store.clock.service_ns(),
        path=check_path(path),
        tags=check_tags(tags),
        boundary=boundary,
        keys=(key.key,) if key else (),
    )

    def decide(directory: Directory) -> tuple[Add, UserRecord]:
        check_free(directory, UserRecord, name)
        if key:
            check_key_is_new(directory, key.key.id)
        if len(directory.all(UserRecord)) >= MOST_USERS:
            raise LimitExceeded(f"Cannot exceed quota for UsersPerAccount: {MOST_USERS}")
        ids = tuple(dict.fromkeys(pick(directory, GroupRecord, group).id for group in groups))
        _check_groups(ids)
        wanted = replace(user, groups=ids, attached=tuple(dict.fromkeys(attached)))
        check_attached(directory, wanted)
        return Add(wanted), wanted

    return await registry.change(decide)


async def update_user(registry: Registry, name: str, *, new_name: str = "", new_path: str = "") -> None:
    """Give a user another name or path; empty texts leave it.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateUser.html

    Raises:
        NoSuchEntity, UnmodifiableEntity, EntityAlreadyExists, ValidationError.
    """
    if new_name:
        check_name(new_name, "newUserName")
    if new_path:
        check_path(new_path, "newPath")

    def decide(directory: Directory) -> tuple[Replace, None]:
        user = pick_to_change(directory, UserRecord, name)
        if new_name and new_name.lower() != name.lower():
            check_free(directory, UserRecord, new_name)
        return Replace(replace(user, name=new_name or name, path=new_path or user.path)), None

    await registry.change(decide)


async def delete_user(registry: Registry, name: str, *, with_all: bool = False) -> None:
    """Remove a user. Its keys and sessions stop.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html

    Args:
        with_all: also one that has keys or policies, or is in groups.

    Raises:
        NoSuchEntity, UnmodifiableEntity, DeleteConflict.
    """

    def decide(directory: Directory) -> tuple[Remove, None]:
        user = pick_to_change(directory, UserRecord, name)
        first = (
            ("delete access keys first" if user.keys else "")
            or ("delete policies first" if user.inline else "")
            or ("detach all policies first" if user.attached else "")
            or ("remove users from group first" if user.groups else "")
        )
        if first and not with_all:
            raise DeleteConflict(f"Cannot delete entity, must {first}.")
        return Remove(user), None

    await registry.change(decide)


async def join(registry: Registry, name: str, group_name: str) -> None:
    """Put a user into a group; one that is in it stays.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddUserToGroup.html

    Raises:
        NoSuchEntity, UnmodifiableEntity, LimitExceeded.
    """

    def decide(directory: Directory) -> tuple[Replace | None, None]:
        user, group = pick_to_change(directory, UserRecord, name), pick(directory, GroupRecord, group_name)
        if group.id in user.groups:
            return None, None
        _check_groups((*user.groups, group.id))
        return Replace(replace(user, groups=(*user.groups, group.id))), None

    await registry.change(decide)


async def leave(registry: Registry, name: str, group_name: str) -> None:
    """Take a user out of a group.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_RemoveUserFromGroup.html

    Raises:
        NoSuchEntity, UnmodifiableEntity.
    """

    def decide(directory: Directory) -> tuple[Replace, None]:
        user, group = pick_to_change(directory, UserRecord, name), pick(directory, GroupRecord, group_name)
        if group.id not in user.groups:
            raise NoSuchEntity(f"The user {name} is not in the group {group_name}.")
        return Replace(replace(user, groups=tuple(it for it in user.groups if it != group.id))), None

    await registry.change(decide)


def check_is_kept(name: str) -> str:
    """Return the name of a user; empty means the caller, and there is none for the root user.

    Raises:
        UnmodifiableEntity: it is the root user.
    """
    if not name:
        raise UnmodifiableEntity("The root user stands in the server's configuration, and is changed there alone.")
    return name


def _check_groups(groups: Sequence[str]) -> None:
    if len(groups) > MOST_GROUPS:
        raise LimitExceeded(f"Cannot exceed quota for GroupsPerUser: {MOST_GROUPS}")
