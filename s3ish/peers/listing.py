"""Listings that another server answers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from s3ish.errors import MalformedXML
from s3ish.jobs.destination import Refused
from s3ish.outbound.http import Answer
from s3ish.peers.client import check
from s3ish.wire import xml

_MOST_ELEMENTS = 20_000


class Page(NamedTuple):
    """A page of a listing: what stands in its root, and in each of its items, by the names of the elements."""

    fields: Mapping[str, str]
    items: Sequence[Mapping[str, str]]


def items_of(answer: Answer, name: str) -> Page:
    """Return the page that a server answers.

    Args:
        name: that of the elements of its items.

    Raises Refused, Unreachable.
    """
    try:
        root = xml.parse(check(answer).body, _MOST_ELEMENTS)
        items = [_texts(found) for found in root.iter() if xml.local_name(found) == name]
        return Page(_texts(root), items)
    except MalformedXML as error:
        raise Refused("a listing cannot be read") from error


def _texts(element: xml.Element) -> dict[str, str]:
    return {xml.local_name(child): child.text or "" for child in element}
