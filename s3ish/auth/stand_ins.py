"""Query parameters that stand for headers.

A browser that opens a presigned URL cannot add headers, so programs that make such URLs put the headers of the
request into the query: ``x-amz-meta-…``, ``x-amz-acl``, ``x-amz-checksum-mode``. S3 reads them as the headers that
they stand for. The signature covers them in either place.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
"""

from collections.abc import Iterable, Mapping

from s3ish import checksum
from s3ish.errors import InvalidRequest

_OWN = frozenset(
    f"X-Amz-{name}"
    for name in ("Algorithm", "Content-Sha256", "Credential", "Date", "Expires", "Signature", "SignedHeaders")
)
"""Parameters of Version 4 itself."""
_PLAIN = ("content-type", "content-md5")
"""Headers that programs put into the query too, but that a client may send in another form of its own."""
_DIGESTS = {"content-md5": "MD5", **{f"x-amz-checksum-{name.lower()}": name for name in checksum.ALGORITHMS}}


def is_stand_in(name: str) -> bool:
    """Whether a query parameter stands for a header."""
    lower = name.lower()
    return lower in _PLAIN or (lower.startswith("x-amz-") and name not in _OWN)


def with_stand_ins(headers: Mapping[str, str], query: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Return the headers of a presigned request with those that its query stands for.

    The same value in both places is one value. ``Content-Type`` and ``Content-MD5`` that are sent win.

    Args:
        headers: by lower-case name.
        query: the decoded parameters.

    Raises:
        InvalidRequest: header and query, or two parameters, say different things.
    """
    merged = dict(headers)
    for name, text in query:
        if is_stand_in(name):
            lower, value = name.lower(), text.strip(" \t")
            if merged.setdefault(lower, value) != value and lower not in _PLAIN:
                raise InvalidRequest(f"The header and the query parameter {name[:64]} have different values.")
    return merged


def effective_headers(headers: Mapping[str, str], query: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers that a presigned request is to be carried out with.

    A digest of no bytes at all is left out: programs sign it when they make a URL without knowing what will be sent.

    Args:
        headers: by lower-case name.
        query: the decoded parameters.

    Raises:
        InvalidRequest: header and query, or two parameters, say different things.
    """
    void = {name for name, value in query.items() if _is_digest_of_nothing(name.lower(), value)}
    if not void:
        return with_stand_ins(headers, query.items())
    if not any(name.lower() in _DIGESTS for name in query.keys() - void):
        void |= {name for name in query if name.lower() == "x-amz-sdk-checksum-algorithm"}
    return with_stand_ins(headers, ((name, value) for name, value in query.items() if name not in void))


def _is_digest_of_nothing(name: str, value: str) -> bool:
    algorithm = _DIGESTS.get(name)
    return algorithm is not None and value == checksum.of_nothing(algorithm)
