"""Groups: made, changed, removed. Who is in one stands with the user.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_groups.html
"""

from msgspec.structs import replace

from s3ish.errors import DeleteConflict, LimitExceeded
from s3ish.identity.directory import Directory
from s3ish.identity.names import check_name, check_path
from s3ish.identity.picking import check_free, new_id, pick
from s3ish.identity.records import GroupRecord
from s3ish.identity.registry import Add, Registry, Remove, Replace

MOST_GROUPS = 300
_MOST_NAME = 128


async def create_group(registry: Registry, name: str, *, path: str = "/") -> GroupRecord:
    """Make a group.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateGroup.html

    Raises:
        EntityAlreadyExists, LimitExceeded, ValidationError.
    """
    clock = registry.store.clock
    group = GroupRecord(
        id=new_id(GroupRecord, clock),
        name=check_name(name, "groupName", _MOST_NAME),
        created_ns=clock.service_ns(),
        path=check_path(path),
    )

    def decide(directory: Directory) -> tuple[Add, GroupRecord]:
        check_free(directory, GroupRecord, name)
        if len(directory.all(GroupRecord)) >= MOST_GROUPS:
            raise LimitExceeded(f"Cannot exceed quota for GroupsPerAccount: {MOST_GROUPS}")
        return Add(group), group

    return await registry.change(decide)


async def update_group(registry: Registry, name: str, *, new_name: str = "", new_path: str = "") -> None:
    """Give a group another name or path; empty texts leave it. Its users stay in it.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateGroup.html

    Raises:
        NoSuchEntity, EntityAlreadyExists, ValidationError.
    """
    if new_name:
        check_name(new_name, "newGroupName", _MOST_NAME)
    if new_path:
        check_path(new_path, "newPath")

    def decide(directory: Directory) -> tuple[Replace, None]:
        group = pick(directory, GroupRecord, name)
        if new_name and new_name.lower() != name.lower():
            check_free(directory, GroupRecord, new_name)
        return Replace(replace(group, name=new_name or name, path=new_path or group.path)), None

    await registry.change(decide)


async def delete_group(registry: Registry, name: str) -> None:
    """Remove a group without users and policies.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteGroup.html

    Raises:
        NoSuchEntity, DeleteConflict.
    """

    def decide(directory: Directory) -> tuple[Remove, None]:
        group = pick(directory, GroupRecord, name)
        first = (
            ("remove users from group first" if directory.members(group) else "")
            or ("delete policies first" if group.inline else "")
            or ("detach all policies first" if group.attached else "")
        )
        if first:
            raise DeleteConflict(f"Cannot delete entity, must {first}.")
        return Remove(group), None

    await registry.change(decide)
