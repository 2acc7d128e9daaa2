"""Whether a caller may do what it asks: one pure function, asked for every right that a request needs.

Until policies and access lists are built the rule is S3's own default: a bucket belongs to whom created it, and nobody
else has a right to it. The root user may do everything. Anonymous callers may do nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from s3ish.auth.principals import Principal
from s3ish.model import Bucket


class Permit(NamedTuple):
    """One right that a request needs: an action on a resource.

    ``bucket`` is empty for the service itself, ``key`` for a bucket as a whole.
    """

    action: str
    bucket: str = ""
    key: str = ""

    @property
    def resource(self) -> str:
        """The resource's ARN."""
        if not self.bucket:
            return "*"
        return f"arn:aws:s3:::{self.bucket}/{self.key}" if self.key else f"arn:aws:s3:::{self.bucket}"


class Circumstances(Struct, frozen=True):
    """What a rule may ask of a request beside who calls: the values behind condition keys.

    ``source`` is the caller's address, ``secure`` whether it came over TLS, ``signature`` the name of the algorithm.
    """

    headers: Mapping[str, str]
    query: Mapping[str, str]
    now: datetime
    source: str = ""
    secure: bool = False
    signature: str = ""
    presigned: bool = False


class Allowed(NamedTuple):
    """The right is given; ``by`` names the rule that gives it."""

    by: str


class Denied(NamedTuple):
    """The right is not given; ``by`` says why, for the log and the operator, never for the client."""

    by: str


Decision = Allowed | Denied


def decide(
    principal: Principal,
    permit: Permit,
    bucket: Bucket | None,
    circumstances: Circumstances,  # noqa: ARG001 - policies will ask them
) -> Decision:
    """Return whether a principal has a right.

    Args:
        bucket: the record of the permit's bucket; None for the service itself, or if there is no such bucket.
    """
    if principal.is_anonymous:
        return Denied(f"{permit.action}: anonymous callers have no rights")
    if principal.is_root:
        return Allowed("the root user may do everything")
    if bucket is None or bucket.owner.id == principal.owner.id:
        return Allowed("the owner of a bucket may do everything with it")
    return Denied(f"{permit.action}: the bucket belongs to {bucket.owner.id}")
