"""Which condition lets which request pass: RFC 9110 section 13.2.2 for reads, S3's own table for writes."""

import itertools

import pytest

from s3ish.errors import NoSuchKey, NotImplemented, NotModified, PreconditionFailed, S3Error
from s3ish.model import Version
from s3ish.objects.conditions import UNCONDITIONAL, ReadConditions, WriteConditions
from tests.objects.support import NO_BLOB, OWNER, get, keys_of, make_bucket, outcome, put, remove

SECOND = 10**9
MODIFIED = 1_700_000_000 * SECOND + 123_456_789


def version(etag="e", marker=False, size=4):
    return Version(
        bucket="b", key="k", id="null", sequence=1, modified_ns=MODIFIED, owner=OWNER, blob=NO_BLOB, etag=etag,
        marker=marker, size=size,
    )  # fmt: skip


def result(check, *arguments, **options):
    try:
        check(*arguments, **options)
    except S3Error as error:
        return type(error)
    return None


MATCH = {None: None, "yes": '"e"', "no": '"x"'}
BEFORE, SAME, LATER = MODIFIED - SECOND, MODIFIED // SECOND * SECOND, MODIFIED + SECOND
NOW = MODIFIED + 10 * SECOND


ALL = list(itertools.product(MATCH, MATCH, [None, BEFORE, SAME], [None, BEFORE, SAME]))


@pytest.mark.parametrize(("match", "none", "since", "unmodified"), ALL)
def test_reads_follow_the_order_of_the_rfc(match, none, since, unmodified):
    conditions = ReadConditions(MATCH[match], MATCH[none], since, unmodified)
    expected = None
    if match == "no" or (match is None and unmodified == BEFORE):
        expected = PreconditionFailed
    elif none == "yes" or (none is None and since == SAME):
        expected = NotModified
    assert result(conditions.check, version(), NOW) is expected
    in_a_copy = PreconditionFailed if expected is NotModified else expected
    assert result(conditions.check, version(), NOW, copy=True) is in_a_copy


@pytest.mark.parametrize(
    ("moment", "modified", "unmodified"),
    [(BEFORE, None, PreconditionFailed), (SAME, NotModified, None), (LATER, NotModified, None)],
)
def test_dates_compare_by_whole_seconds(moment, modified, unmodified):
    assert result(ReadConditions(if_modified_since=moment).check, version(), NOW) is modified
    assert result(ReadConditions(if_unmodified_since=moment).check, version(), NOW) is unmodified


