"""Headers where they have no meaning: S3 refuses them, because a client that sends one counts on it.

Each row says which operations it is about and which error answers; a header that an operation declares is no concern of
it. What is neither declared nor here is ignored, as HTTP wants it.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

from s3ish.api.operation import Operation
from s3ish.api.shapes import ALGORITHMS
from s3ish.auth.mismatch import is_customer_key
from s3ish.errors import InvalidArgument, InvalidRequest, NotImplemented, S3Error
from s3ish.wire.shape import wire

_OPERATIONS = 256
"""More than there are."""
_ENCRYPTION = (
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-server-side-encryption-context",
)
_CHECKSUM = "x-amz-checksum-"
_KNOWN_CHECKSUMS = frozenset(
    (*(_CHECKSUM + name.lower() for name in ALGORITHMS), *(_CHECKSUM + name for name in ("algorithm", "mode", "type")))
)
_PAYLOAD = "x-amz-content-sha256"
_CUSTOMER_KEY = (
    "server-side-encryption-customer-algorithm",
    "server-side-encryption-customer-key",
    "server-side-encryption-customer-key-md5",
)
_OF_PARTS = ("uploads", "uploadId")
_COPY = (
    "x-amz-copy-source",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-copy-source-range",
    *(f"x-amz-copy-source-{name}" for name in _CUSTOMER_KEY),
    "x-amz-metadata-directive",
    "x-amz-object-annotation-directive",
    "x-amz-source-expected-bucket-owner",
    "x-amz-tagging-directive",
)


def _reads_object(operation: Operation) -> bool:
    return operation.level == "object" and operation.method in ("GET", "HEAD")


def _writes_part(operation: Operation) -> bool:
    return operation.method == "PUT" and ("uploadId", None) in operation.query


def _writes_object(operation: Operation) -> bool:
    return operation.reads_form or (operation.level == "object" and operation.method == "PUT")


def _replaces_object(operation: Operation) -> bool:
    return _writes_object(operation) and not operation.query


def _deletes_object(operation: Operation) -> bool:
    return operation.level == "object" and operation.method == "DELETE" and not operation.query


def _makes_of_parts(operation: Operation) -> bool:
    parameters = {name for name, _ in operation.query}
    return operation.level == "object" and operation.method == "POST" and not parameters.isdisjoint(_OF_PARTS)


def _copies(operation: Operation) -> bool:
    return operation.header == "x-amz-copy-source"


_Refusal = Callable[[str, str], S3Error]


def _without_meaning(name: str, value: str) -> S3Error:
    shown = "" if is_customer_key(name) else value[:256]
    return InvalidArgument("The specified header is not valid in this context", ArgumentName=name, ArgumentValue=shown)


def _without_encryption(name: str, value: str) -> S3Error:
    return InvalidArgument(
        "x-amz-server-side-encryption header is not supported for this operation.",
        ArgumentName=name,
        ArgumentValue=value[:256],
    )


def _not_implemented(name: str, value: str) -> S3Error:  # noqa: ARG001 - the form of every refusal
    return NotImplemented(Header=name)


_ROWS: tuple[tuple[Callable[[Operation], bool], tuple[str, ...], _Refusal], ...] = (
    (_reads_object, _ENCRYPTION, _without_encryption),
    (_writes_part, _ENCRYPTION, _without_encryption),
    (_writes_object, (*_COPY, "content-range"), _without_meaning),
    (_copies, ("range",), _without_meaning),
    (_writes_object, ("x-amz-write-offset-bytes",), _not_implemented),  # else it would replace what was to grow
    (_makes_of_parts, ("x-amz-write-offset-bytes",), _not_implemented),
    # a write that its client meant to be conditional
    (_replaces_object, ("if-match", "if-none-match", "if-unmodified-since"), _not_implemented),
    (_deletes_object, ("if-none-match", "if-unmodified-since"), _not_implemented),
)


@lru_cache(_OPERATIONS)
def misplaced_headers(operation: Operation) -> Mapping[str, _Refusal]:
    """Return the headers, in lower case, that an operation refuses, and what makes their error."""
    declared = {name.lower() for name in wire(operation.request).names_at("header")}
    return {
        name: refusal
        for concerns, names, refusal in _ROWS
        if concerns(operation)
        for name in names
        if name not in declared
    }


def refuse_misplaced(operation: Operation, headers: Mapping[str, str], query: Mapping[str, str]) -> None:
    """Refuse the first header that has no meaning for an operation.

    Raises:
        InvalidArgument, NotImplemented: as the table says.
        InvalidRequest: a checksum of an algorithm that is not known, or one behind a body that has no such place.
    """
    refused = misplaced_headers(operation)
    if not refused.keys().isdisjoint(headers):
        name = next(name for name in headers if name in refused)
        raise refused[name](name, headers[name])
    if query:
        _refuse_overrides(operation, query)
    if not operation.reads_stream and "authorization" in headers and headers.get(_PAYLOAD, "").endswith("-TRAILER"):
        raise InvalidRequest("The value of x-amz-content-sha256 header is invalid.")
    if operation.method in ("PUT", "POST"):
        for name in headers:
            if name.startswith(_CHECKSUM) and name not in _KNOWN_CHECKSUMS:
                raise InvalidRequest("The algorithm type you specified in x-amz-checksum- header is invalid.")


def _refuse_overrides(operation: Operation, query: Mapping[str, str]) -> None:
    """Refuse a header that no client may choose for the answer. Raises InvalidArgument.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    if not _reads_object(operation) or operation.query:
        return
    for name in query:
        if name.startswith("response-") and name not in operation.parameters:
            raise InvalidArgument(
                f"{name[:128]} is not in the set of overridable response headers. Please refer to the S3 API "
                "documentation for a complete list of overridable response headers.",
                ArgumentName=name[:128],
                ArgumentValue=query[name][:256],
            )
