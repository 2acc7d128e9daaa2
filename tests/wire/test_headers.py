"""Texts in headers: what is accepted can be told, and is told as it was."""

from email.header import decode_header

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3ish.errors import InvalidArgument
from s3ish.wire.headers import check_metadata, check_value, encode, write_metadata

LINE_BREAKS = ["\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
SCRIPTS = ["e\u0301", "\u202eabc\u202c", "\u05e9\u05dc\u05d5\u05dd", "\u2066x\u2069", "\U0001faa3", "\ufeffx", "\u00ad"]


def decoded(text):
    """What a client makes of encoded words."""
    (word, charset), *more = decode_header(text)
    assert not more
    return word.decode(charset) if charset else word


def accepted(check, *arguments):
    try:
        check(*arguments)
    except InvalidArgument:
        return False
    return True


def hostile(test):
    """Add every text that has been a fault somewhere."""
    for text in [*LINE_BREAKS, *SCRIPTS, "\x7f", "\x00", "\ud800", "\udcff", "\t", ""]:
        test = example(text)(example(f"a{text}b")(test))
    return test


@hostile
@given(st.text(st.characters(exclude_categories=())))
def test_metadata_that_is_accepted_is_returned(value):  # case 162
    if not accepted(check_metadata, "name", value):
        assert any(character < " " or "\ud800" <= character <= "\udfff" or character == "\x7f" for character in value)
        return
    told = write_metadata(value)
    assert all(" " <= character <= "~" or character == "\t" for character in told)
    if not value.isascii():
        assert decoded(told) == value
    else:
        assert told == value


@hostile
@given(st.text(st.characters(exclude_categories=())))
def test_values_that_are_accepted_are_returned(value):  # case 162
    if accepted(check_value, "name", value):
        ((_, wire),) = encode([("name", value)])
        assert wire.decode("latin-1") == value
        assert not set(wire) & ({*range(32), 127} - {9})


@pytest.mark.parametrize("text", [*LINE_BREAKS[7:], *SCRIPTS])
def test_all_scripts_and_the_line_breaks_beyond_ascii_are_metadata(text):  # case 162
    assert accepted(check_metadata, "name", f"a{text}b")


@pytest.mark.parametrize("text", ["ÿ", "\x80", "\xa0", "\x9f", "caf\xe9", "\t"])
def test_a_header_carries_all_of_iso_8859_1(text):
    assert check_value("name", text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("東京", "Header value cannot be represented using ISO-8859-1."),
        ("\u2028", "Header value cannot be represented using ISO-8859-1."),
        ("\ud800", "Header value cannot be represented using ISO-8859-1."),
        ("a\r\nb", "Header value cannot contain control characters."),
        ("\x7f", "Header value cannot contain control characters."),
    ],
)
def test_what_no_header_carries(text, message):  # case 106
    with pytest.raises(InvalidArgument) as caught:
        check_value("response-expires", text)
    assert caught.value.message == message
    assert caught.value.details == {"ArgumentName": "response-expires", "ArgumentValue": text}


@pytest.mark.parametrize("name", ["", "a b", "a:b", "é", "a\n", "a(b"])
def test_metadata_names_are_tokens(name):
    assert not accepted(check_metadata, name, "value")


def test_stored_values_that_are_not_accepted_any_more_are_still_told():
    told = [("a", "caf\xe9"), ("b", "東京"), ("c", "\ud800")]
    assert encode(told) == [(b"a", b"caf\xe9"), (b"b", "東京".encode()), (b"c", b"?")]
    assert write_metadata("\ud800") == "=?UTF-8?B?Pw==?="
    assert write_metadata("a\x7f") == "=?UTF-8?B?YX8=?="
