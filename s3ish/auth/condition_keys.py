"""The values that a request has for condition keys.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import parse_qsl, unquote_plus, urlencode

from msgspec import Struct

from s3ish.auth.patterns import Values
from s3ish.auth.principals import Principal
from s3ish.model import ACCOUNT

_LOCK_MODE, _LOCK_UNTIL = "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"
_LEGAL_HOLD = "x-amz-object-lock-legal-hold"
_EVENT_HOLD = "x-amz-object-lock-event-hold"
_HELD_FOR = {f"{_EVENT_HOLD}-duration-days": 1, f"{_EVENT_HOLD}-duration-years": 365}
"""The headers that say how long a version is kept after its event hold, with the days that one of them is."""
_ENCRYPTION = "x-amz-server-side-encryption"
_TAGS_DIRECTIVE = "x-amz-tagging-directive"
_AGELESS = frozenset(("AWS",))
"""Kinds of signatures whose age is always 0."""
_HEADERS_KEPT = 64
"""So many headers of tags stay read: a policy may ask hundreds of times for the tags of one request."""
Tags = tuple[tuple[str, str], ...]


class Circumstances(Struct, frozen=True):
    """What a rule may ask of a request beside who calls.

    ``source`` is the caller's address, ``secure`` whether it came over TLS (None where that is not known), ``tls`` the
    version of that. ``signature`` is ``AWS4-HMAC-SHA256`` or ``AWS``, ``signed_at`` when it was made; ``way`` where it
    stands.
    ``creates`` is whether it makes an object, or a part of one; None where it does neither.
    ``existing_tags`` are those of the object that the request is about, ``bucket_tags`` those of its bucket that count,
    ``further`` are values of further keys, by their names in lower case: they hold where the request has others.
    ``payload`` is the digest of the body that a presigned request has, or what stands for it; no header says it.
    """

    headers: Mapping[str, str]
    query: Mapping[str, str]
    now: datetime
    source: str = ""
    secure: bool | None = False
    tls: str = ""
    signature: str = ""
    signed_at: datetime | None = None
    way: str = "REST-HEADER"
    region: str = ""
    creates: bool | None = None
    existing_tags: Tags = ()
    bucket_tags: Tags = ()
    further: Tags = ()
    payload: str = ""


_LISTING = frozenset(("listbucket", "listbucketversions"))
_WRITING = frozenset(("bypassgovernanceretention", "putobject"))
_TAGGING = _WRITING | {"putobjecttagging", "putobjectversiontagging"}
_GRANTING = frozenset(
    (
        "bypassgovernanceretention",
        "createbucket",
        "putbucketacl",
        "putobject",
        "putobjectacl",
        "putobjectversionacl",
    )
)
_ENCRYPTING = _WRITING | {"replicateobject", "updateobjectencryption"}
_RETAINING = frozenset(("putobject", "putobjectretention"))
_ONLY: Mapping[str, frozenset[str]] = {
    "s3:delimiter": _LISTING,
    "s3:if-match": frozenset(("putobject", "deleteobject")),
    "s3:if-none-match": frozenset(("putobject",)),
    "s3:max-keys": _LISTING,
    "s3:object-lock-legal-hold": frozenset(("putobject", "putobjectlegalhold")),
    "s3:object-lock-mode": _RETAINING,
    "s3:object-lock-remaining-retention-days": _RETAINING,
    "s3:object-lock-retain-until-date": _RETAINING,
    "s3:objectcreationoperation": frozenset(("putobject",)),
    "s3:prefix": _LISTING,
    "s3:requestobjecttag": _TAGGING,
    "s3:requestobjecttagkeys": _TAGGING,
    "s3:x-amz-acl": _GRANTING,
    "s3:x-amz-bucket-namespace": frozenset(("createbucket",)),
    "s3:x-amz-copy-source": _WRITING,
    "s3:x-amz-grant-full-control": _GRANTING,
    "s3:x-amz-grant-read": _GRANTING,
    "s3:x-amz-grant-read-acp": _GRANTING,
    "s3:x-amz-grant-write": _GRANTING,
    "s3:x-amz-grant-write-acp": _GRANTING,
    "s3:x-amz-metadata-directive": _WRITING,
    "s3:x-amz-object-ownership": frozenset(("createbucket",)),
    "s3:x-amz-server-side-encryption": _ENCRYPTING,
    "s3:x-amz-server-side-encryption-aws-kms-key-id": _ENCRYPTING,
    "s3:x-amz-server-side-encryption-customer-algorithm": _ENCRYPTING,
    "s3:x-amz-storage-class": _WRITING | {"putobjectacl", "putobjectversionacl"},
    "s3:x-amz-website-redirect-location": _WRITING,
}
"""On which actions a request has the keys that it chooses itself: else a parameter that an action does not read could
satisfy a condition on it.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""


def has_key(action: str, key: str) -> bool:
    """Tell whether requests for an action can have a condition key; both in lower case, the action without ``s3:``."""
    only = _ONLY.get(key.partition("/")[0])
    return (only is None or action in only) and (key != "s3:versionid" or "version" in action)


