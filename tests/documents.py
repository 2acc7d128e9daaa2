"""Reading the documents in answers."""

from lxml import etree

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def read_document(body):
    """Return a document as an element whose names are without namespace."""
    root = etree.fromstring(body)
    for element in root.iter():
        element.tag = element.tag.removeprefix(NAMESPACE)
    return root
