"""One call of the query protocol: its parameters, who makes it, and what it may do."""

import base64
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from s3ish.auth.condition_keys import Tags, tags_given
from s3ish.auth.credentials import User
from s3ish.auth.sessions import Sessions
from s3ish.errors import ValidationError
from s3ish.identity.providers import Providers
from s3ish.server.caller import Caller
from s3ish.server.query_protocol import element

T = TypeVar("T")

_MOST_ITEMS = 1000
_ITEMS = 100
_PREFIX = re.compile(r"/[!-\x7f]*")
_NUMBER = re.compile(r"[0-9]{1,9}")
_TAGGING = re.compile("iam:(Create|Tag|Untag)(?:Policy|Role|User)")


class Call(Caller, frozen=True, kw_only=True):
    """One call; ``user`` is who signed it, None where a call need not be signed."""

    parameters: Mapping[str, str]
    user: User | None
    sessions: Sessions
    providers: Providers

    def text(self, name: str, *, most: int = 2048) -> str:
        """Return a parameter that must be there. Raises ValidationError."""
        value = self.parameters.get(name, "")
        if not value:
            raise _missing(name)
        return self.optional(name, value, most=most)

    def optional(self, name: str, default: str = "", *, most: int = 2048) -> str:
        """Return a parameter, or a default. Raises ValidationError: it is too long."""
        value = self.parameters.get(name, default)
        if len(value) > most:
            raise ValidationError(
                f"1 validation error detected: Value at '{_camel(name)}' failed to satisfy constraint: Member must "
                f"have length less than or equal to {most}"
            )
        return value

    def path_prefix(self) -> str:
        """Return with what the paths begin that a list is of. Raises ValidationError."""
        prefix = self.optional("PathPrefix", "/", most=512)
        if not _PREFIX.fullmatch(prefix):
            raise ValidationError(
                "1 validation error detected: Value at 'pathPrefix' failed to satisfy constraint: Member must satisfy "
                "regular expression pattern: \\u002F[\\u0021-\\u007F]*"
            )
        return prefix

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a parameter that is a number. Raises ValidationError."""
        text = self.parameters.get(name, str(default))
        if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
            raise ValidationError(f"{name} must be from {least} to {most}")
        return int(text)

    def flag(self, name: str) -> bool:
        """Return a parameter that is true or false; false if it is not there. Raises ValidationError."""
        text = self.parameters.get(name, "false").lower()
        if text not in ("true", "false"):
            raise ValidationError(f"{name} must be true or false")
        return text == "true"

    def members(self, name: str) -> list[str]:
        """Return a list: ``Name.member.1``, ``Name.member.2``, and so on. Raises ValidationError."""
        return [self._field(f"{name}.member.{number}") for number in self.numbers(name)]

    def some(self, name: str) -> list[str]:
        """Return a list that must have an item. Raises ValidationError."""
        found = self.members(name)
        if not found:
            raise _missing(name)
        return found

    def tags(self) -> tuple[tuple[str, str], ...]:
        """Return the tags: ``Tags.member.1.Key``, ``Tags.member.1.Value``, and so on. Raises ValidationError."""
        items = [f"Tags.member.{number}" for number in self.numbers("Tags")]
        return tuple((self._field(f"{item}.Key"), self._field(f"{item}.Value")) for item in items)

    def some_tags(self) -> tuple[tuple[str, str], ...]:
        """Return the tags, which must be at least one. Raises ValidationError."""
        found = self.tags()
        if not found:
            raise _missing("Tags")
        return found

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of the items of a list, in their order; some may be left out. Raises ValidationError."""
        begin = f"{name}.member."
        found = {key[len(begin) :].partition(".")[0] for key in self.parameters if key.startswith(begin)}
        if not all(_NUMBER.fullmatch(number) for number in found):
            raise ValidationError(f"The items of {name} must have numbers.")
        return sorted(map(int, found))

    def _field(self, name: str) -> str:
        value = self.parameters.get(name)
        if value is None:
            raise _missing(name)
        return value

    def said(self, action: str) -> Tags:
        """Return what conditions may ask of an action: the tags that it gives, or the keys of those that it removes."""
        found = _TAGGING.fullmatch(action)
        if found is None:
            return ()  # a parameter that an action does not read satisfies no condition
        if found[1] == "Untag":
            return tuple(("aws:tagkeys", key) for key in self.members("TagKeys"))
        return tags_given(self.tags())

    def refuse(self, *names: str) -> None:
        """Refuse parameters that ask for what is not there. Raises ValidationError."""
        for name in names:
            if any(key == name or key.startswith(f"{name}.") for key in self.parameters):
                raise ValidationError(f"{name} is not supported")

    def page(self, items: Iterable[T], name_of: Callable[[T], str], show: Callable[[T], str], field: str) -> str:
        """Return one page of a list, as ``Marker`` and ``MaxItems`` ask for it.

        Args:
            items: in the order of their names.
            field: the element around them.

        Raises:
            ValidationError: the marker is none.
        """
        found, end = self.cut(items, name_of)
        return f"<{field}>{''.join(map(show, found))}</{field}>{end}"

    def cut(self, items: Iterable[T], name_of: Callable[[T], str]) -> tuple[list[T], str]:
        """Return the items of one page, and the elements that say whether there are more. See ``page``."""
        most = self.number("MaxItems", _ITEMS, 1, _MOST_ITEMS)
        after = _read_marker(self.parameters["Marker"]) if "Marker" in self.parameters else ""
        left = [item for item in items if name_of(item) > after]
        more = ""
        if len(left) > most:
            marker = base64.urlsafe_b64encode(name_of(left[most - 1]).encode()).decode()
            more = element("Marker", marker)
        return left[:most], element("IsTruncated", len(left) > most) + more


Action = Callable[[Call], Awaitable[str]]
"""Answers a call with the content of its result."""


def optional_element(name: str, value: str) -> str:
    """Return an XML element; nothing if the value is empty."""
    return element(name, value) if value else ""


def members(field: str, shown: Sequence[str]) -> str:
    """Return a list: each item in an element ``member``."""
    return f"<{field}>{''.join(f'<member>{item}</member>' for item in shown)}</{field}>"


def moment(at_ns: int) -> str:
    """Return a time, given in nanoseconds since the epoch, as it stands in answers."""
    return f"{datetime.fromtimestamp(at_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _missing(name: str) -> ValidationError:
    where = f"Value null at '{_camel(name)}'"
    return ValidationError(
        f"1 validation error detected: {where} failed to satisfy constraint: Member must not be null"
    )


def _camel(name: str) -> str:
    """Return the name of a parameter as messages write it."""
    return name[:1].lower() + name[1:]


def _read_marker(text: str) -> str:
    try:
        return base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise ValidationError("Invalid Marker.") from error