def values_of(principal: Principal, circumstances: Circumstances, action: str) -> Values:
    """Return what looks up the values of condition keys for a request.

    Args:
        action: what is asked for, in lower case and, if it is of S3, without ``s3:``.
    """

    def values(key: str) -> tuple[str, ...]:
        key = key.lower()
        if circumstances.further:
            found = tuple(value for name, value in circumstances.further if name == key)
            if found:
                return found
        if not has_key(action, key):
            return ()
        find = _KEYS.get(key)
        if find is not None:
            return find(principal, circumstances)
        if key == "s3:x-amz-copy-source":
            return _one(_source_of(circumstances.headers.get(key[3:], "")))
        if key.startswith("s3:x-amz-"):
            return _one(circumstances.headers.get(key[3:]))
        family, slash, name = key.partition("/")
        tags = _FAMILIES.get(family) if slash else None
        return tuple(value for tag, value in tags(principal, circumstances) if tag.lower() == name) if tags else ()

    return values


def _one(value: object) -> tuple[str, ...]:
    return () if value is None or value == "" else (str(value),)


def _header(name: str) -> Callable[[Principal, Circumstances], tuple[str, ...]]:
    return lambda _, circumstances: _one(circumstances.headers.get(name))


def _query(name: str) -> Callable[[Principal, Circumstances], tuple[str, ...]]:
    def find(_: Principal, circumstances: Circumstances) -> tuple[str, ...]:
        value = circumstances.query.get(name)
        return () if value is None else (value,)

    return find


def _signed(find: Callable[[Circumstances], object]) -> Callable[[Principal, Circumstances], tuple[str, ...]]:
    """A key that only signed requests have."""
    return lambda principal, circumstances: () if principal.is_anonymous else _one(find(circumstances))


def _source_of(header: str) -> str:
    """Return bucket and key of the source of a copy, however a client writes them."""
    return unquote_plus(header.partition("?versionId=")[0]).removeprefix("/")


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _age(circumstances: Circumstances) -> int | None:
    at = circumstances.signed_at
    if circumstances.signature in _AGELESS:
        return 0  # https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
    return None if at is None else int((circumstances.now - at).total_seconds() * 1000)


def _until(circumstances: Circumstances) -> datetime | None:
    """Return until when a lock is asked for; None where that is no moment, which is refused."""
    try:
        at = datetime.fromisoformat(circumstances.headers.get(_LOCK_UNTIL, ""))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _lock_until(_: Principal, circumstances: Circumstances) -> tuple[str, ...]:
    """Return until when a lock is asked for, in one form of the many: in another ``20400101`` are seconds."""
    at = _until(circumstances)
    return () if at is None else (at.isoformat().replace("+00:00", "Z"),)


def _days_left(_: Principal, circumstances: Circumstances) -> tuple[str, ...]:
    """Return for how many days a lock is asked for; a day that has begun counts. An event hold may end at once."""
    if circumstances.headers.get(_EVENT_HOLD) == "ON":
        said = ((circumstances.headers.get(name, ""), days) for name, days in _HELD_FOR.items())
        return tuple(str(int(count) * days) for count, days in said if re.fullmatch("[0-9]{1,19}", count))
    at = _until(circumstances)
    return () if at is None else (str(math.ceil((at - circumstances.now) / timedelta(days=1))),)


def tags_said(tags: Iterable[tuple[str, str]]) -> Tags:
    """Return the header that says of tags what the body of a request says."""
    return (("x-amz-tagging", urlencode(tuple(tags))),)


def copied_tags_said(tags: Iterable[tuple[str, str]]) -> Tags:
    """Return the headers that would give a copy the tags that it takes over from its source."""
    return (*tags_said(tags), (_TAGS_DIRECTIVE, "REPLACE"))


def lock_said(
    *,
    mode: str | None = None,
    until: str | None = None,
    hold: str | None = None,
    event_hold: str | None = None,
    held_for: tuple[int | None, int | None] = (None, None),
) -> Tags:
    """Return the headers that say of a lock what the body of a request says; empty where it says nothing.

    Args:
        held_for: days, or years, after an event hold.
    """
    said = (mode, until, hold, event_hold, *held_for)
    names = (_LOCK_MODE, _LOCK_UNTIL, _LEGAL_HOLD, _EVENT_HOLD, *_HELD_FOR)
    return tuple((name, "" if value is None else str(value)) for name, value in zip(names, said, strict=True))


def encryption_said(kind: str | None, key: str | None, *, under_key: bool = False) -> Tags:
    """Return the headers that say how to encrypt, where something else than the headers of a request says it.

    Args:
        kind: ``AES256`` or one of SSE-KMS.
        key: the named key.
        under_key: whether a key of the client's is to encrypt.
    """
    return (
        (_ENCRYPTION, kind or ""),
        (f"{_ENCRYPTION}-aws-kms-key-id", key or ""),
        (f"{_ENCRYPTION}-customer-algorithm", "AES256" if under_key else ""),
    )


