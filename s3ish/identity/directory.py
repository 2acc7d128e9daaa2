"""All users, groups, policies and roles, as they were at one moment, and who holds which key."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import structlog

from s3ish.auth.credentials import Credentials, Role, User
from s3ish.auth.policy import USER, Policy, read_policy
from s3ish.auth.ready_policies import READY, document_of
from s3ish.errors import MalformedPolicy
from s3ish.identity.records import (
    AccessKey,
    GroupRecord,
    Holder,
    PolicyRecord,
    PolicyVersion,
    Record,
    RoleRecord,
    UserRecord,
)
from s3ish.identity.secrets import Secrets
from s3ish.model import Owner

R = TypeVar("R", bound=Record)

log = structlog.get_logger()

READY_ARN = "arn:aws:iam::aws:policy/"
"""What the ARNs of policies begin with that are always there."""


class Unknown(LookupError):
    """A record refers to what is not there, or cannot be read: no caller may act on what is left of it."""


class Directory:
    """Users and what belongs to them; it does not change.

    Args:
        fixed: the users of the configuration, the root user first.
        records: what is kept in the store.
        secrets: reads the secret keys in it.
    """

    def __init__(self, fixed: Sequence[User], records: Iterable[Record], secrets: Secrets) -> None:
        self.root = fixed[0]
        self._fixed = Credentials(fixed)
        self._owners = [user for user in fixed if user.policies is None]
        self._secrets = secrets
        self._by_id: dict[str, Record] = {}
        self._by_name: dict[tuple[type[Record], str], Record] = {}
        for record in sorted([*_shown(fixed), *records], key=_age):
            older = self._by_name.get((type(record), record.name.lower()))
            if older is not None:  # a rebuild has brought back what was never committed, or gone: the later one holds
                self._by_id.pop(older.id)
            self._by_id[record.id] = record
            self._by_name[type(record), record.name.lower()] = record
        self._keys = {key.id: (user, key) for user in self.all(UserRecord) for key in user.keys}
        self._policies = {policy.arn: policy for policy in self.all(PolicyRecord)}
        lasting = [*self.all(RoleRecord), *(user for user in self.all(UserRecord) if not user.fixed)]
        self._ids = {f"{record.noun}{record.path}{record.name}": record.id for record in lasting}
        self._users: dict[str, User | None] = {}
        self._roles: dict[str, Role | None] = {}

    # --- looking up

    def all(self, kind: type[R]) -> list[R]:
        """Return all of a kind, by name."""
        found = [record for record in self._by_id.values() if isinstance(record, kind)]
        return sorted(found, key=lambda record: record.name)

    def named(self, kind: type[R], name: str) -> R | None:
        """Return the one of a kind that has a name, or None."""
        found = self._by_name.get((kind, name.lower()))
        return found if isinstance(found, kind) and found.name == name else None

    def is_taken(self, kind: type[Record], name: str) -> bool:
        """Whether a kind has a name, in any case."""
        return (kind, name.lower()) in self._by_name

    def by_id(self, kind: type[R], record_id: str) -> R | None:
        """Return the one of a kind that has an id, or None."""
        found = self._by_id.get(record_id)
        return found if isinstance(found, kind) else None

    def key(self, access_key: str) -> tuple[UserRecord, AccessKey] | None:
        """Return whose an access key is, and the key; None if no user has it, or the root user's."""
        return self._keys.get(access_key)

    def has_key(self, access_key: str) -> bool:
        """Whether any user has an access key."""
        return access_key in self._keys or self._fixed.find(access_key) is not None

    def policy(self, arn: str) -> PolicyRecord | None:
        """Return the managed policy of an ARN, or None; those that are always there too."""
        name = arn.removeprefix(READY_ARN)
        if name in READY and name != arn:
            return ready_policy(name)
        return self._policies.get(arn)

    def attached_to(self, arn: str) -> list[Holder]:
        """Return all that a managed policy is attached to."""
        return self._attached.get(arn, [])

    def bounded_by(self, arn: str) -> list[Holder]:
        """Return all whose rights a managed policy bounds."""
        return self._bounded.get(arn, [])

    def members(self, group: GroupRecord) -> list[UserRecord]:
        """Return the users in a group."""
        return [user for user in self.all(UserRecord) if group.id in user.groups]

    def groups_of(self, user: UserRecord) -> list[GroupRecord]:
        """Return the groups that a user is in."""
        found = (self.by_id(GroupRecord, group) for group in dict.fromkeys(user.groups))
        return sorted(filter(None, found), key=lambda group: group.name)

    @functools.cached_property
    def _attached(self) -> dict[str, list[Holder]]:
        return self._holders(lambda it: dict.fromkeys(it.attached))

    @functools.cached_property
    def _bounded(self) -> dict[str, list[Holder]]:
        return self._holders(lambda it: [it.boundary])

    def _holders(self, arns_of: Callable[[Holder], Iterable[str]]) -> dict[str, list[Holder]]:
        """Return by ARN who has a policy: what lists many policies asks for each."""
        found: dict[str, list[Holder]] = {}
        for it in self._by_id.values():
            if isinstance(it, Holder):
                for arn in arns_of(it):
                    found.setdefault(arn, []).append(it)
        return found

    def owners(self) -> list[Owner]:
        """Return who can own buckets: the root user, and the users of the configuration that have no policies."""
        return [user.owner for user in self._owners]

    def id_of(self, arn: str) -> str:
        """Return the id of the user or role that has an ARN; the ARN itself where none has; see ``Names``."""
        found = USER.fullmatch(arn)  # the account may be left out
        return self._ids.get(found[1], arn) if found else arn

    def arn_of(self, record_id: str) -> str:
        """Return the ARN of the user or role that has an id; the text itself where none has; see ``Names``."""
        found = self._by_id.get(record_id)
        return found.arn if isinstance(found, UserRecord | RoleRecord) else record_id

    # --- who may sign

    def find(self, access_key: str) -> User | None:
        """Return the user with an access key that is active; see ``Holders``."""
        fixed = self._fixed.find(access_key)
        if fixed is not None:
            return fixed
        if access_key not in self._users:
            if access_key not in self._keys:
                return None
            self._users[access_key] = self._user(*self._keys[access_key])
        return self._users[access_key]

    def find_role(self, role_id: str) -> Role | None:
        """Return a role; see ``Holders``."""
        if role_id not in self._roles:
            record = self.by_id(RoleRecord, role_id)
            if record is None:
                return None
            self._roles[role_id] = self._role(record)
        return self._roles[role_id]

    def _user(self, record: UserRecord, key: AccessKey) -> User | None:
        if not key.active:
            return None
        try:
            groups = [self._group(group_id) for group_id in record.groups]
            return User(
                key.id,
                self._secrets.reveal(key.id, key.secret),
                self.root.owner,
                name=record.name,
                policies=tuple(policy for holder in (record, *groups) for policy in self._rights(holder)),
                id=record.id,
                path=record.path,
                tags=record.tags,
                stamp=f"{record.id} {key.created_ns}",
                boundary=self._boundary(record),
            )
        except (Unknown, ValueError, MalformedPolicy) as error:
            log.error("a user cannot sign in", user=record.name, access_key=key.id, cause=str(error))
            return None

    def _role(self, record: RoleRecord) -> Role | None:
        try:
            rights, boundary = tuple(self._rights(record)), self._boundary(record)
        except (Unknown, MalformedPolicy) as error:
            log.error("a role cannot be used", role=record.name, cause=str(error))
            return None
        return Role(record.id, record.name, record.path, rights, self.root.owner, record.tags, boundary)

    def _group(self, group_id: str) -> GroupRecord:
        group = self.by_id(GroupRecord, group_id)
        if group is None:
            raise Unknown(f"the group {group_id} is not there")
        return group

    def _rights(self, holder: Holder) -> Iterator[Policy]:
        """Yield the policies of a user, group or role. Raises Unknown, MalformedPolicy."""
        for text in holder.inline.values():
            yield read_policy(text)
        for arn in holder.attached:
            yield self._managed(arn)

    def _boundary(self, holder: Holder) -> Policy | None:
        """Return the policy that bounds the rights of a user or role. Raises Unknown, MalformedPolicy."""
        return self._managed(holder.boundary) if holder.boundary else None

    def _managed(self, arn: str) -> Policy:
        policy = self.policy(arn)
        if policy is None:
            raise Unknown(f"the policy {arn} is not there")
        return read_policy(policy.document)


def ready_policy(name: str) -> PolicyRecord:
    """Return one of the policies that are always there."""
    return PolicyRecord(
        id=f"ANPAREADY{name.upper()}"[:20],
        name=name,
        created_ns=0,
        versions=(PolicyVersion("v1", document_of(name), 0),),
        default="v1",
    )


def _age(record: Record) -> tuple[bool, int, str]:
    """What orders records: those of the configuration come last, so that they hold."""
    return isinstance(record, UserRecord) and record.fixed, record.created_ns, record.id


def _shown(fixed: Sequence[User]) -> Iterator[UserRecord]:
    """Yield the users of the configuration as records, without their secrets."""
    by_name: dict[str, list[User]] = {}
    for user in fixed[1:]:
        by_name.setdefault(user.name, []).append(user)
    for name, users in by_name.items():
        keys = tuple(AccessKey(user.access_key, "", 0) for user in users)
        yield UserRecord(id=f"settings/{name}", name=name, created_ns=0, keys=keys, fixed=True)
