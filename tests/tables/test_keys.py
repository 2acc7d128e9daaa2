"""Rows sort as S3 lists: keys by their UTF-8 bytes, versions of a key from the newest."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from s3ish.tables import keys

BUCKETS = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,10}[a-z0-9]", fullmatch=True)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
KEYS = TEXTS | st.text(st.sampled_from("a/\x01\uffff\U0001f600é"), min_size=1, max_size=6)
SEQUENCES = st.integers(0, 2**64 - 1)
UPLOADS = st.from_regex(r"[a-z2-7]{32}", fullmatch=True)

pytestmark = pytest.mark.filterwarnings("error")
repeatable = settings(derandomize=True, deadline=None, max_examples=200)


@given(BUCKETS, KEYS, BUCKETS, KEYS)
@example("b", "\U0001f600", "b", "\uffff")  # UTF-16 would order these the other way round
@example("b", "a", "b", "a\x01")
@example("b-b", "a", "b", "z")
@repeatable
def test_rows_of_keys_sort_by_bucket_and_then_the_bytes_of_the_key(bucket, key, other_bucket, other):
    mine = (bucket.encode(), key.encode())
    yours = (other_bucket.encode(), other.encode())
    assert (keys.object_key(bucket, key) < keys.object_key(other_bucket, other)) == (mine < yours)


@given(BUCKETS, KEYS, SEQUENCES, KEYS, SEQUENCES)
@example("b", "a", 2**64 - 1, "a\x01", 0)
@example("b", "a", 0, "a", 2**64 - 1)
@repeatable
def test_rows_of_versions_sort_by_key_and_then_from_the_newest(bucket, key, sequence, other, other_sequence):
    mine = (key.encode(), -sequence)
    yours = (other.encode(), -other_sequence)
    row, other_row = keys.version_key(bucket, key, sequence), keys.version_key(bucket, other, other_sequence)
    assert (row < other_row) == (mine < yours)
    assert (row == other_row) == (mine == yours)


@given(BUCKETS, KEYS)
@repeatable
def test_bucket_and_key_come_back_from_a_row(bucket, key):
    assert keys.split_object_key(keys.object_key(bucket, key)) == (bucket, key)


@given(UPLOADS, st.integers(1, 10_000), UPLOADS, st.integers(1, 10_000))
@repeatable
def test_rows_of_parts_sort_by_number_and_come_back(upload, number, other, other_number):
    row = keys.part_key(upload, number)
    assert keys.split_part_key(row) == (upload, number)
    assert (row < keys.part_key(other, other_number)) == ((upload, number) < (other, other_number))
    start, stop = keys.parts_range(upload)
    assert (start <= keys.part_key(other, other_number) < stop) == (other == upload)


@given(BUCKETS, KEYS, KEYS, SEQUENCES, UPLOADS)
@repeatable
def test_the_range_of_a_key_holds_its_rows_alone(bucket, key, other, sequence, upload):
    start, stop = keys.prefix_range(keys.versions_prefix(bucket, key))
    for row in (keys.version_key(bucket, other, sequence), keys.upload_key(bucket, other, upload)):
        assert (start <= row < stop) == (other == key)


@given(BUCKETS, BUCKETS, KEYS, SEQUENCES)
@example("b", "b-b", "a", 1)
@example("b.b", "b", "a", 1)
@repeatable
def test_the_range_of_a_bucket_holds_its_rows_alone(bucket, other, key, sequence):
    start, stop = keys.bucket_range(bucket)
    for row in (keys.version_key(other, key, sequence), keys.object_key(other, key)):
        assert (start <= row < stop) == (other == bucket)


@given(st.binary(max_size=4), st.binary(max_size=6))
@example(b"", b"\xff\xff")
@example(b"\xff", b"\xff")
@example(b"\xff", b"\xff\xff")
@example(b"a\xff", b"b")
@repeatable
def test_the_range_of_a_prefix_holds_what_begins_with_it(prefix, row):
    start, stop = keys.prefix_range(prefix)
    if row.startswith(prefix) and not row.startswith(b"\xff" * (len(prefix) + 1)):
        assert start <= row < stop
    elif not row.startswith(prefix):
        assert not start <= row < stop


@given(st.binary(max_size=4), st.binary(max_size=6))
@repeatable
def test_nothing_lies_between_a_key_and_the_one_after_it(key, other):
    assert keys.after(key) > key
    assert not key < other < keys.after(key)
