"""Access lists on the wire: as XML, as a canned name, as headers.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
"""

import re

from s3ish.api.shapes import BucketGrantHeaders, GrantHeaders, OwnerElement
from s3ish.auth.acl import CANNED, GROUPS, PERMISSIONS, AccessList, canned
from s3ish.errors import (
    InvalidArgument,
    InvalidRequest,
    MalformedACLError,
    UnresolvableGrantByEmailAddress,
)
from s3ish.model import Grant, Owner
from s3ish.wire.fields import attribute, element, elements
from s3ish.wire.shape import shape

MAX_GRANTS = 100
XML_ID = "CanonicalUser/ID"
"""What errors call the id of a grantee in a document."""
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"
_GRANTEES = ("id", "uri", "emailaddress")
_NOTHING = Grant("", "NOTHING")
"""Stands in the record of an object whose list grants nothing: one without grants is the private one."""


@shape
class GranteeElement:
    """To whom something is granted."""

    type: str | None = attribute(_XSI)
    id: str | None = element("ID")
    display_name: str | None = element("DisplayName")
    email: str | None = element("EmailAddress")
    uri: str | None = element("URI")


@shape
class GrantElement:
    """One grant."""

    grantee: GranteeElement = element("Grantee", default=...)
    permission: str = element("Permission", default=..., choices=PERMISSIONS)


@shape(root="AccessControlPolicy")
class AccessControlPolicy:
    """An access list."""

    owner: OwnerElement = element("Owner", default=...)
    grants: list[GrantElement] = elements("Grant", wrapper="AccessControlList")


def default_acl(owner: Owner) -> AccessList:
    """Return the list of what was made without one: its owner may do everything."""
    return canned("private", owner, owner)


def list_of(policy: AccessControlPolicy) -> AccessList:
    """Return the list that XML describes.

    Raises:
        MalformedACLError, InvalidArgument: a grantee is none.
        UnresolvableGrantByEmailAddress: addresses of mail name no user here.
    """
    if len(policy.grants) > MAX_GRANTS:
        raise MalformedACLError
    owner = Owner(policy.owner.id, policy.owner.display_name or "")
    return AccessList(owner, tuple(Grant(_grantee(grant.grantee), grant.permission) for grant in policy.grants))


def _grantee(grantee: GranteeElement) -> str:
    kind = (grantee.type or "").rpartition(":")[2]
    wanted = {"CanonicalUser": grantee.id, "Group": grantee.uri, "AmazonCustomerByEmail": grantee.email}.get(kind)
    if not wanted:
        raise MalformedACLError
    if kind == "CanonicalUser":
        return _named("id", wanted, XML_ID)
    return _named("uri" if kind == "Group" else "emailaddress", wanted, "Group/URI")


def _named(kind: str, name: str, argument: str) -> str:
    """Return a grantee; ``argument`` is what errors call the name."""
    if kind == "emailaddress":
        raise UnresolvableGrantByEmailAddress
    if kind == "uri":
        if name not in GROUPS:
            raise InvalidArgument("Invalid group uri", ArgumentName=argument, ArgumentValue=name[:256])
        return f"uri={name}"
    if not re.fullmatch(r"[\w.@+=,/-]{1,128}", name):
        raise InvalidArgument("Invalid id", ArgumentName=argument, ArgumentValue=name[:128])
    return f"id={name}"


def element_of(acl: AccessList) -> AccessControlPolicy:
    """Return a list as S3 writes it."""
    return AccessControlPolicy(
        owner=OwnerElement(id=acl.owner.id, display_name=acl.owner.display_name or None),
        grants=[
            GrantElement(grantee=_shown(grant.grantee, acl.owner), permission=grant.permission)
            for grant in acl.grants
            if grant != _NOTHING
        ],
    )


def _shown(grantee: str, owner: Owner) -> GranteeElement:
    kind, _, name = grantee.partition("=")
    if kind == "uri":
        return GranteeElement(type="Group", uri=name)
    known = owner.display_name if name == owner.id else ""
    return GranteeElement(type="CanonicalUser", id=name, display_name=known or None)


def given_list(request: GrantHeaders, owner: Owner, bucket_owner: Owner) -> AccessList | None:
    """Return the list that the headers of a request give; None if they give none.

    Args:
        owner: who owns what the request makes or changes.
        bucket_owner: who owns the bucket.

    Raises:
        InvalidArgument: not a canned name, or not a list of grantees.
        InvalidRequest: a canned name and grants beside each other.
    """
    granted = [
        (permission, text)
        for permission, text in (
            ("FULL_CONTROL", request.grant_full_control),
            ("READ", request.grant_read),
            ("READ_ACP", request.grant_read_acp),
            ("WRITE", request.grant_write if isinstance(request, BucketGrantHeaders) else None),
            ("WRITE_ACP", request.grant_write_acp),
        )
        if text is not None
    ]
    if request.acl is not None:
        if request.acl not in CANNED:
            raise InvalidArgument(ArgumentName="x-amz-acl", ArgumentValue=request.acl[:64])
        if granted:
            raise InvalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
        return canned(request.acl, owner, bucket_owner)
    if not granted:
        return None
    return AccessList(
        owner, tuple(Grant(name, permission) for permission, text in granted for name in _names(permission, text))
    )


def _names(permission: str, text: str) -> list[str]:
    """Read the grantees of the header of a permission: ``id="...", uri="..."``."""
    found = [_grantee_of(item) for item in text.split(",")]
    if not all(name for _, name in found) or len(found) > MAX_GRANTS:
        header = f"x-amz-grant-{permission.lower().replace('_', '-')}"
        raise InvalidArgument("Argument format not recognized", ArgumentName=header, ArgumentValue=text[:256])
    return [_named(kind, name, kind) for kind, name in found]


def _grantee_of(item: str) -> tuple[str, str]:
    """Return kind and name of a grantee as a header has it; its name is empty if it is none."""
    kind, _, quoted = item.partition("=")
    kind, name = kind.strip().lower(), quoted.strip().removeprefix('"').removesuffix('"')
    return (kind, name) if kind in _GRANTEES and '"' not in name else ("", "")


def kept(acl: AccessList, owner: Owner) -> tuple[Grant, ...]:
    """Return a list as the record of an object keeps it: nothing for the private one."""
    if acl == default_acl(owner):
        return ()
    return acl.grants or (_NOTHING,)


def list_of_object(owner: Owner, grants: tuple[Grant, ...]) -> AccessList:
    """Return the list that the record of an object keeps."""
    return AccessList(owner, grants) if grants else default_acl(owner)