def tags_given(tags: Iterable[tuple[str, str]]) -> Tags:
    """Return the condition keys of tags that a request gives to what is no object.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-requesttag
    """
    given = tuple(tags)
    return (
        *((f"aws:requesttag/{key.lower()}", value) for key, value in given),
        *(("aws:tagkeys", it[0]) for it in given),
    )


def place_said(region: str | None) -> Tags:
    """Return what the body of a request says of where a bucket is to be, as the condition key."""
    return (("s3:locationconstraint", region),) if region else ()


def fields_said(fields: Iterable[str]) -> Tags:
    """Return which optional fields the body of a request wants in an inventory, as the condition key."""
    return tuple(("s3:inventoryaccessibleoptionalfields", field) for field in fields)


def _type(principal: Principal) -> str:
    if principal.is_federated_user:
        return "FederatedUser"
    if principal.is_root and principal.names:  # in a role that is but a name
        return "AssumedRole"
    return {
        "root": "Account",
        "user": "User",
        "federated": "FederatedUser",
        "session": "AssumedRole",
        "anonymous": "Anonymous",
    }[principal.kind]


def _requested_tags(_: Principal, circumstances: Circumstances) -> Tags:
    """Return the tags that a request gives; a copy that takes over those of its source gives none.

    The header of a copy alone makes none: an upload in parts takes no notice of it, and gives its tags.
    """
    headers = circumstances.headers
    if circumstances.creates and "x-amz-copy-source" in headers and headers.get(_TAGS_DIRECTIVE) != "REPLACE":
        return ()
    return _tags_in(headers.get("x-amz-tagging", ""))


@lru_cache(_HEADERS_KEPT)
def _tags_in(header: str) -> Tags:
    return tuple(parse_qsl(header, keep_blank_values=True))


_KEYS: dict[str, Callable[[Principal, Circumstances], tuple[str, ...]]] = {
    "aws:currenttime": lambda _, c: (_time(c.now),),
    "aws:epochtime": lambda _, c: (str(int(c.now.timestamp())),),
    "aws:principalaccount": lambda p, _: () if p.is_anonymous else (ACCOUNT,),
    "aws:federatedprovider": lambda p, _: _one(p.provider),
    "aws:multifactorauthpresent": lambda p, _: () if p.issued is None else ("false",),
    "aws:principalarn": lambda p, _: _one(p.lasting_arn),
    "aws:principaltype": lambda p, _: (_type(p),),
    "aws:principalisawsservice": lambda _, __: ("false",),
    "aws:viaawsservice": lambda _, __: ("false",),
    "aws:referer": _header("referer"),
    "aws:requestedregion": lambda _, c: _one(c.region),
    "aws:resourceaccount": lambda _, __: (ACCOUNT,),
    "aws:securetransport": lambda _, c: () if c.secure is None else ("true" if c.secure else "false",),
    "aws:sourceidentity": lambda p, _: _one(p.source_identity),
    "aws:sourceip": lambda _, c: _one(c.source),
    "aws:tokenissuetime": lambda p, _: () if p.issued is None else (_time(datetime.fromtimestamp(p.issued, UTC)),),
    "aws:useragent": _header("user-agent"),
    "aws:userid": lambda p, _: _one(p.user_id),
    "aws:username": lambda p, _: _one(p.name) if p.kind == "user" else (),
    "s3:authtype": _signed(lambda c: c.way),
    "s3:delimiter": _query("delimiter"),
    "s3:if-match": _header("if-match"),
    "s3:if-none-match": _header("if-none-match"),
    "s3:max-keys": _query("max-keys"),
    "s3:objectcreationoperation": lambda _, c: () if c.creates is None else ("true" if c.creates else "false",),
    "s3:object-lock-legal-hold": _header(_LEGAL_HOLD),
    "s3:object-lock-mode": _header(_LOCK_MODE),
    "s3:object-lock-remaining-retention-days": _days_left,
    "s3:object-lock-retain-until-date": _lock_until,
    "s3:prefix": _query("prefix"),
    "s3:requestobjecttagkeys": lambda p, c: tuple(key for key, _ in _requested_tags(p, c)),
    "s3:resourceaccount": lambda _, __: (ACCOUNT,),
    "s3:signatureage": _signed(_age),
    "s3:signatureversion": _signed(lambda c: c.signature),
    "s3:tlsversion": lambda _, c: _one(c.tls),
    "s3:versionid": _query("versionId"),
    "s3:x-amz-content-sha256": lambda _, c: _one(c.payload or c.headers.get("x-amz-content-sha256")),
}
_FAMILIES: dict[str, Callable[[Principal, Circumstances], Tags]] = {
    "aws:principaltag": lambda p, _: p.tags,
    "aws:resourcetag": lambda _, c: c.bucket_tags,
    "s3:buckettag": lambda _, c: c.bucket_tags,
    "s3:existingobjecttag": lambda _, c: c.existing_tags,
    "s3:requestobjecttag": _requested_tags,
}
