"""Who is behind a request: the root user, a user, a session, or anonymous."""

from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from s3ish.model import ACCOUNT, Owner

if TYPE_CHECKING:
    from s3ish.auth.credentials import User
    from s3ish.auth.policy import Policy


Kind = Literal["root", "user", "session", "federated", "anonymous"]


class Principal(Struct, frozen=True):
    """The caller of a request, as far as rights are concerned.

    ``owner`` is what its objects belong to, ``name`` the user's name and ``path`` what stands before it in ARNs,
    ``access_key`` the key that it signed with.
    ``policies`` are those of the user and its groups; None for a user that has none and owns what it makes, as an
    account does. ``session`` narrows a session, ``boundary`` bounds what policies give; None where nothing does.
    ``names`` are other ARNs that mean it, without their beginning (``role/reader``); ``tags`` and ``id`` are what
    policies can ask, and ``issued``, when its temporary credentials were made (seconds since the epoch); None for keys
    that last. ``transitive`` and ``source_identity`` are what a session passes on, ``provider`` is who says who its
    caller is; see ``User``.
    """

    kind: Kind
    owner: Owner
    name: str = ""
    access_key: str = ""
    policies: "tuple[Policy, ...] | None" = None
    session: "Policy | None" = None
    names: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    id: str = ""
    path: str = "/"
    boundary: "Policy | None" = None
    issued: int | None = None
    transitive: tuple[str, ...] = ()
    source_identity: str = ""
    provider: str = ""

    @property
    def is_of_account(self) -> bool:
        """Whether it is a user of the server's account, who has the rights that policies give, and no others."""
        return self.policies is not None

    @property
    def is_narrowed(self) -> bool:
        """Whether it may have fewer rights than whom its objects belong to."""
        return self.is_of_account or self.session is not None

    @property
    def is_anonymous(self) -> bool:
        """Whether the request is not signed."""
        return self.kind == "anonymous"

    @property
    def is_root(self) -> bool:
        """Whether it is the root user, who owns the server."""
        return self.kind == "root"

    @property
    def is_federated_user(self) -> bool:
        """Whether it is one whom a user or the root user let in by GetFederationToken."""
        return bool(self.names) and self.names[0].startswith("federated-user/")

    @property
    def is_session_by_name(self) -> bool:
        """Whether a policy of a bucket can name its session alone: one in a role, or of a federated user."""
        return self.kind == "session" or self.is_federated_user

    @property
    def user_id(self) -> str:
        """What identifies it, as policies can ask.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#principaltable
        """
        if self.is_anonymous:
            return "anonymous"
        if self.is_federated_user:
            return f"{ACCOUNT}:{self.names[0].partition('/')[2]}"
        if self.is_root and self.names:  # in a role that is but a name
            return self.names[0].partition("/")[2].replace("/", ":")
        return ACCOUNT if self.is_root else self.id or self.owner.id

    @property
    def arn(self) -> str:
        """Its name in a policy: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""
        if self.is_anonymous:
            return ""
        if self.names:
            return f"arn:aws:sts::{ACCOUNT}:{self.names[0]}"
        return f"arn:aws:iam::{ACCOUNT}:{'root' if self.is_root else f'user{self.path}{self.name}'}"

    @property
    def lasting_arn(self) -> str:
        """The ARN of what it is for longer than a session: of a session in a role that of the role."""
        return f"arn:aws:iam::{ACCOUNT}:{self.names[1]}" if self.names and not self.is_federated_user else self.arn

    @property
    def itself(self) -> "Principal":
        """The principal as those names alone mean it that mean no other: not its account, and not its role."""
        return replace(
            self,
            owner=Owner("") if self.is_of_account or self.is_session_by_name else self.owner,
            names=self.names[:1],
            id="" if self.is_session_by_name else self.id,
        )


ANONYMOUS = Principal("anonymous", Owner("65a011a29cdf8ec533ec3d1ccaae921c", "anonymous"))
"""The caller of a request that carries no signature, with the id that S3 gives it."""


def principal_of(user: "User | None") -> Principal:
    """Return the principal that signed with a user's key; the anonymous one for None."""
    return ANONYMOUS if user is None else user.principal
