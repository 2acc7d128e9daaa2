"""XML in and out.

Reading goes through lxml with every door closed: no entities, no network, no DTD, a cap on size and depth. Writing is
string building, because keys may hold characters that XML libraries refuse; S3 writes those as character references.
"""

import re
from typing import TYPE_CHECKING, Any

from s3ish.errors import MalformedXML

if TYPE_CHECKING:
    from lxml import etree

    Element = etree._Element  # noqa: SLF001 - the type has no other name
else:
    Element = object  # lxml is imported when the first document comes: a start has no need of it

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SLACK = 64
"""How many comments and the like a document may have beside its elements."""

_special = re.compile('[\x00-\x1f&<>"\x7f-\x9f\u2028\ufffe\uffff]').search
_controls = re.compile("[\x00-\x1f\x7f-\x9f\u2028\ufffe\uffff]").sub


def _reference(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def escape(text: str) -> str:
    """Return ``text`` as XML character data that a reader gets back exactly.

    Carriage returns and other control characters become character references, as S3 writes them; those below U+0020
    other than tab, LF and CR cannot be expressed in XML 1.0, and clients ask for ``encoding-type=url`` instead.
    """
    if not _special(text):
        return text
    named = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return _controls(_reference, named)


def entity_tag(tag: str) -> str:
    """Return an entity tag between quotes, as XML character data. It is hexadecimal digits, perhaps with a count."""
    return f"&quot;{tag}&quot;"


def parse(body: bytes, most: int) -> Element:
    """Parse a request body of capped size and return its root.

    Args:
        most: how many elements the document may have. What has surely more is refused unread, so that what is read is
            at most twice as long.

    Raises:
        MalformedXML: not well-formed, with a document type, nested deeper than 256 elements, too long, or not in UTF-8.
    """
    if body.count(b"<") > 2 * most + _SLACK:
        raise MalformedXML
    from lxml import etree

    if b"\0" in body:  # UTF-16 and UTF-32, which the parser would find out by itself
        raise MalformedXML
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, huge_tree=False
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedXML from error
    info: Any = root.getroottree().docinfo
    if info is None or info.doctype or (info.encoding or "UTF-8").upper() not in ("UTF-8", "ASCII", "US-ASCII"):
        raise MalformedXML
    return root


def local_name(element: Element) -> str:
    """Return the element's name without its namespace, which S3 does not read: clients send several."""
    return str(element.tag).rpartition("}")[2]
