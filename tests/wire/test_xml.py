"""XML in and out: what is hostile is refused, what is written is read back."""

import os
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from s3ish.errors import MalformedXML
from s3ish.wire import xml

NS = f'xmlns="{xml.NAMESPACE}"'


@pytest.mark.parametrize(
    "document",
    [
        b"<A/>",
        b"<A><B>1</B></A>",
        b'<?xml version="1.0" encoding="UTF-8"?><A/>',
        b"<?xml version='1.0' encoding='utf-8'?>\n<A/>\n",
        b'<?xml version="1.0"?><!-- a comment --><A><?pi x?></A>',
        b'\xef\xbb\xbf<?xml version="1.0"?><A/>',
        f"<A {NS}>é🪣</A>".encode(),
        b"<A>&lt;&#233;&#xe9;<![CDATA[<x>]]></A>",
        b'<?xml version="1.0" encoding="US-ASCII"?><A/>',
    ],
)
def test_documents(document):
    assert xml.local_name(xml.parse(document, MOST)) == "A"


# case 128
@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"   ",
        b"plain text",
        b"{}",
        b"<A>",
        b"<A></B>",
        b"<A/><B/>",
        b"<A/>trailing",
        b"<A a='1' a='2'/>",
        b"<A>&undefined;</A>",
        b"<A>&#0;</A>",
        b"<A>&#1;</A>",
        b"<A>\x00</A>",
        b"<A>\x01</A>",
        b"<A>\xff\xfe</A>",
        b"<A>\xed\xa0\x80</A>",
        b"\xff\xfe" + "<A/>".encode("utf-16-le"),
        "<A/>".encode("utf-16"),
        "<A/>".encode("utf-32"),
        b'<?xml version="1.0" encoding="UTF-16"?><A/>',
        '<?xml version="1.0" encoding="UTF-16"?><A/>'.encode("utf-16"),
        b'<?xml version="1.0" encoding="ISO-8859-1"?><A>\xe9</A>',
        b'<?xml version="1.0" encoding="UTF-7"?><A>+ADw-</A>',
        b'<?xml version="1.0" encoding="windows-1252"?><A/>',
        b'<?xml version="1.0" encoding="no-such"?><A/>',
        "<?xml version='1.0' encoding='EBCDIC-CP-US'?><A/>".encode("cp037"),
        b'<?xml version="9.9"?><A/>',
        b"<!DOCTYPE A><A/>",
        b"<!DOCTYPE A []><A/>",
        b"<!DOCTYPE A SYSTEM 'file:///etc/passwd'><A/>",
        b"<!DOCTYPE A PUBLIC '-//X' 'http://127.0.0.1:1/x.dtd'><A/>",
        b"<!DOCTYPE A [<!ENTITY e 'x'>]><A>&e;</A>",
        b"<!DOCTYPE A [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><A>&e;</A>",
        b"<!DOCTYPE A [<!ENTITY % p SYSTEM 'http://127.0.0.1:1/'> %p;]><A/>",
        b"<!DOCTYPE A [<!ATTLIST A b CDATA 'c'>]><A/>",
    ],
)
def test_hostile_documents(document):
    with pytest.raises(MalformedXML):
        xml.parse(document, MOST)


MOST = 100_000
"""More elements than the documents here have."""


def cpu_seconds(function):
    before = resource.getrusage(resource.RUSAGE_SELF)
    function()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def laughs():
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    return f'<!DOCTYPE A [<!ENTITY l0 "ha">{entities}]><A>&l11;</A>'.encode()


