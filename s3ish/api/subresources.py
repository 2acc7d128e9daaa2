"""Parts of a bucket or an object that a query names: which may stand together, and what S3 calls them."""

import re
from collections.abc import Container, Iterable

from s3ish.errors import InvalidArgument, InvalidRequest, NoLoggingStatusForKey

_PART = frozenset(("partNumber", "uploadId"))
"""The one pair that belongs together: a part of an upload."""
OF_BUCKET_AT_KEYS = frozenset(
    (
        "accelerate",
        "cors",
        "inventory",
        "lifecycle",
        "location",
        "notification",
        "policy",
        "replication",
        "requestPayment",
        "versioning",
        "website",
    )
)
"""Parts of a bucket that S3 reads at any of its keys too, whether there is such a key or not."""
NOT_OF_KEYS = frozenset(("logging", "versions"))
"""Parts of a bucket for which S3 has a refusal at a key, beside ``uploads``."""
_TYPES = {
    "bucket": {
        "abac": "BUCKET_ABAC",
        "delete": "MULTI_OBJECT_DELETE",
        "logging": "LOGGING_STATUS",
        "object-lock": "OBJECT_LOCK_CONFIGURATION",
        "policy": "BUCKETPOLICY",
        "versions": "BUCKETVERSIONS",
    },
    "object": {
        "annotation": "OBJECT_ANNOTATIONS",
        "attributes": "OBJECT_ATTRIBUTES",
        "encryption": "OBJECT_ENCRYPTION",
        "legal-hold": "OBJECT_LOCK_LEGALHOLD",
        "partNumber": "PART",
        "retention": "OBJECT_LOCK_RETENTION",
        "tagging": "OBJECT_TAGGING",
        "uploadId": "UPLOAD",
    },
}
"""What S3 calls a part where that is not its name in capitals."""
_TABLE, _CAPITAL = re.compile("metadata.*Table"), re.compile("(?<=[a-z])(?=[A-Z])")


def check_together(level: str, named: Iterable[str]) -> None:
    """Check that parts can be named in one query.

    Args:
        level: what the request is about.
        named: the parts.

    Raises:
        InvalidArgument: they are parts of different kinds.
        InvalidRequest: they are of an object, and the request is about a bucket.
    """
    found = sorted(named)
    if len(found) > 1 and not _PART.issuperset(found):
        raise InvalidArgument(
            f"Conflicting query string parameters: {', '.join(found)}"[:1024],
            ArgumentName="ResourceType",
            ArgumentValue=found[0],
        )
    if level == "bucket" and "partNumber" in found:
        raise InvalidRequest("Object must have a valid key name.")
    if level == "bucket" and "uploadId" in found:
        raise InvalidRequest("A key must be specified")


def check_of_key(query: Container[str]) -> None:
    """Check that a key is not asked for what only its bucket has.

    Args:
        query: of a GET.

    Raises:
        InvalidRequest: it is asked for uploads or versions.
        NoLoggingStatusForKey: it is asked for its logging.
    """
    if "uploads" in query:
        raise InvalidRequest("Key is not expected for the GET method ?uploads subresource")
    if "versions" in query:
        raise InvalidRequest("There is no such thing as the ?versions sub-resource for a key")
    if "logging" in query:
        raise NoLoggingStatusForKey


def type_of(level: str, named: Iterable[str]) -> str:
    """Return what S3 calls the part that a query names, or the whole where it names none."""
    found = sorted(named)
    if not found:
        return level.upper()
    name = found[0]
    known = _TYPES.get(level, {}).get(name) or _TYPES["bucket"].get(name)
    if known:
        return known
    words = _CAPITAL.sub("_", name).replace("-", "_").upper()
    if name.startswith("metadata"):
        return f"BUCKET_{words}" + ("_CONFIGURATION" if _TABLE.fullmatch(name) else "")
    return words
