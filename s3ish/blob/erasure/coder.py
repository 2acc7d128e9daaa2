"""Erasure coders: a stripe into k data and m parity shards, and back from any k of them.

Synchronous and pure. What a code computes is fixed by its name (see galois.py), whatever engine computes it: ISA-L,
which PyECLib's wheel brings and which is called directly on our buffers; zfec; or plain Python, which is the oracle of
the tests and runs anywhere. A coder believes the shards that it is given: hashes are checked before it is called.
"""

import ctypes
import functools
import importlib.util
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from s3ish.blob.erasure import galois
from s3ish.blob.protocol import BlobError, Buffer

Multiplier = Callable[[galois.Matrix, Sequence[Buffer], int], list[Buffer]]
"""Multiplies a matrix with k blocks of equal length (given last, in bytes): one block for each row."""

CODES = {"rs-cauchy-11d": galois.cauchy, "rs-zfec": galois.vandermonde}


class UnknownCodeError(BlobError, ValueError):
    """The name or the numbers of an erasure code are none that this version can compute."""


class Coder(Protocol):
    """One erasure code with its k and m."""

    k: int
    m: int
    name: str

    def encode(self, stripe: Buffer) -> list[Buffer]:
        """Return k + m shards of equal length, the stripe being padded with zeros to a multiple of k."""

    def decode(self, shards: Mapping[int, Buffer], size: int) -> Buffer:
        """Return the ``size`` bytes of the stripe from any k shards by number. Raises ValueError if there are fewer."""

    def rebuild(self, shards: Mapping[int, Buffer], wanted: Sequence[int]) -> dict[int, Buffer]:
        """Return the ``wanted`` shards, computed from any k others. Raises ValueError if there are fewer."""


def coder(name: str, k: int, m: int) -> Coder:
    """Return the coder of a code, on the fastest engine at hand. Raises UnknownCodeError."""
    if name not in CODES:
        raise UnknownCodeError(f"unknown erasure code {name!r}; known are {', '.join(CODES)}")
    if k < 1 or m < 0 or k + m > 256:
        raise UnknownCodeError(f"{name} needs k >= 1, m >= 0 and k + m <= 256, not k = {k}, m = {m}")
    if name == "rs-zfec" and m and importlib.util.find_spec("zfec"):
        return ZfecCoder(k, m)
    library = load_isal()
    return MatrixCoder(name, k, m, Isal(library) if library else Plain())


class MatrixCoder:
    """A code given by its matrix, on an engine that multiplies."""

    def __init__(self, name: str, k: int, m: int, engine: Multiplier) -> None:
        self.name, self.k, self.m = name, k, m
        self.engine = engine
        self._parity = CODES[name](k, m)
        self._generator = galois.identity(k) + self._parity
        self._plan = functools.lru_cache(maxsize=256)(self._compute_plan)

    def encode(self, stripe: Buffer) -> list[Buffer]:
        blocks = split(stripe, self.k)
        return [*blocks, *self.engine(self._parity, blocks, len(blocks[0]))] if self.m else blocks

    def decode(self, shards: Mapping[int, Buffer], size: int) -> Buffer:
        return join(shards, self.rebuild(shards, [i for i in range(self.k) if i not in shards]), self.k, size)

    def rebuild(self, shards: Mapping[int, Buffer], wanted: Sequence[int]) -> dict[int, Buffer]:
        chosen = choose(shards, self.k)
        if not wanted:
            return {}
        plan = self._plan(chosen, tuple(wanted))
        blocks = [shards[number] for number in chosen]
        return dict(zip(wanted, self.engine(plan, blocks, len(blocks[0])), strict=True))

    def _compute_plan(self, chosen: tuple[int, ...], wanted: tuple[int, ...]) -> galois.Matrix:
        data_from_chosen = galois.invert([self._generator[number] for number in chosen])
        return galois.product([self._generator[number] for number in wanted], data_from_chosen)


