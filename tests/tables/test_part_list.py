"""A row with many parts is read without decoding them, and nobody sees a difference."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from s3ish.model import BlobRef, Checksum, Garbage, Part, Version
from s3ish.objects.unreachable import garbage_of
from s3ish.tables import part_list, records
from s3ish.tables.catalogue import TABLES, VERSIONS
from tests.objects.support import NO_BLOB, OWNER


def part(number, size):
    ref = BlobRef(f"b/k@{number}", size, 7, "rs-cauchy-11d", 2, 1, 1000, (0, 1, 2))
    checksum = Checksum("CRC32", "AAAAAA==") if number % 2 else None
    return Part(number=number, size=size, etag=f"{number:032}", modified_ns=number, blob=ref, checksum=checksum)


def version(*sizes):
    listed = tuple(part(number, size) for number, size in enumerate(sizes, 1))
    return Version(
        bucket="b", key="k", id="null", sequence=5, modified_ns=9, owner=OWNER, blob=NO_BLOB, size=sum(sizes),
        etag=f"e-{len(sizes)}", parts=listed, upload="u",
    )  # fmt: skip


def packed(made):
    """The version as it comes from its row, its parts still encoded."""
    row = VERSIONS.put(made)
    return records.decode("versions", row.key, row.value, part_list.Packed).unpacked()


def test_a_version_with_encoded_parts_is_equal_to_what_was_written():
    made = version(3, 0, 5)
    read = packed(made)
    assert (read, made) == (made, read)
    assert type(read) is Version
    assert isinstance(read.parts, part_list.PackedParts)
    assert (len(read.parts), list(read.parts), read.parts[1], read.parts[1:]) == (
        3,
        list(made.parts),
        made.parts[1],
        made.parts[1:],
    )
    assert read != version(3, 0, 6)
    assert hash(read.parts) == hash(made.parts)


def test_without_parts_there_is_nothing_to_decode():
    assert packed(version()).parts == ()


def test_a_version_with_encoded_parts_is_written_as_any_other():
    made = version(3, 4)
    assert VERSIONS.put(packed(made)) == VERSIONS.put(made)
    assert VERSIONS.seal(packed(made)) == VERSIONS.seal(made)
    assert TABLES.read_sidecar(VERSIONS.seal(packed(made))).record == made


def test_what_is_no_sequence_is_still_no_record():
    with pytest.raises(TypeError):
        records.encode("versions", b"k", replace(version(), etag=object()))


def test_long_rows_alone_are_left_encoded(store):
    for count, left in ((1, False), (100, True)):
        row = VERSIONS.put(version(*[1] * count))
        held = store.hold(VERSIONS, row.key, row.value)
        assert isinstance(held.record.parts, part_list.PackedParts) is left
        assert held.record == version(*[1] * count)
        (listed,) = store.decode_rows(VERSIONS, [(row.key, row.value)])
        assert isinstance(listed.parts, part_list.PackedParts) is left
        assert (type(listed), listed) == (Version, held.record)


def test_reading_decodes_no_part_but_those_that_are_read(monkeypatch):
    decoded = []
    real = part_list._refs
    monkeypatch.setattr(
        part_list, "_refs", type("Refs", (), {"decode": lambda _, raw: decoded.append(1) or real.decode(raw)})()
    )
    monkeypatch.setattr(part_list, "_parts", None)
    made = version(*[10] * 50)
    assert [(piece.blob, start, stop) for piece, start, stop in part_list.within(packed(made), 215, 235)] == [
        (made.parts[21].blob, 5, 10),
        (made.parts[22].blob, 0, 10),
        (made.parts[23].blob, 0, 5),
    ]
    assert len(decoded) == 3


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=6), st.integers(0, 31), st.integers(0, 31))
def test_a_range_is_the_bytes_that_it_would_be_of_the_whole(sizes, start, stop):
    made = version(*sizes)
    whole = [(each.blob.id, at) for each in made.parts for at in range(each.size)]
    for read in (made, packed(made)):
        found = list(part_list.within(read, start, stop))
        assert [(piece.blob.id, at) for piece, begin, end in found for at in range(begin, end)] == whole[start:stop]
        assert all(begin < end for _, begin, end in found)


def test_garbage_of_a_version_names_all_of_its_parts():
    made = version(3, 4)
    assert garbage_of(packed(made)) == garbage_of(made)
    assert [ref.id for ref in garbage_of(made).parts] == ["b/k@1", "b/k@2"]
    assert garbage_of(version()) == Garbage(NO_BLOB)


@pytest.mark.parametrize("count", [3, 300])
def test_the_part_that_a_range_is(count):
    made = version(*(number % 3 * 10 for number in range(count)))
    for whole in (made, packed(made)):
        start = 0
        for number in range(count):
            size = number % 3 * 10
            found = part_list.exactly(whole, start, start + size)
            if size:
                assert (found.blob.id, found.checksum) == (made.parts[number].blob.id, made.parts[number].checksum)
                assert part_list.exactly(whole, start, start + size - 1) is None
                assert part_list.exactly(whole, start + 1, start + size) is None
                assert part_list.exactly(whole, start, start + size + 1) is None
            start += size
        assert part_list.exactly(whole, start + 1, start + 2) is None
