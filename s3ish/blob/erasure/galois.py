"""Arithmetic in GF(2^8) and the matrices of the two erasure codes that the format knows.

The field is that of the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11D), as in ISA-L and zfec. A code is its parity
matrix: ``m`` rows of ``k`` coefficients, each parity shard being that combination of the data shards. This is the
project's own definition of the codes; libraries only make it fast. It knows nothing of buffers or files.
"""

from collections.abc import Sequence

Row = tuple[int, ...]
Matrix = tuple[Row, ...]


def _powers() -> tuple[int, ...]:
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value = (value << 1) ^ (0x11D if value & 0x80 else 0)
    return tuple(powers)


EXP = _powers()
"""The powers of the generator 2, from 0 to 254."""

LOG = tuple(EXP.index(value) if value else 0 for value in range(256))
"""The exponent of each value but 0, for which there is none."""


def multiply(a: int, b: int) -> int:
    """Return the product of two field elements."""
    return EXP[(LOG[a] + LOG[b]) % 255] if a and b else 0


def inverse(a: int) -> int:
    """Return the element whose product with ``a`` is 1. Raises ZeroDivisionError for 0."""
    if not a:
        raise ZeroDivisionError("0 has no inverse in GF(256)")
    return EXP[-LOG[a] % 255]


def table(factor: int) -> bytes:
    """Return the products of ``factor`` with 0 to 255, for ``bytes.translate``."""
    return bytes(multiply(factor, value) for value in range(256))


def product(left: Sequence[Row], right: Sequence[Row]) -> Matrix:
    """Return the product of two matrices."""
    columns = list(zip(*right, strict=True))
    return tuple(tuple(_dot(row, column) for column in columns) for row in left)


def _dot(row: Row, column: Row) -> int:
    total = 0
    for a, b in zip(row, column, strict=True):
        total ^= multiply(a, b)
    return total


def invert(matrix: Sequence[Row]) -> Matrix:
    """Return the inverse of a square matrix, by Gauss and Jordan. Raises ZeroDivisionError if it has none."""
    size = len(matrix)
    rows = [[*row, *(int(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next((r for r in range(column, size) if rows[r][column]), column)
        rows[column], rows[pivot] = rows[pivot], rows[column]
        scale = inverse(rows[column][column])
        rows[column] = [multiply(scale, value) for value in rows[column]]
        for r in range(size):
            if r != column and (factor := rows[r][column]):
                rows[r] = [a ^ multiply(factor, b) for a, b in zip(rows[r], rows[column], strict=True)]
    return tuple(tuple(row[size:]) for row in rows)


def identity(size: int) -> Matrix:
    """Return the identity matrix."""
    return tuple(tuple(int(i == j) for j in range(size)) for i in range(size))


def cauchy(k: int, m: int) -> Matrix:
    """Return the parity rows of ``rs-cauchy-11d``: element (i, j) is 1 / ((k + i) xor j), as ISA-L builds them."""
    return tuple(tuple(inverse((k + i) ^ j) for j in range(k)) for i in range(m))


def vandermonde(k: int, m: int) -> Matrix:
    """Return the parity rows of ``rs-zfec``: a Vandermonde matrix made systematic, as zfec builds them.

    Its rows are the powers 0 to k - 1 of the points 0, 1, 2, 4, 8 ...
    """
    rows = [(1, *(0 for _ in range(k - 1)))]
    rows += [tuple(EXP[point * power % 255] for power in range(k)) for point in range(k + m - 1)]
    return product(rows[k:], invert(rows[:k])) if m else ()