class ZfecCoder:
    """``rs-zfec`` through the zfec library, which the extra ``s3ish[zfec]`` installs."""

    name = "rs-zfec"

    def __init__(self, k: int, m: int) -> None:
        import zfec

        self.k, self.m = k, m
        self._encoder: Any = zfec.Encoder(k, k + m)
        self._decoder: Any = zfec.Decoder(k, k + m)

    def encode(self, stripe: Buffer) -> list[Buffer]:
        blocks = split(stripe, self.k)
        if not len(blocks[0]):  # zfec writes behind empty buffers
            return blocks + blocks[:1] * self.m
        return [*blocks, *self._encoder.encode(tuple(blocks), tuple(range(self.k, self.k + self.m)))]

    def decode(self, shards: Mapping[int, Buffer], size: int) -> Buffer:
        return join(shards, self.rebuild(shards, [i for i in range(self.k) if i not in shards]), self.k, size)

    def rebuild(self, shards: Mapping[int, Buffer], wanted: Sequence[int]) -> dict[int, Buffer]:
        chosen = choose(shards, self.k)
        if not wanted or not len(shards[chosen[0]]):
            return dict.fromkeys(wanted, b"")
        data = self._decoder.decode([shards[number] for number in chosen], list(chosen))
        return dict(zip(wanted, self._encoder.encode(tuple(data), tuple(wanted)), strict=True))


class Plain:
    """The engine without any library: byte tables and exclusive or of long integers; about 0.3 GB/s a core."""

    def __init__(self) -> None:
        self._table = functools.lru_cache(maxsize=256)(galois.table)

    def __call__(self, matrix: galois.Matrix, blocks: Sequence[Buffer], length: int) -> list[Buffer]:
        products: list[Buffer] = []
        for row in matrix:
            total = 0
            for factor, block in zip(row, blocks, strict=True):
                if factor:
                    total ^= int.from_bytes(bytes(block).translate(self._table(factor)), "little")
            products.append(total.to_bytes(length, "little"))
        return products


class Isal:
    """The engine on Intel's ISA-L, called on our own buffers: no copy, and without the GIL.

    https://github.com/intel/isa-l, ``erasure_code.h``: ec_init_tables and ec_encode_data.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._tables = functools.lru_cache(maxsize=256)(self._compute_tables)

    def __call__(self, matrix: galois.Matrix, blocks: Sequence[Buffer], length: int) -> list[Buffer]:
        outputs = [bytearray(length) for _ in matrix]
        if length:
            rows, k = len(matrix), len(blocks)
            sources = (ctypes.c_void_p * k)(*map(address, blocks))
            targets = (ctypes.c_void_p * rows)(*map(address, outputs))
            self._library.ec_encode_data(length, k, rows, self._tables(matrix), sources, targets)
        return list(outputs)

    def _compute_tables(self, matrix: galois.Matrix) -> ctypes.Array[ctypes.c_char]:
        rows, k = len(matrix), len(matrix[0])
        tables = ctypes.create_string_buffer(32 * rows * k)
        self._library.ec_init_tables(k, rows, bytes(itertools.chain.from_iterable(matrix)), tables)
        return tables


class _View(ctypes.Structure):
    """``Py_buffer`` of the stable ABI, of which only the first field matters here."""

    _fields_ = [("address", ctypes.c_void_p), ("rest", ctypes.c_void_p * 16)]


def address(buffer: Buffer) -> int:
    """Return where a contiguous buffer's bytes are; valid while the caller keeps it and leaves its size alone."""
    view = _View()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(buffer), ctypes.byref(view), 0)
    found = view.address or 0
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(view))
    return found


def load_isal() -> ctypes.CDLL | None:
    """Return ISA-L as PyECLib's wheel or the system has it, or None."""
    package = importlib.util.find_spec("pyeclib")
    bundled: list[Path] = []
    if package and package.origin:
        bundled = sorted((Path(package.origin).parent.parent / "pyeclib.libs").glob("libisal*"))
    for name in [*map(str, bundled), "libisal.so.2"]:
        try:
            library = ctypes.CDLL(name)
            library.ec_encode_data.restype = library.ec_init_tables.restype = None
        except (OSError, AttributeError):
            continue
        return library
    return None


def split(stripe: Buffer, k: int) -> list[Buffer]:
    """Return a stripe as k blocks of equal length, the last ones padded with zeros."""
    block = -(-len(stripe) // k)
    if block * k != len(stripe):
        stripe = bytes(stripe).ljust(block * k, b"\0")
    view = memoryview(stripe)
    return [view[start * block : (start + 1) * block] for start in range(k)]


def join(shards: Mapping[int, Buffer], rebuilt: Mapping[int, Buffer], k: int, size: int) -> Buffer:
    """Return the stripe that the k data shards hold, without its padding."""
    whole = b"".join(shards[i] if i in shards else rebuilt[i] for i in range(k))
    return whole[:size]


def choose(shards: Mapping[int, Buffer], k: int) -> tuple[int, ...]:
    """Return the numbers of the k first shards. Raises ValueError if there are fewer."""
    if len(shards) < k:
        raise ValueError(f"{len(shards)} shards are too few: the code needs {k}")
    return tuple(sorted(shards))[:k]
