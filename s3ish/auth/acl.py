"""Access lists: who is granted what on a bucket or an object.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
"""

from msgspec import Struct

from s3ish.auth.principals import Principal
from s3ish.model import Grant, Owner

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
GROUPS = (ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY)
PERMISSIONS = ("FULL_CONTROL", "WRITE", "WRITE_ACP", "READ", "READ_ACP")
CANNED = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
)

PERMISSION_OF = {
    "listbucket": (False, "READ"),
    "listbucketversions": (False, "READ"),
    "listbucketmultipartuploads": (False, "READ"),
    "putobject": (False, "WRITE"),
    "deleteobject": (False, "WRITE"),
    "getbucketacl": (False, "READ_ACP"),
    "putbucketacl": (False, "WRITE_ACP"),
    "getobject": (True, "READ"),
    "getobjectversion": (True, "READ"),
    "getobjectattributes": (True, "READ"),
    "getobjectversionattributes": (True, "READ"),
    "getobjectacl": (True, "READ_ACP"),
    "getobjectversionacl": (True, "READ_ACP"),
    "putobjectacl": (True, "WRITE_ACP"),
    "putobjectversionacl": (True, "WRITE_ACP"),
}
"""For an action, whether the list of the object or that of the bucket is asked, and the permission that gives it.

Who may write to a bucket makes objects; to replace or remove one it must also be the object's owner.
"""


class AccessList(Struct, frozen=True):
    """An access list. A grantee is ``id=`` with a canonical user id, or ``uri=`` with a group's address."""

    owner: Owner
    grants: tuple[Grant, ...] = ()

    @property
    def is_public(self) -> bool:
        """Whether it grants anything to everybody, or to everybody who can sign."""
        return any(grant.grantee in (f"uri={ALL_USERS}", f"uri={AUTHENTICATED_USERS}") for grant in self.grants)

    @property
    def is_of_owner(self) -> bool:
        """Whether it grants nothing to anybody but its owner."""
        return all(grant.grantee == f"id={self.owner.id}" for grant in self.grants)


def grants(acl: AccessList, principal: Principal, permission: str, *, by_id: bool, by_group: bool) -> bool:
    """Tell whether a list gives a principal a permission.

    The owner may always read and write the list itself.

    Args:
        by_id: whether a grant to the principal's canonical id counts.
        by_group: whether grants to everybody count.
    """
    names = set()
    if by_id and not principal.is_anonymous:
        if acl.owner.id == principal.owner.id and permission.endswith("_ACP"):
            return True
        names.add(f"id={principal.owner.id}")
    if by_group:
        names.add(f"uri={ALL_USERS}")
        if not principal.is_anonymous:
            names.add(f"uri={AUTHENTICATED_USERS}")
    return any(grant.grantee in names and grant.permission in (permission, "FULL_CONTROL") for grant in acl.grants)


def canned(name: str, owner: Owner, bucket_owner: Owner) -> AccessList:
    """Return the list that a canned name stands for.

    Args:
        name: one of ``CANNED``.
        owner: who owns the bucket or object.
        bucket_owner: who owns the bucket that the object is in.
    """
    full = Grant(f"id={owner.id}", "FULL_CONTROL")
    more = {
        "public-read": (Grant(f"uri={ALL_USERS}", "READ"),),
        "public-read-write": (Grant(f"uri={ALL_USERS}", "READ"), Grant(f"uri={ALL_USERS}", "WRITE")),
        "authenticated-read": (Grant(f"uri={AUTHENTICATED_USERS}", "READ"),),
        "bucket-owner-read": (Grant(f"id={bucket_owner.id}", "READ"),) if bucket_owner.id != owner.id else (),
        "bucket-owner-full-control": (
            (Grant(f"id={bucket_owner.id}", "FULL_CONTROL"),) if bucket_owner.id != owner.id else ()
        ),
        "log-delivery-write": (Grant(f"uri={LOG_DELIVERY}", "WRITE"), Grant(f"uri={LOG_DELIVERY}", "READ_ACP")),
    }.get(name, ())
    return AccessList(owner, (full, *more))
