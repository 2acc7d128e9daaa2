"""What is kept of users, groups, policies and roles: one record each, in JSON, under an id that is never given twice.

A record refers to others by their ids, so that a new record under an old name has nothing of the one before it.
Each change concerns one record: a user's holds its keys, its policies and which groups it is in.
"""

from collections.abc import Mapping
from typing import ClassVar, TypeVar

import msgspec
from msgspec import Struct

from s3ish.model import ACCOUNT

Pairs = tuple[tuple[str, str], ...]
R = TypeVar("R", bound="Record")


class AccessKey(Struct, frozen=True, omit_defaults=True):
    """An access key of a user; ``secret`` is its secret key as ``Secrets`` keeps it."""

    id: str
    secret: str
    created_ns: int
    active: bool = True


class PolicyVersion(Struct, frozen=True):
    """One document of a managed policy; ``id`` is ``v1``, ``v2``, and so on."""

    id: str
    document: str
    created_ns: int


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all kinds have: a name, unique in its kind, and a path before it in ARNs.

    ``folder`` is what the kind is called in names of rows, ``noun`` in ARNs and in messages, ``mark`` what its ids
    begin with.
    """

    folder: ClassVar[str] = ""
    noun: ClassVar[str] = ""
    mark: ClassVar[str] = ""

    id: str
    name: str
    created_ns: int
    path: str = "/"
    tags: Pairs = ()

    @property
    def row(self) -> str:
        """The name of its row."""
        return f"{self.folder}/{self.id}"

    @property
    def arn(self) -> str:
        """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""
        return arn(self.noun, self.path + self.name)

    def encoded(self) -> str:
        """Return it in JSON."""
        return msgspec.json.encode(self).decode()


class Holder(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What has policies: ``attached`` are ARNs of managed ones, ``inline`` documents by name.

    ``boundary`` is the ARN of the managed policy that bounds what they give, empty if none does; a group has none.
    """

    attached: tuple[str, ...] = ()
    inline: Mapping[str, str] = {}
    boundary: str = ""


class UserRecord(Holder, frozen=True, kw_only=True, omit_defaults=True):
    """A user; ``groups`` are ids. One that is ``fixed`` stands in the configuration, and cannot be changed."""

    folder: ClassVar[str] = "users"
    noun: ClassVar[str] = "user"
    mark: ClassVar[str] = "AIDA"

    keys: tuple[AccessKey, ...] = ()
    groups: tuple[str, ...] = ()
    fixed: bool = False


class GroupRecord(Holder, frozen=True, kw_only=True, omit_defaults=True):
    """A group of users."""

    folder: ClassVar[str] = "groups"
    noun: ClassVar[str] = "group"
    mark: ClassVar[str] = "AGPA"


class RoleRecord(Holder, frozen=True, kw_only=True, omit_defaults=True):
    """A role; ``trust`` is the policy that says who may assume it, for at most ``most_seconds``."""

    folder: ClassVar[str] = "roles"
    noun: ClassVar[str] = "role"
    mark: ClassVar[str] = "AROA"

    trust: str
    description: str = ""
    most_seconds: int = 3600


class PolicyRecord(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A managed policy; ``default`` is the version that counts, ``made`` how many there have been."""

    folder: ClassVar[str] = "policies"
    noun: ClassVar[str] = "policy"
    mark: ClassVar[str] = "ANPA"

    versions: tuple[PolicyVersion, ...]
    default: str
    made: int = 1
    updated_ns: int = 0
    description: str = ""

    @property
    def document(self) -> str:
        """The text that counts."""
        return next(version.document for version in self.versions if version.id == self.default)


KINDS: tuple[type[Record], ...] = (UserRecord, GroupRecord, RoleRecord, PolicyRecord)


def arn(noun: str, name: str) -> str:
    """Return the ARN of what has a name, with the path before it, in the server's account."""
    return f"arn:aws:iam::{ACCOUNT}:{noun}/{name.removeprefix('/')}"


def decode(kind: type[R], text: str) -> R:
    """Return the record in a document. Raises ValueError."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
