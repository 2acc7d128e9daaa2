"""Finding the record that a caller names, in AWS's words where there is none."""

import re
from typing import TypeVar

from s3ish.clock import Clock
from s3ish.errors import EntityAlreadyExists, InvalidInput, NoSuchEntity, UnmodifiableEntity
from s3ish.identity.directory import READY_ARN, Directory
from s3ish.identity.records import PolicyRecord, Record, UserRecord

R = TypeVar("R", bound=Record)
_POLICY_ARN = re.compile(r"arn:aws:iam::(?:[0-9]{12}|aws):policy/[!-~]+")


def pick(directory: Directory, kind: type[R], name: str) -> R:
    """Return the record of a kind with a name. Raises NoSuchEntity."""
    found = directory.named(kind, name)
    if found is None:
        raise NoSuchEntity(f"The {kind.noun} with name {name[:128]} cannot be found.")
    return found


def pick_to_change(directory: Directory, kind: type[R], name: str) -> R:
    """As ``pick``. Raises NoSuchEntity, UnmodifiableEntity."""
    found = pick(directory, kind, name)
    if isinstance(found, UserRecord) and found.fixed:
        raise UnmodifiableEntity(f"The user {name} stands in the server's configuration, and is changed there alone.")
    return found


def pick_policy(directory: Directory, arn: str) -> PolicyRecord:
    """Return the managed policy of an ARN. Raises NoSuchEntity, InvalidInput: it is no ARN of one."""
    found = directory.policy(arn)
    if found is None and not _POLICY_ARN.fullmatch(arn):
        raise InvalidInput(f"ARN {arn[:256]} is not valid.")
    if found is None:
        raise NoSuchEntity(f"Policy {arn[:256]} does not exist or is not attachable.")
    return found


def pick_policy_to_change(directory: Directory, arn: str) -> PolicyRecord:
    """As ``pick_policy``. Raises NoSuchEntity, UnmodifiableEntity."""
    found = pick_policy(directory, arn)
    if arn.startswith(READY_ARN):
        raise UnmodifiableEntity(f"The policy {found.name} is always there, and cannot be changed.")
    return found


def check_free(directory: Directory, kind: type[Record], name: str) -> None:
    """Check that no record of a kind has a name. Raises EntityAlreadyExists."""
    if directory.is_taken(kind, name):
        raise EntityAlreadyExists(f"{kind.noun.capitalize()} with name {name} already exists.")


def new_id(kind: type[Record], clock: Clock) -> str:
    """Return an id that nothing has had."""
    return kind.mark + clock.token().upper()