# case 128
@pytest.mark.parametrize(
    "document",
    [
        laughs(),
        b'<!DOCTYPE A [<!ENTITY e "' + b"x" * 50_000 + b'">]><A>' + b"&e;" * 100 + b"</A>",
        b"<A>" * 60_000,
        b"<A>" * 30_000 + b"</A>" * 30_000,
        b"<A " + b"".join(b'a%d="" ' % n for n in range(20_000)),
    ],
    ids=["billion laughs", "quadratic", "deep, open", "deep, closed", "attributes without end"],
)
def test_bombs_do_not_go_off(document):
    def parse():
        with pytest.raises(MalformedXML):
            xml.parse(document, MOST)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert cpu_seconds(parse) < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_no_file_is_opened_for_a_document(tmp_path):
    """A pipe that nobody writes to would hang the parser that opened it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for form in ("<!DOCTYPE A SYSTEM 'file://{}'><A/>", "<!DOCTYPE A [<!ENTITY e SYSTEM 'file://{}'>]><A>&e;</A>"):
        with pytest.raises(MalformedXML):
            xml.parse(form.format(pipe).encode(), MOST)


@pytest.mark.parametrize(
    "document",
    [
        b"<A>" + b"<B/>" * 400_000 + b"</A>",
        b"<A>" + b"<B></B>" * 300_000 + b"</A>",
        b"<A>" + b"<!---->" * 300_000 + b"</A>",
        b"<A>" + b"<?b?>" * 300_000 + b"</A>",
        b"<A>" + b"<B/>" * 300_000 + b"<!--" + b"</" * 300_000 + b"--></A>",
        b"<A>" + b"<" * 1_000_000,
    ],
    ids=["empty", "with an end", "comments", "instructions", "ends in a comment", "beginnings"],
)
def test_a_document_of_too_many_elements_is_refused_unread(document):  # case 163
    def parse():
        with pytest.raises(MalformedXML):
            xml.parse(document, 6000)

    assert cpu_seconds(parse) < 0.05


@pytest.mark.parametrize("form", [b"<B/>", b"<B></B>", b"<B>text</B>"])
def test_a_document_of_as_many_elements_as_allowed_is_read(form):
    assert len(xml.parse(b"<?xml version='1.0'?><A>" + form * 99 + b"<!-- more --></A>", 100)) == 99


def test_inclusions_do_nothing():
    root = xml.parse(
        b'<A xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></A>',
        MOST,
    )
    assert root[0].text is None
    assert xml.local_name(root[0]) == "include"


@pytest.mark.parametrize("namespace", ["http://doc.s3.amazonaws.com/2006-03-01", xml.NAMESPACE.rstrip("/"), "urn:x"])
def test_no_namespace_is_read(namespace):
    assert xml.local_name(xml.parse(f'<A xmlns="{namespace}"/>'.encode(), MOST)) == "A"


@pytest.mark.parametrize("document", [f"<A {NS}/>", "<A/>", f'<s3:A xmlns:s3="{xml.NAMESPACE}"/>', '<A xmlns=""/>'])
def test_namespaces_of_s3(document):
    assert xml.local_name(xml.parse(document.encode(), MOST)) == "A"


@given(st.binary(max_size=60))
def test_any_bytes_are_parsed_or_refused(document):
    try:
        root = xml.parse(document, MOST)
    except MalformedXML:
        return
    assert etree.tostring(root)


# --- writing ---------------------------------------------------------------------------------------------------------

CONTROLS = "".join(chr(code) for code in range(32) if chr(code) not in "\t\n\r")
EXPRESSIBLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=CONTROLS + "\ufffe\uffff"))


# case 40, case 129
@given(EXPRESSIBLE)
def test_what_is_escaped_is_read_back_exactly(text):
    root = etree.fromstring(f'<A b="{xml.escape(text)}">{xml.escape(text)}</A>')
    assert (root.text or "") == text
    assert root.get("b") == text


# case 129
@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a<b>&\"'", "a&lt;b&gt;&amp;&quot;'"),
        ("]]>", "]]&gt;"),
        ("\r\n\t", "&#13;&#10;&#9;"),
        ("\x01\x7f\u0085\u2028\ufffe", "&#1;&#127;&#133;&#8232;&#65534;"),
        ("é🪣", "é🪣"),
        ("", ""),
    ],
)
def test_escapes(text, written):
    assert xml.escape(text) == written
