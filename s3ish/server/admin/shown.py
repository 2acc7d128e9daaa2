"""Users, groups, policies and roles as the admin API shows them."""

import json
from typing import Any

from s3ish.auth.lasting import with_principals
from s3ish.identity.directory import READY_ARN, Directory
from s3ish.identity.records import GroupRecord, Holder, PolicyRecord, Record, RoleRecord, UserRecord
from s3ish.identity.registry import Registry
from s3ish.server.admin.call import moment


def user(record: UserRecord, directory: Directory) -> dict[str, Any]:
    """Return a user without its keys."""
    return {
        **_holder(record),
        "boundary": record.boundary,
        "source": "configuration" if record.fixed else "store",
        "groups": [group.name for group in directory.groups_of(record)],
    }


async def keys(record: UserRecord, registry: Registry) -> list[dict[str, Any]]:
    """Return the keys of a user, without their secrets."""
    return [
        {
            "access_key": key.id,
            "active": key.active,
            "created": moment(key.created_ns),
            "last_used": moment(await registry.used.of(key.id)),
        }
        for key in record.keys
    ]


def group(record: GroupRecord, directory: Directory) -> dict[str, Any]:
    """Return a group with the names of its users."""
    return {**_holder(record), "users": [user.name for user in directory.members(record)]}


def role(record: RoleRecord, directory: Directory) -> dict[str, Any]:
    """Return a role."""
    return {
        **_holder(record),
        "boundary": record.boundary,
        "trust": json.loads(with_principals(record.trust, directory.arn_of)),
        "description": record.description,
        "max_session_seconds": record.most_seconds,
    }


def policy(record: PolicyRecord, directory: Directory) -> dict[str, Any]:
    """Return a managed policy with the document that counts."""
    is_ready = not record.created_ns
    arn = READY_ARN + record.name if is_ready else record.arn
    return {
        **_record(record),
        "arn": arn,
        "source": "ready" if is_ready else "store",
        "description": record.description,
        "document": json.loads(record.document),
        "version": record.default,
        "attachments": len(directory.attached_to(arn)),
    }


def _holder(record: Holder) -> dict[str, Any]:
    return {**_record(record), "policies": list(record.attached), "inline": sorted(record.inline)}


def _record(record: Record) -> dict[str, Any]:
    return {
        "name": record.name,
        "path": record.path,
        "id": record.id,
        "arn": record.arn,
        "created": moment(record.created_ns),
        "tags": dict(record.tags),
    }