@pytest.mark.parametrize("copy", [False, True])
def test_a_moment_to_come_says_nothing_of_what_was_modified_since(copy):
    refusal = PreconditionFailed if copy else NotModified
    for moment, expected in ((NOW + SECOND, None), (NOW, refusal), (NOW // SECOND * SECOND + SECOND - 1, refusal)):
        assert result(ReadConditions(if_modified_since=moment).check, version(), NOW, copy=copy) is expected
    both = ReadConditions(if_none_match='"e"', if_modified_since=NOW + SECOND)
    assert result(both.check, version(), NOW, copy=copy) is refusal
    assert result(ReadConditions(if_unmodified_since=NOW + SECOND).check, version(), NOW, copy=copy) is None


@pytest.mark.parametrize("text", ['"e"', "e", "*", ' "e" ', '"x", "e"', '"x","y" , "e"', 'W/"e"'])
def test_entity_tags_that_match(text):
    assert result(ReadConditions(if_match=text).check, version(), NOW) is None
    assert result(ReadConditions(if_none_match=text).check, version(), NOW) is NotModified
    assert result(WriteConditions(if_match=text).check, version(), "k") is None


@pytest.mark.parametrize("text", ['"x"', "", '""', "ee", '"e', '"x","y"', "E", "**"])
def test_entity_tags_that_do_not_match(text):
    expected = None if text == '"e' else PreconditionFailed
    assert result(ReadConditions(if_match=text).check, version(), NOW) is expected
    assert result(WriteConditions(if_match=text).check, version(), "k") is expected


ABSENT, MARKER, HERE = None, version(marker=True), version()


@pytest.mark.parametrize(
    ("conditions", "absent", "marker", "here"),
    [
        ({}, None, None, None),
        ({"if_none_match": "*"}, None, None, PreconditionFailed),
        ({"if_match": "*"}, NoSuchKey, NoSuchKey, None),
        ({"if_match": '"e"'}, NoSuchKey, NoSuchKey, None),
        ({"if_match": '"x"'}, NoSuchKey, NoSuchKey, PreconditionFailed),
        ({"if_match_size": 4}, None, None, None),
        ({"if_match_size": 5}, None, None, PreconditionFailed),
        ({"if_match_size": 0}, None, None, PreconditionFailed),
        ({"if_match_modified": SAME}, None, None, None),
        ({"if_match_modified": BEFORE}, None, None, PreconditionFailed),
        ({"if_match_modified": LATER}, None, None, PreconditionFailed),
        ({"if_match": '"e"', "if_match_size": 4, "if_match_modified": SAME}, NoSuchKey, NoSuchKey, None),
        ({"if_match": '"e"', "if_match_size": 5}, NoSuchKey, NoSuchKey, PreconditionFailed),
    ],
)
def test_writes(conditions, absent, marker, here):
    check = WriteConditions(**conditions).check
    assert (result(check, ABSENT, "k"), result(check, MARKER, "k"), result(check, HERE, "k")) == (absent, marker, here)


def test_what_s3_does_not_implement_is_refused():
    assert result(WriteConditions(if_none_match='"e"').check_form) is NotImplemented
    assert result(WriteConditions(if_none_match="*", if_match='"e"').check_form) is NotImplemented
    assert result(WriteConditions(if_none_match="*").check_form) is None
    assert result(WriteConditions(if_match='"e"').check_form) is None
    assert not UNCONDITIONAL.any
    assert WriteConditions(if_match_size=0).any


async def test_a_refused_write_changes_nothing(store):
    first = await put(store, "k", b"first")
    for conditions, error in (
        (WriteConditions(if_none_match="*"), PreconditionFailed),
        (WriteConditions(if_match='"x"'), PreconditionFailed),
        (WriteConditions(if_none_match='"x"'), NotImplemented),
    ):
        assert await outcome(put(store, "k", b"second", conditions=conditions)) is error
        assert await get(store, "k") == b"first"
    await put(store, "k", b"second", conditions=WriteConditions(if_match=f'"{first.etag}"'))
    assert await get(store, "k") == b"second"
    assert await outcome(put(store, "new", b"x", conditions=WriteConditions(if_match="*"))) is NoSuchKey
    assert await keys_of(store) == ["k"]


async def test_a_delete_marker_counts_as_no_object(store):
    await make_bucket(store, "v", "Enabled")
    await put(store, "k", b"first", bucket="v")
    await remove(store, "k", bucket="v")
    assert await outcome(put(store, "k", b"x", bucket="v", conditions=WriteConditions(if_match="*"))) is NoSuchKey
    await put(store, "k", b"again", bucket="v", conditions=WriteConditions(if_none_match="*"))
    assert await get(store, "k", bucket="v") == b"again"


async def test_deletes_are_guarded_too(store):
    first = await put(store, "k", b"data")
    for refused in (
        WriteConditions(if_match='"x"'),
        WriteConditions(if_match_size=3),
        WriteConditions(if_match=f'"{first.etag}"', if_match_modified=first.modified_ns - SECOND),
    ):
        assert await outcome(remove(store, "k", conditions=refused)) is PreconditionFailed
    await remove(store, "k", conditions=WriteConditions(if_match=f'"{first.etag}"', if_match_size=4))
    assert await outcome(get(store, "k")) is NoSuchKey
    assert await outcome(remove(store, "k", conditions=WriteConditions(if_match="*"))) is NoSuchKey
    await remove(store, "k", conditions=WriteConditions(if_match_size=4))
