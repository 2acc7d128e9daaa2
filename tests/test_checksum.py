"""The ten algorithms: known values, and parts that make a whole."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3ish import checksum
from s3ish.checksum import ALGORITHMS, Hasher

CHECK = b"123456789"
SHA512_ABC = (
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
)
KNOWN = {
    # the check values of the catalogue of parametrised CRC algorithms
    "CRC32": (CHECK, "cbf43926"),
    "CRC32C": (CHECK, "e3069283"),
    "CRC64NVME": (CHECK, "ae8b14860a799888"),
    # RFC 1321, and the examples of FIPS 180
    "MD5": (b"abc", "900150983cd24fb0d6963f7d28e17f72"),
    "SHA1": (b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    "SHA256": (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    "SHA512": (
        b"abc",
        SHA512_ABC,
    ),
    # the values of the empty text in xxHash's specification, seed 0
    "XXHASH64": (b"", "ef46db3751d8e999"),
    "XXHASH3": (b"", "2d06800538d394c2"),
    "XXHASH128": (b"", "99aa06d3014798d86001c324468d497f"),
}
COMBINABLE = ["CRC32", "CRC32C", "CRC64NVME"]


def value(algorithm, data):
    hasher = Hasher(algorithm)
    hasher.update(data)
    return hasher.value()


def test_there_are_ten():
    assert ALGORITHMS.keys() == KNOWN.keys()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_known_values(algorithm):
    data, expected = KNOWN[algorithm]
    assert base64.b64decode(value(algorithm, data)).hex() == expected
    assert ALGORITHMS[algorithm].size == len(expected) // 2


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(st.lists(st.binary(max_size=50), max_size=5))
def test_pieces_count_as_their_concatenation(algorithm, pieces):
    hasher = Hasher(algorithm)
    for piece in pieces:
        hasher.update(memoryview(bytearray(piece)))
        hasher.value()
    assert hasher.value() == value(algorithm, b"".join(pieces))


@pytest.mark.parametrize("algorithm", COMBINABLE)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=6))
def test_combining_parts_gives_the_checksum_of_the_whole(algorithm, parts):
    combined = checksum.combine(algorithm, [(value(algorithm, part), len(part)) for part in parts])
    assert combined == value(algorithm, b"".join(parts))


@pytest.mark.parametrize("algorithm", COMBINABLE)
def test_combining_large_parts(algorithm):
    parts = [bytes([number]) * (1_000_003 * number) for number in (3, 1, 2)]
    combined = checksum.combine(algorithm, [(value(algorithm, part), len(part)) for part in parts])
    assert combined == value(algorithm, b"".join(parts))


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS.keys() - set(COMBINABLE)))
def test_others_cannot_be_combined(algorithm):
    assert not checksum.supports(algorithm, "FULL_OBJECT")
    with pytest.raises(KeyError):
        checksum.combine(algorithm, [])


def test_kinds():
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html"""
    assert all(checksum.supports(algorithm, "FULL_OBJECT") for algorithm in COMBINABLE)
    assert [algorithm for algorithm in ALGORITHMS if not checksum.supports(algorithm, "COMPOSITE")] == ["CRC64NVME"]
    assert checksum.default_kind("CRC64NVME") == "FULL_OBJECT"
    assert checksum.default_kind("CRC32") == checksum.default_kind("SHA256") == "COMPOSITE"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_composite_is_the_checksum_of_the_checksums(algorithm):
    values = [value(algorithm, part) for part in (b"one", b"two", b"three")]
    whole = b"".join(base64.b64decode(text) for text in values)
    assert checksum.composite(algorithm, values) == f"{value(algorithm, whole)}-3"


def test_a_composite_of_md5_is_made_as_the_etag_is():
    parts = [b"a" * 10, b"b" * 20]
    values = [base64.b64encode(hashlib.md5(part).digest()).decode() for part in parts]
    expected = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).digest()
    assert checksum.composite("MD5", values) == base64.b64encode(expected).decode() + "-2"


# case 116
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_malformed_values(algorithm):
    size = ALGORITHMS[algorithm].size
    right = base64.b64encode(bytes(size)).decode()
    assert checksum.valid(algorithm, right)
    wrong = [
        "",
        right[:-1],
        right + "=",
        right + "\n",
        " " + right,
        right.replace("A", "-", 1),
        right.replace("A", "é", 1),
        base64.b64encode(bytes(size - 1)).decode(),
        base64.b64encode(bytes(size + 1)).decode(),
        bytes(size).hex(),
        right + "-1",
    ]
    assert [text for text in wrong if checksum.valid(algorithm, text)] == []


@pytest.mark.parametrize("algorithm", [name for name, known in ALGORITHMS.items() if known.size % 3])
def test_bits_that_stand_for_nothing_must_be_zero(algorithm):
    right = base64.b64encode(bytes(ALGORITHMS[algorithm].size)).decode()
    digits = right.rstrip("=")
    for digit in "BCDEFGH":
        other = digits[:-1] + digit + right[len(digits) :]
        canonical = base64.b64encode(base64.b64decode(other)).decode() == other
        assert checksum.valid(algorithm, other) is canonical
    assert not checksum.valid(algorithm, digits[:-1] + "B" + right[len(digits) :])


def test_unknown_algorithms_have_no_valid_value():
    assert not checksum.valid("CRC16", "AAA=")
    assert not checksum.valid("crc32", "AAAAAA==")


@given(st.sampled_from(sorted(ALGORITHMS)), st.text(max_size=40))
def test_any_text_is_judged(algorithm, text):
    if checksum.valid(algorithm, text):
        assert len(base64.b64decode(text)) == ALGORITHMS[algorithm].size
