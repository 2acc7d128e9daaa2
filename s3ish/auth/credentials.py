"""Who may sign requests."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from s3ish.model import Owner


@dataclass(frozen=True, slots=True)
class User:
    """A holder of keys. ``root`` may do everything."""

    access_key: str
    secret_key: str = field(repr=False)
    owner: Owner
    root: bool = False


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
