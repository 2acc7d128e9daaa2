"""Numbers, truth values and moments as text."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3ish.wire import scalars

MOMENT = 1_769_851_800_123_456_789  # 2026-01-31T09:30:00.123456789Z
MOMENTS = st.integers(0, 4_102_444_800_000_000_000)


def test_moments_in_xml():
    assert scalars.write_iso8601(MOMENT) == "2026-01-31T09:30:00.123Z"
    assert scalars.write_iso8601(0) == "1970-01-01T00:00:00.000Z"


def test_moments_in_headers():
    assert scalars.write_http_date(MOMENT) == "Sat, 31 Jan 2026 09:30:00 GMT"
    assert scalars.write_http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"


@given(MOMENTS)
def test_xml_moments_survive_to_the_millisecond(moment):
    assert scalars.read_iso8601(scalars.write_iso8601(moment)) == moment // 1_000_000 * 1_000_000


@given(MOMENTS)
def test_xml_moments_are_those_of_the_calendar(moment):
    at = datetime.fromtimestamp(moment // 1_000_000_000, UTC).isoformat()[:19]
    assert scalars.write_iso8601(moment) == f"{at}.{moment // 1_000_000 % 1000:03}Z"


@given(MOMENTS)
def test_header_moments_survive_to_the_second(moment):
    text = scalars.write_http_date(moment)
    assert scalars.read_http_date(text) == moment // 1_000_000_000 * 1_000_000_000
    assert text == format_datetime(datetime.fromtimestamp(moment // 1_000_000_000, UTC), usegmt=True)


@pytest.mark.parametrize(
    "text",
    [
        "Sat, 31 Jan 2026 09:30:00 GMT",
        "Saturday, 31-Jan-26 09:30:00 GMT",
        "Sat Jan 31 09:30:00 2026",
        "Sat, 31 Jan 2026 10:30:00 +0100",
        "2026-01-31T09:30:00Z",
        "2026-01-31T09:30:00",
        "2026-01-31T10:30:00.000+01:00",
        "20260131T093000Z",
    ],
)
def test_the_forms_of_a_moment_in_a_header(text):
    assert scalars.read_http_date(text) == MOMENT // 1_000_000_000 * 1_000_000_000


@given(st.one_of(st.text(max_size=40), st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]\d+")))
def test_any_text_is_a_moment_or_a_value_error(text):
    for read in (scalars.read_http_date, scalars.read_iso8601):
        try:
            assert isinstance(read(text), int)
        except ValueError:
            continue


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "Fri, 31 Dec 9999 23:59:59 -2359"]
)
def test_moments_at_the_ends_of_time(text):
    assert isinstance(scalars.read_http_date(text), int)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("-1", -1), ("007", 7), ("9" * 19, 10**19 - 1)])
def test_integers(text, number):
    assert scalars.read_integer(text) == number


# case 122, case 126
@pytest.mark.parametrize(
    "text", ["", "-", "+1", "1_0", "1e2", " 1", "1 ", "0x1", "1.0", "--1", "٣", "²", "9" * 20, "a"]
)
def test_what_is_no_integer(text):
    with pytest.raises(ValueError, match=r".*"):
        scalars.read_integer(text)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("TRUE", True), ("False", False)])
def test_booleans(text, value):
    assert scalars.read_boolean(text) is value
    assert scalars.write_boolean(value) == text.lower()


@pytest.mark.parametrize("text", ["", "1", "yes", " true", "truee"])
def test_what_is_no_boolean(text):
    with pytest.raises(ValueError, match=r".*"):
        scalars.read_boolean(text)


def test_base64():
    assert scalars.read_base64("AAAA", 3) == bytes(3)
    for text in ("AAA", "AAA=", "AAAAAA==", "AA\nAA", "é", "", "-___"):
        with pytest.raises(ValueError, match=r".*"):
            scalars.read_base64(text, 3)


# case 40
def test_keys_in_listings_that_ask_for_url_encoding():
    assert scalars.write_url("a/b-_.~*") == "a/b-_.~*"
    assert scalars.write_url("a b+é\x01&") == "a%20b%2B%C3%A9%01%26"


@given(st.integers(0, 10**30))
def test_positions_of_any_length(number):
    for text in (str(number), f"{number:0>5000}"):
        assert scalars.read_position(text) == (number if number < 10**18 else 1 << 63)
