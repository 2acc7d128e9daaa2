"""Temporary credentials: keys that end by themselves, and may have fewer rights than who asked for them.

A token says all there is to know of a session and carries a seal; nothing is stored, so that every worker knows every
session, and a restart ends none. The secret key of a session follows from its token. What seals tokens follows from the
root user's secret key: a new one ends all sessions. A session has the rights of its user as they are now.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp.html
"""

import base64
import hmac
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from s3ish.auth.credentials import Holders, User
from s3ish.auth.policy import Policy, read_policy
from s3ish.errors import ExpiredToken, InvalidAccessKeyId, InvalidToken, MalformedPolicy, PackedPolicyTooLarge

LEAST_SECONDS, MOST_SECONDS = 900, 43_200
_SEAL_BYTES = 32
_MAX_TOKEN = 64 * 1024
MOST_TOKEN = 12 * 1024
"""How many characters a new token has: every request of its session carries it among its headers."""


class Session(Struct, frozen=True):
    """What a token says: the session's key, whose it is, when it ends (seconds since the epoch), and its limits.

    ``issued`` is when it was made; 0 in a token of a release that did not say it, so that it counts as very old.

    ``role`` and ``name`` are what the caller named it; ``policy`` narrows its rights, empty if nothing does.
    ``role_id`` is the id of a role that is kept, empty where it is but a name; ``stamp`` is that of the parent's key.
    ``tags`` are those that it was given, ``transitive`` the keys, in lower case, of those that go on to sessions which
    it asks for; ``identity`` is who is behind it, ``provider`` the ARN of the identity provider whose token opened it.
    ``federated`` says that ``name`` is that of a federated user.
    """

    access_key: str
    parent: str
    ends: int
    role: str = ""
    name: str = ""
    policy: str = ""
    role_id: str = ""
    stamp: str = ""
    issued: int = 0
    tags: tuple[tuple[str, str], ...] = ()
    transitive: tuple[str, ...] = ()
    identity: str = ""
    provider: str = ""
    federated: bool = False


class Temporary(Struct, frozen=True):
    """Temporary credentials, as their holder gets them."""

    access_key: str
    secret_key: str
    token: str
    ends: datetime


class Sessions:
    """Issues and opens tokens.

    Args:
        credentials: the users whose sessions they are.
        secret: what seals the tokens.
        token: returns an unpredictable text of so many random bytes.
    """

    def __init__(self, credentials: Holders, secret: str, token: Callable[[int], str]) -> None:
        self._credentials = credentials
        self._token = token
        self._key = hmac.digest(secret.encode(), b"s3ish session tokens 1", "sha256")

    def new_key(self) -> str:
        """Return an access key that no session has had."""
        return f"ASIA{self._token(10).upper()}"

    def issue(self, session: Session) -> Temporary:
        """Return the credentials of a session. Raises PackedPolicyTooLarge: its policy and tags are too long."""
        text = msgspec.json.encode(session)
        token = base64.urlsafe_b64encode(self._seal(text) + text).decode()
        if len(token) > MOST_TOKEN:
            raise PackedPolicyTooLarge
        return Temporary(session.access_key, self._secret(token), token, datetime.fromtimestamp(session.ends, UTC))

    def open(self, token: str, access_key: str, now: datetime) -> User:
        """Return the user that a session acts as: its owner, with the session's key and limits.

        Args:
            access_key: the key that the request was signed with.
            now: the time, UTC.

        Raises:
            InvalidToken: it was not issued here, or for another key.
            ExpiredToken: it has ended.
            InvalidAccessKeyId: its user is gone.
        """
        session = self._read(token)
        if session.access_key != access_key:
            raise InvalidToken
        if now.timestamp() >= session.ends:
            raise ExpiredToken
        if session.role_id and not session.parent:  # asked for with a token of an identity provider
            return self._in_role(session, token)
        parent = self._credentials.find(session.parent)
        if parent is None or parent.stamp != session.stamp:
            raise InvalidAccessKeyId(AWSAccessKeyId=access_key[:128])
        if session.role_id:
            return self._in_role(session, token)
        label = f"{session.role}/{session.name}" if session.role and parent.root else ""
        role_name = f"role/{session.role}" if label else ""
        return User(
            access_key,
            self._secret(token),
            parent.owner,
            root=parent.root,
            name=parent.name or parent.owner.id,
            policies=parent.policies,
            session=_narrowed(session),
            role=label,
            role_name=role_name,
            federated=session.name if session.federated else "",
            parent=session.parent,
            id=parent.id,
            path=parent.path,
            tags=_tags(parent.tags, session),
            stamp=parent.stamp,
            boundary=parent.boundary,
            issued=session.issued,
            transitive=session.transitive,
            source_identity=session.identity,
        )

    def _in_role(self, session: Session, token: str) -> User:
        """Return what a session in a role acts as: with the rights of the role, and none of the caller's."""
        role = self._credentials.find_role(session.role_id)
        if role is None:
            raise InvalidAccessKeyId(AWSAccessKeyId=session.access_key[:128])
        return User(
            session.access_key,
            self._secret(token),
            role.owner,
            name=f"{role.name}/{session.name}",
            policies=role.policies,
            session=_narrowed(session),
            role=f"{role.name}/{session.name}",
            role_name=f"role{role.path}{role.name}",
            parent=session.parent,
            id=f"{role.id}:{session.name}",
            tags=_tags(role.tags, session),
            stamp=session.stamp,
            boundary=role.boundary,
            issued=session.issued,
            transitive=session.transitive,
            source_identity=session.identity,
            provider=session.provider,
        )

    def _read(self, token: str) -> Session:
        try:
            if len(token) > _MAX_TOKEN:
                raise InvalidToken
            data = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
            seal, text = data[:_SEAL_BYTES], data[_SEAL_BYTES:]
            if not hmac.compare_digest(seal, self._seal(text)):
                raise InvalidToken
            return msgspec.json.decode(text, type=Session)
        except (ValueError, msgspec.MsgspecError) as error:
            raise InvalidToken from error

    def _seal(self, text: bytes) -> bytes:
        return hmac.digest(self._key, text, "sha256")

    def _secret(self, token: str) -> str:
        secret = hmac.digest(self._key, b"secret key of " + token.encode(), "sha256")
        return base64.b64encode(secret).decode()[:40]


def _tags(own: tuple[tuple[str, str], ...], session: Session) -> tuple[tuple[str, str], ...]:
    """Return the tags of a session: its own take the place of those of its role."""
    given = {key.lower() for key, _ in session.tags}
    return (*((key, value) for key, value in own if key.lower() not in given), *session.tags)


def _narrowed(session: Session) -> Policy | None:
    if not session.policy:
        return None
    try:
        return read_policy(session.policy)
    except MalformedPolicy as error:  # an older release may have read what this one does not
        raise InvalidToken from error
