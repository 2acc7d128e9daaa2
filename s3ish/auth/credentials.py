"""Who may sign requests."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from s3ish.auth.policy import Policy
from s3ish.model import Owner


class User(Struct, frozen=True):
    """A holder of keys.

    ``root`` may do everything. ``name`` is what policies call it, ``policies`` are its own; None for one that owns what
    it makes, as an account does. ``session`` narrows the rights of a session, whose ``role`` says what it was called,
    and ``parent`` which key it was asked for with.
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

    def __repr__(self) -> str:
        """Return what may be seen: not the secret."""
        return f"User({self.access_key!r}, {self.owner!r}, root={self.root})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return the same for what shows values field by field."""
        return [("access_key", self.access_key), ("owner", self.owner), ("root", self.root)]


class Credentials:
    """All users, by access key.

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
