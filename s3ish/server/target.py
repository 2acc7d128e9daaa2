"""Which bucket and key a request names, from its Host and its raw path.

Only the raw path is read: a decoded one has lost the difference between ``%2F`` and ``/`` in a bucket's name, and
replaces invalid UTF-8.
"""

import re
from functools import lru_cache

from msgspec import Struct

from s3ish.errors import InvalidBucketName, InvalidRequest, InvalidURI
from s3ish.wire import names

_HOSTS_KEPT = 256
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")


class Target(Struct, frozen=True):
    """What a request is about; empty texts where it names no bucket or no key, ``by_host`` if the host names it."""

    bucket: str
    key: str
    by_host: bool = False

    @property
    def level(self) -> str:
        """``service``, ``bucket`` or ``object``."""
        return "object" if self.key else "bucket" if self.bucket else "service"


@lru_cache(_HOSTS_KEPT)
def check_host(host: str) -> str:
    """Return the host name in lower case without its port and the dot that may end a full name.

    Raises:
        InvalidRequest: the Host header is missing or not of the form ``name[:port]``.
    """
    matched = _HOST.fullmatch(host)
    if matched is None or int(matched[1] or 0) > 65535:
        raise InvalidRequest("The Host header is missing or not valid.")
    name = host[: matched.start(1) - 1] if matched[1] else host
    return name.removesuffix(".").lower()


def locate(host: str, raw_path: str, domains: tuple[str, ...]) -> Target:
    """Return what a request names.

    Args:
        host: the Host header.
        raw_path: the path as sent, without the query.
        domains: names under which ``bucket.name`` addresses a bucket (virtual-hosted style).

    Raises:
        InvalidURI, InvalidBucketName, KeyTooLongError, InvalidRequest: not a valid target.
    """
    name = check_host(host)
    if not raw_path.startswith("/"):
        raise InvalidURI
    for domain in domains:
        if name.endswith("." + domain):
            bucket = name[: -len(domain) - 1]
            return Target(names.check_bucket_name(bucket), _key(raw_path[1:]), by_host=True)
    bucket, separator, rest = raw_path[1:].partition("/")
    if not bucket:
        if separator:
            raise InvalidBucketName(BucketName="")
        return Target("", "")
    return Target(names.check_bucket_name(names.decode_segment(bucket)), _key(rest))


def site_of(host: str, domains: tuple[str, ...]) -> str:
    """Return the bucket whose website a host names; empty if it names none.

    Args:
        host: the Host header.
        domains: names under which ``bucket.name`` is a website, or which are one themselves.

    Raises:
        InvalidRequest, InvalidBucketName: not a valid host, or it names what cannot be a bucket.
    """
    if not domains:
        return ""
    name = check_host(host)
    for domain in domains:
        if name.endswith("." + domain):
            return names.check_bucket_name(name[: -len(domain) - 1])
    return names.check_bucket_name(name) if name in domains else ""


def locate_page(bucket: str, raw_path: str) -> Target:
    """Return what a request names at a website. Raises InvalidURI, KeyTooLongError."""
    if not raw_path.startswith("/"):
        raise InvalidURI
    return Target(bucket, _key(raw_path[1:]), by_host=True)


def _key(raw: str) -> str:
    return names.check_key(names.decode_segment(raw)) if raw else ""
