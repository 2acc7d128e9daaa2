"""Filters of rules: which objects a rule of a configuration document is about.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRuleFilter.html
"""

from typing import Any

from s3ish.api.shapes import TagElement
from s3ish.api.tag_rules import MAX_TAGS, check_tags
from s3ish.errors import InvalidArgument, InvalidRequest, MalformedXML
from s3ish.model import Tag
from s3ish.wire.fields import element, elements
from s3ish.wire.places import fields_of
from s3ish.wire.shape import shape

MAX_PREFIX = 1024


@shape
class AllOf:
    """Conditions that must all hold."""

    prefix: str | None = element("Prefix")
    tags: list[TagElement] = elements("Tag", limit=MAX_TAGS)


@shape
class Filter:
    """One condition, or several in ``all_of``; none means every object."""

    prefix: str | None = element("Prefix")
    tag: TagElement | None = element("Tag")
    all_of: AllOf | None = element("And")


def check_filter(found: Any, *, needs_one: bool = False) -> None:
    """Check a filter of any kind that has ``prefix``, ``tag`` and ``all_of``.

    Args:
        needs_one: whether a filter without a condition is none.

    Raises:
        MalformedXML: more or fewer conditions than its form allows.
        InvalidArgument, InvalidTag, InvalidRequest: a condition is wrong.
    """
    if found is None:
        return
    given = [getattr(found, name) for name in fields_of(type(found))]
    count = sum(value is not None for value in given)
    if count > 1 or (needs_one and count == 0):
        raise MalformedXML
    if found.all_of is not None:
        parts = [getattr(found.all_of, name) for name in fields_of(type(found.all_of))]
        if sum(len(part) if isinstance(part, list) else part is not None for part in parts) < 2:
            raise MalformedXML
    check_prefix(prefix_of(found))
    tags = tags_of(found)
    if len({tag.key for tag in tags}) < len(tags):
        raise InvalidRequest("Duplicate Tag Keys are not allowed.")
    check_tags(tuple(tags), MAX_TAGS)


def check_prefix(prefix: str) -> None:
    """Check that keys can begin with a prefix. Raises InvalidArgument."""
    if len(prefix.encode()) > MAX_PREFIX:
        raise InvalidArgument(f"The maximum size of a prefix is {MAX_PREFIX}", ArgumentName="Prefix")


def prefix_of(found: Any) -> str:
    """Return the prefix that a filter asks for."""
    if found is None:
        return ""
    return (found.all_of.prefix if found.all_of else found.prefix) or ""


def tags_of(found: Any) -> list[Tag]:
    """Return the tags that a filter asks for."""
    if found is None:
        return []
    tags = found.all_of.tags if found.all_of else [found.tag] if found.tag else []
    return [Tag(tag.key, tag.value) for tag in tags]
