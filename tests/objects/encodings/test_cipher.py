"""The cipher: every range comes back, and what was changed, moved or left out does not."""

import base64
import itertools
import random

import pytest

from s3ish.blob.protocol import Corrupt
from s3ish.objects.encodings.cipher import NAME, PACKAGE_BYTES, TAG_BYTES, Cipher, packages
from s3ish.objects.encodings.keyring import Keyring, MasterKeyError, read_master_key
from tests.objects.support import sample

MASTER, OTHER = b"m" * 32, b"o" * 32
SIZES = [0, 1, PACKAGE_BYTES - 1, PACKAGE_BYTES, PACKAGE_BYTES + 1, 2 * PACKAGE_BYTES, 3 * PACKAGE_BYTES + 7]


def keyring(*masters):
    numbers = itertools.count(1)
    return Keyring(masters or (MASTER,), lambda count: next(numbers).to_bytes(count, "big"))


def encrypt(data, keys=None, piece=1000, announced=None):
    """Return what is stored of data, and the parameters of the link."""
    encoder = Cipher(keys or keyring(), {}).encoder(announced)
    stored = b"".join(
        bytes(part) for start in range(0, len(data), piece) for part in encoder.encode(data[start : start + piece])
    )
    return stored + b"".join(encoder.finish()), dict(encoder.parameters)


def decrypt(stored, parameters, start, stop, size, keys=None):
    codec = Cipher(keys or keyring(), parameters)
    needed = codec.stored_range(start, stop, size)
    decoder = codec.decoder(needed.start, size)
    parts = [*decoder.decode(stored[needed.start : needed.stop]), *decoder.finish()]
    return b"".join(map(bytes, parts))[needed.skip :][: stop - start]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece", [1000, 100_000])
@pytest.mark.parametrize("announced", [True, False])
def test_every_range_comes_back(size, piece, announced):
    data = sample(size)
    stored, parameters = encrypt(data, piece=piece, announced=size if announced else None)
    assert len(stored) == Cipher(keyring(), {}).stored_size(size) == size + packages(size) * TAG_BYTES
    if size:
        assert Cipher(keyring(), parameters).decode(stored, size) == data
    edges = sorted({0, 1, size // 2, size - 1, size, PACKAGE_BYTES, PACKAGE_BYTES + 1} & set(range(size + 1)))
    for start, stop in itertools.combinations(edges, 2):
        assert decrypt(stored, parameters, start, stop, size) == data[start:stop]


def test_a_piece_of_an_upload_of_known_length_becomes_one_buffer():
    piece, cipher = 16 * PACKAGE_BYTES, Cipher(keyring(), {})
    encoder = cipher.encoder(2 * piece + 5)
    made = [encoder.encode(bytes(size)) for size in (piece, piece, 5)]
    assert [list(map(len, buffers)) for buffers in made] == [[cipher.stored_size(size)] for size in (piece, piece, 5)]
    assert encoder.finish() == []


@pytest.mark.parametrize("announced", [0, PACKAGE_BYTES - 1, PACKAGE_BYTES, PACKAGE_BYTES + 2, 3 * PACKAGE_BYTES])
def test_what_is_not_as_long_as_was_announced_is_not_stored(announced):
    """Its last package would not be known as such."""
    with pytest.raises(ValueError, match="bytes came than were announced"):
        encrypt(sample(PACKAGE_BYTES + 1), announced=announced)


def test_memory_is_used_again_only_when_nobody_sees_it():
    piece = 16 * PACKAGE_BYTES
    encoder = Cipher(keyring(), {}).encoder(3 * piece)
    first, second = (encoder.encode(bytes(piece))[0] for _ in range(2))
    kept, memory = bytes(first), second.obj
    del second
    assert encoder.encode(bytes(piece))[0].obj is memory
    assert first == kept


def test_a_range_needs_its_packages_alone():
    needed = Cipher(keyring(), {}).stored_range(PACKAGE_BYTES + 5, PACKAGE_BYTES + 6, 10 * PACKAGE_BYTES)
    assert needed.stop - needed.start == PACKAGE_BYTES + TAG_BYTES
    assert needed.skip == 5


def test_nothing_stored_shows_the_data_or_a_key():
    data = b"secret words " * 20_000
    stored, parameters = encrypt(data)
    assert b"secret" not in stored
    data_key = keyring().open(parameters)
    for text in (stored, *(value.encode() for value in parameters.values())):
        for key in (data_key, MASTER):
            assert key not in text
            assert base64.b64encode(key) not in text


def test_the_same_data_is_stored_differently_each_time():
    keys = keyring()
    assert encrypt(b"x" * 100, keys) != encrypt(b"x" * 100, keys)


def test_damages_of_all_kinds_are_refused():
    """A thousand: bits flipped, packages swapped, repeated, left out, cut off, or of another object."""
    choose = random.Random(1)
    size = 4 * PACKAGE_BYTES + 100
    stored, parameters = encrypt(sample(size))
    other, _ = encrypt(sample(size), keyring())
    width = PACKAGE_BYTES + TAG_BYTES
    parts = [stored[start : start + width] for start in range(0, len(stored), width)]
    for number in range(1000):
        kind = number % 5
        first, second = choose.sample(range(4), 2)
        if kind == 0:
            place = choose.randrange(len(stored))
            damaged = stored[:place] + bytes((stored[place] ^ (1 << choose.randrange(8)),)) + stored[place + 1 :]
        elif kind == 1:
            moved = list(parts)
            moved[first], moved[second] = moved[second], moved[first]
            damaged = b"".join(moved)
        elif kind == 2:
            damaged = b"".join([*parts[:first], parts[second], *parts[first + 1 :]])
        elif kind == 3:
            damaged = stored[: len(stored) - choose.randrange(1, 2000)]
        else:
            damaged = b"".join([*parts[:first], other[first * width : (first + 1) * width], *parts[first + 1 :]])
            if damaged == stored:
                continue
        with pytest.raises((Corrupt, AssertionError)):
            assert len(decrypt(damaged, parameters, 0, size, size)) == size
        with pytest.raises(Corrupt):
            Cipher(keyring(), parameters).decode(damaged, size)


def test_a_package_at_the_end_is_no_package_in_the_middle():
    data = sample(2 * PACKAGE_BYTES)
    stored, parameters = encrypt(data)
    with pytest.raises(Corrupt):
        decrypt(stored[: PACKAGE_BYTES + TAG_BYTES], parameters, 0, PACKAGE_BYTES, PACKAGE_BYTES)


def test_data_keys_open_with_the_master_key_that_made_them():
    stored, parameters = encrypt(b"x" * 10)
    assert decrypt(stored, parameters, 0, 10, 10, keyring(OTHER, MASTER)) == b"x" * 10
    with pytest.raises(ValueError, match="not among the settings"):
        keyring(OTHER).open(parameters)
    changed = parameters | {"data-key": base64.b64encode(bytes(60)).decode()}
    with pytest.raises(ValueError, match="not what was encrypted"):
        keyring().open(changed)


@pytest.mark.parametrize("text", ["", "x", "AAAA", base64.b64encode(bytes(31)).decode(), "é"])
def test_what_is_no_master_key(text):
    with pytest.raises(MasterKeyError):
        read_master_key(text)


def test_the_link_has_a_name():
    assert NAME == "aes-256-gcm"
