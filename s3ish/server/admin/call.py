"""One call of the admin API: what it names, what its body says, and how answers are written."""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from msgspec import Struct

from s3ish.auth.ready_policies import READY
from s3ish.errors import InvalidInput, ValidationError
from s3ish.identity.directory import READY_ARN, Directory
from s3ish.identity.picking import pick
from s3ish.identity.records import Holder, PolicyRecord, Record, arn
from s3ish.observe.refusals import Refusals
from s3ish.server.caller import Caller
from s3ish.server.json_body import read_json

T = TypeVar("T", bound=Struct)

_MOST_ITEMS = 1000
_NUMBER = re.compile("[0-9]{1,9}")


class AdminCall(Caller, frozen=True, kw_only=True):
    """One call; ``names`` are the parts of the path that vary, ``query`` its parameters, ``body`` as it was sent.

    ``refusals`` are the requests that were refused not long ago.
    """

    refusals: Refusals
    names: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes

    @property
    def directory(self) -> Directory:
        """All users, groups, policies and roles."""
        return self.registry.directory

    def read(self, kind: type[T]) -> T:
        """Return what the body says; an empty one says nothing. Raises InvalidInput."""
        try:
            return read_json(self.text() or "{}", kind)
        except ValueError as error:
            raise InvalidInput(f"The body is not what is asked for: {error}"[:512]) from error

    def text(self) -> str:
        """Return the body as a text. Raises InvalidInput."""
        try:
            return self.body.decode()
        except UnicodeDecodeError as error:
            raise InvalidInput("The body is not in UTF-8.") from error

    def check(
        self, action: str, kind: type[Record], name: str, policy: str = "", *, boundary: str | None = None
    ) -> None:
        """Check that the caller may do something with a record, which need not exist; see ``require``.

        Args:
            boundary: what the call sets; None where it leaves that as it is.
        """
        found = self.directory.named(kind, name)
        if boundary is None:
            boundary = found.boundary if isinstance(found, Holder) else ""
        self.require(f"s3ish:{action}", found.arn if found else arn_of(kind, "/", name), policy, boundary)

    def page(self, found: list[Any], field: str, show: Callable[[Any], Any]) -> dict[str, Any]:
        """Return one page of records that are in the order of their names. Raises ValidationError."""
        limit, after = self.query.get("limit", str(_MOST_ITEMS)), self.query.get("after", "")
        if not _NUMBER.fullmatch(limit) or not 1 <= int(limit) <= _MOST_ITEMS:
            raise ValidationError(f"limit must be from 1 to {_MOST_ITEMS}")
        left = [record for record in found if record.name > after]
        shown = left[: int(limit)]
        more = {"next": shown[-1].name} if len(left) > len(shown) else {}
        return {field: [show(record) for record in shown], **more}

    def policy_arn(self, name: str) -> str:
        """Return the ARN of a managed policy, given that, or a name. Raises NoSuchEntity."""
        if name.startswith("arn:"):
            return name
        if name in READY and self.directory.named(PolicyRecord, name) is None:
            return READY_ARN + name
        return pick(self.directory, PolicyRecord, name).arn


Handler = Callable[[AdminCall], Awaitable[Any]]
"""Answers a call with what becomes JSON; None for nothing."""


def arn_of(kind: type[Record], path: str, name: str) -> str:
    """Return the ARN that a record of a kind has, or would have."""
    return arn(kind.noun, path + name)


def moment(at_ns: int) -> str | None:
    """Return a time, given in nanoseconds since the epoch, as it stands in answers; None for none."""
    return f"{datetime.fromtimestamp(at_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}" if at_ns else None
