"""The coders against each other and against the libraries whose bytes they promise."""

import ctypes
import sys
from itertools import combinations

import pytest
import zfec
from hypothesis import given
from hypothesis import strategies as st
from pyeclib.ec_iface import ECDriver

from s3ish.blob.erasure import galois
from s3ish.blob.erasure.coder import CODES, Isal, MatrixCoder, Plain, UnknownCodeError, ZfecCoder, coder, load_isal

GEOMETRIES = [(1, 0), (1, 1), (2, 1), (3, 2), (4, 2), (8, 4), (10, 6)]


def engines(name, k, m):
    found = [MatrixCoder(name, k, m, Plain())]
    if library := load_isal():
        found.append(MatrixCoder(name, k, m, Isal(library)))
    if name == "rs-zfec" and m:
        found.append(ZfecCoder(k, m))
    return found


def sample(size):
    return bytes((i * 167 + i // 251 * 13) % 256 for i in range(size))


def joined(shards):
    return [bytes(shard) for shard in shards]


def test_the_field_is_a_field():
    for a in range(1, 256):
        assert galois.multiply(a, galois.inverse(a)) == 1
        assert galois.multiply(a, 0) == 0
    with pytest.raises(ZeroDivisionError):
        galois.inverse(0)
    assert sorted(galois.EXP) == list(range(1, 256))


@pytest.mark.parametrize(("k", "m"), [(k, m) for k, m in GEOMETRIES if m])
@pytest.mark.parametrize("size", [1, 7, 64, 1000, 4099])
def test_rs_cauchy_11d_gives_pyeclibs_bytes(k, m, size):
    block = -(-size // k)
    data = sample(size).ljust(block * k, b"\0")
    expected = [fragment[80:] for fragment in ECDriver(k=k, m=m, ec_type="isa_l_rs_cauchy").encode(data)]
    for one in engines("rs-cauchy-11d", k, m):
        assert joined(one.encode(sample(size))) == expected


@pytest.mark.parametrize(("k", "m"), [(k, m) for k, m in GEOMETRIES if m])
@pytest.mark.parametrize("size", [1, 7, 64, 1000, 4099])
def test_rs_zfec_gives_zfecs_bytes(k, m, size):
    block = -(-size // k)
    data = sample(size).ljust(block * k, b"\0")
    expected = zfec.Encoder(k, k + m).encode([data[i * block : (i + 1) * block] for i in range(k)])
    for one in engines("rs-zfec", k, m):
        assert joined(one.encode(sample(size))) == expected


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize(("k", "m"), [(1, 0), (1, 2), (2, 1), (3, 2), (4, 2)])
def test_every_choice_of_k_shards_gives_the_stripe_and_every_other_shard(name, k, m):  # case 121
    data = sample(k * 33 - 5)
    for one in engines(name, k, m):
        shards = joined(one.encode(data))
        for lost in range(m + 1):
            for gone in combinations(range(k + m), lost):
                left = {i: shards[i] for i in range(k + m) if i not in gone}
                assert bytes(one.decode(left, len(data))) == data
                assert {i: bytes(s) for i, s in one.rebuild(left, gone).items()} == {i: shards[i] for i in gone}


@pytest.mark.parametrize("name", CODES)
def test_many_shards_survive_the_worst_losses(name):
    data = sample(10_000)
    for one in engines(name, 10, 6):
        shards = joined(one.encode(data))
        for gone in [range(6), range(10, 16), range(0, 12, 2), range(4, 10)]:
            left = {i: shards[i] for i in range(16) if i not in gone}
            assert bytes(one.decode(left, len(data))) == data


@given(st.binary(max_size=300), st.integers(1, 6), st.integers(0, 3), st.sampled_from(sorted(CODES)), st.data())
def test_engines_agree_and_invert(data, k, m, name, draw):
    results = []
    for one in engines(name, k, m):
        shards = joined(one.encode(data))
        results.append(shards)
        kept = draw.draw(st.permutations(range(k + m)))[:k]
        assert bytes(one.decode({i: shards[i] for i in kept}, len(data))) == data
    assert all(result == results[0] for result in results)
    assert len(results[0]) == k + m
    assert len({len(shard) for shard in results[0]}) == 1


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: memoryview(bytearray(b"xx" + b))[2:]])
@pytest.mark.parametrize("name", CODES)
def test_any_kind_of_buffer_is_taken(kind, name):
    data = sample(600)
    for one in engines(name, 4, 2):
        expected = joined(one.encode(data))
        assert joined(one.encode(kind(data))) == expected
        assert bytes(one.decode({i: kind(expected[i]) for i in (1, 2, 4, 5)}, 600)) == data


def test_too_few_shards_are_refused():
    for name in CODES:
        for one in engines(name, 4, 2):
            shards = one.encode(b"abcdefgh")
            with pytest.raises(ValueError, match="too few"):
                one.decode({i: shards[i] for i in range(3)}, 8)


@pytest.mark.parametrize(
    ("name", "k", "m"), [("rs-x", 2, 1), ("rs-zfec", 0, 1), ("rs-zfec", 2, -1), ("rs-cauchy-11d", 200, 57)]
)
def test_unknown_codes_are_refused(name, k, m):
    with pytest.raises(UnknownCodeError):
        coder(name, k, m)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PyECLib has wheels for Linux alone")
def test_the_accelerator_is_in_use_where_pyeclib_is_installed():
    assert isinstance(load_isal(), ctypes.CDLL)
    chosen = coder("rs-cauchy-11d", 2, 1)
    assert isinstance(chosen, MatrixCoder)
    assert isinstance(chosen.engine, Isal)
    assert isinstance(coder("rs-zfec", 2, 1), ZfecCoder)
