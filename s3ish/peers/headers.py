"""What a request says of a version that it makes on another server.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from urllib.parse import quote

from s3ish.model import Attributes, Checksum, Lock, Version
from s3ish.objects.lock import is_retained
from s3ish.objects.replication import ReplicationRule
from s3ish.wire.scalars import write_iso8601


def new_object(version: Version, rule: ReplicationRule, now_ns: int) -> dict[str, str]:
    """Return the headers that give a new object what a version says of itself.

    Its access list is not among them: it names users of this server.

    Args:
        now_ns: the time: a retention that has ended is left out.
    """
    attributes = version.attributes
    return {
        **attributes.headers,
        **{f"x-amz-meta-{name}": value for name, value in attributes.metadata.items()},
        **beside(attributes, now_ns),
        **({"x-amz-website-redirect-location": attributes.website_redirect} if attributes.website_redirect else {}),
        "x-amz-storage-class": rule.storage_class or attributes.storage_class,
        **_encryption(attributes, rule),
    }


def beside(attributes: Attributes, now_ns: int) -> dict[str, str]:
    """Return the headers of what may change after an object was made: its tags and its lock."""
    tags = "&".join(f"{quote(tag.key, safe='')}={quote(tag.value, safe='')}" for tag in attributes.tags)
    return {**({"x-amz-tagging": tags} if tags else {}), **_lock(attributes.lock, now_ns)}


def _lock(lock: Lock | None, now_ns: int) -> dict[str, str]:
    found: dict[str, str] = {}
    if lock is None:
        return found
    if lock.legal_hold:
        found["x-amz-object-lock-legal-hold"] = "ON"
    if is_retained(lock, now_ns):
        found["x-amz-object-lock-mode"] = lock.mode
        if lock.event_hold:
            unit, count = ("years", lock.event_years) if lock.event_years else ("days", lock.event_days)
            found["x-amz-object-lock-event-hold"] = "ON"
            found[f"x-amz-object-lock-event-hold-duration-{unit}"] = str(count)
        else:
            found["x-amz-object-lock-retain-until-date"] = write_iso8601(lock.until_ns)
    return found


def _encryption(attributes: Attributes, rule: ReplicationRule) -> dict[str, str]:
    """Return the headers of encryption: a key of this server is none of another one, so the rule names it."""
    kind = attributes.encryption.get("type", "")
    if not kind:
        return {}
    found = {"x-amz-server-side-encryption": kind}
    if kind != "AES256" and rule.key_id:
        found["x-amz-server-side-encryption-aws-kms-key-id"] = rule.key_id
    if attributes.encryption.get("bucket-key") == "true":
        found["x-amz-server-side-encryption-bucket-key-enabled"] = "true"
    return found


def checksum(of: Checksum | None) -> dict[str, str]:
    """Return the header of a checksum that is that of all bytes, none of another one."""
    if of is None or of.kind != "FULL_OBJECT":
        return {}
    return {f"x-amz-checksum-{of.algorithm.lower()}": of.value}
