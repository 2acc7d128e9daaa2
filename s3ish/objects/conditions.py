"""Conditional requests: what must be true of an object before it is read, replaced or removed.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

from typing import Protocol

from msgspec import Struct

from s3ish.errors import NoSuchKey, NotImplemented, NotModified, PreconditionFailed
from s3ish.model import Version

_SECOND = 1_000_000_000


def matches(condition: str, etag: str) -> bool:
    """Whether a list of entity tags names this one; weak tags compare as strong ones do in S3."""
    if condition.strip() == "*":
        return True
    return any(item.strip().removeprefix("W/").strip('"') == etag for item in condition.split(","))


class ReadConditions(Struct, frozen=True):
    """The four conditions of a read, or of a copy's source. Moments are nanoseconds since the epoch."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: int | None = None
    if_unmodified_since: int | None = None

    def check(self, version: Version, now_ns: int, *, copy: bool = False) -> None:
        """Compare with the version that would be read.

        Args:
            now_ns: the moment of the request: If-Modified-Since with a later one is ignored, as RFC 9110
                section 13.1.3 has it.
            copy: for a copy's source, where "not modified" is a failure like the others.

        Raises:
            PreconditionFailed, NotModified: as RFC 9110 section 13.2.2 orders them.
        """
        modified = version.modified_ns // _SECOND
        if self.if_match is not None:
            if not matches(self.if_match, version.etag):
                raise PreconditionFailed(Condition="If-Match")
        elif self.if_unmodified_since is not None and modified > self.if_unmodified_since // _SECOND:
            raise PreconditionFailed(Condition="If-Unmodified-Since")
        if self.if_none_match is not None:
            if matches(self.if_none_match, version.etag):
                self._refuse(copy, "If-None-Match")
        elif self.if_modified_since is not None and modified <= self.if_modified_since // _SECOND <= now_ns // _SECOND:
            self._refuse(copy, "If-Modified-Since")

    @staticmethod
    def _refuse(copy: bool, condition: str) -> None:
        if copy:
            raise PreconditionFailed(Condition=condition)
        raise NotModified


class Conditions(Protocol):
    """What must be true of a key before it is written."""

    def check(self, current: Version | None, key: str) -> None:
        """Compare with the key's current version, if any. Raises an S3Error."""


class WriteConditions(Struct, frozen=True):
    """The conditions of a write. ``if_match`` also guards deletes, there with size and time as further tests."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_match_size: int | None = None
    if_match_modified: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is a condition at all."""
        return self != UNCONDITIONAL

    def check_form(self) -> None:
        """Refuse what S3 does not implement on writes: If-None-Match with anything but ``*``. Raises NotImplemented."""
        if self.if_match is not None and self.if_none_match is not None:
            told = "Multiple conditional request headers present in the request"
            raise NotImplemented(Header="If-Match,If-None-Match", additionalMessage=told)
        if self.if_none_match is not None and self.if_none_match.strip() != "*":
            told = "We don't accept the provided value of If-None-Match header for this API"
            raise NotImplemented(Header="If-None-Match", additionalMessage=told)

    def check(self, current: Version | None, key: str) -> None:
        """Compare with the key's current version, if any.

        Raises:
            PreconditionFailed: the object is there, or is another one.
            NoSuchKey: If-Match on a key that has no object.
        """
        exists = current is not None and not current.marker
        if self.if_none_match is not None and exists:
            raise PreconditionFailed(Condition="If-None-Match")
        if self.if_match is None and self.if_match_size is None and self.if_match_modified is None:
            return
        if current is None or not exists:
            if self.if_match is None:
                return  # as S3 has it: size and time guard an object, they do not require one
            raise NoSuchKey(Key=key)
        if self.if_match is not None and not matches(self.if_match, current.etag):
            raise PreconditionFailed(Condition="If-Match")
        if self.if_match_size is not None and self.if_match_size != current.size:
            raise PreconditionFailed(Condition="If-Match-Size")
        if self.if_match_modified is not None and self.if_match_modified // _SECOND != current.modified_ns // _SECOND:
            raise PreconditionFailed(Condition="If-Match-Last-Mod-Time")


UNCONDITIONAL = WriteConditions()
