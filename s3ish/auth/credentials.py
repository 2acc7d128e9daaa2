"""Who may sign requests."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Protocol

from msgspec import Struct

from s3ish.auth.policy import Policy
from s3ish.auth.principals import Kind, Principal
from s3ish.model import Owner


class User(Struct, frozen=True, dict=True):
    """A holder of keys, or what one has become for a session.

    ``root`` may do everything. ``name`` is what policies call it, with its ``path`` before it; ``policies`` are its own
    and those of its groups, None for one that owns what it makes, as an account does. ``id`` is never given twice,
    empty for users of the settings; ``stamp`` tells one making of an access key from another of the same name.

    ``boundary`` bounds what its policies give. ``session`` narrows the rights of a session, ``parent`` is the key that
    it was asked for with. ``role`` is the role that it was given and the session's name (``reader/job-1``),
    ``role_name`` how policies name that role. ``issued`` is when the session began, in seconds since the
    epoch; None for keys that last. Of the tags of a session those with the keys in ``transitive``, in lower case, go on
    to sessions which it asks for, and so does ``source_identity``, who is behind it. ``provider`` is the ARN of the
    identity provider whose token opened a session. ``federated`` is the name of the federated user that a user, whose
    rights it has within ``session``, let in.
    """

    access_key: str
    secret_key: str
    owner: Owner
    root: bool = False
    name: str = ""
    policies: tuple[Policy, ...] | None = None
    session: Policy | None = None
    role: str = ""
    parent: str = ""
    role_name: str = ""
    id: str = ""
    path: str = "/"
    tags: tuple[tuple[str, str], ...] = ()
    stamp: str = ""
    boundary: Policy | None = None
    issued: int | None = None
    transitive: tuple[str, ...] = ()
    source_identity: str = ""
    provider: str = ""
    federated: str = ""

    @cached_property
    def principal(self) -> Principal:
        """The caller of a request that it has signed."""
        names = (f"assumed-role/{self.role}", self.role_name) if self.role else ()
        kind: Kind = "session" if self.role else "user"
        if self.federated:
            kind, names = "federated", (f"federated-user/{self.federated}", f"user{self.path}{self.name}")
        return Principal(
            "root" if self.root else kind,
            self.owner,
            self.name or self.owner.id,
            self.access_key,
            self.policies,
            self.session,
            names,
            self.tags,
            self.id,
            self.path,
            self.boundary,
            self.issued,
            self.transitive,
            self.source_identity,
            self.provider,
        )

    def __repr__(self) -> str:
        """Return what may be seen: not the secret."""
        return f"User({self.access_key!r}, {self.owner!r}, root={self.root})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return the same for what shows values field by field."""
        return [("access_key", self.access_key), ("owner", self.owner), ("root", self.root)]


class Role(Struct, frozen=True):
    """A role as sessions of it act: its name with the path before it, its policies, and what can be asked of it.

    ``boundary`` bounds what its policies give.
    """

    id: str
    name: str
    path: str
    policies: tuple[Policy, ...]
    owner: Owner
    tags: tuple[tuple[str, str], ...] = ()
    boundary: Policy | None = None


class Holders(Protocol):
    """Who holds keys and roles, as they are now."""

    def find(self, access_key: str) -> User | None:
        """Return the user with an access key, or None."""

    def find_role(self, role_id: str) -> Role | None:
        """Return the role with an id, or None."""


class Credentials:
    """Users that do not change, by access key; see ``Holders``.

    Raises:
        ValueError: two users have the same access key.
    """

    def __init__(self, users: Iterable[User]) -> None:
        self._users: dict[str, User] = {}
        for user in users:
            if user.access_key in self._users:
                raise ValueError(f"two users have the access key {user.access_key}")
            self._users[user.access_key] = user

    def find(self, access_key: str) -> User | None:
        """Return the user with an access key, or None."""
        return self._users.get(access_key)

    def find_role(self, role_id: str) -> Role | None:  # noqa: ARG002 - settings have no roles
        """Return None: there are no roles."""
        return None
