"""Plain mutation of byte strings, driven by a seeded random generator."""

LONGEST = 20_000
NUMBERS = (b"0", b"-1", b"1", b"255", b"65536", b"4294967296", b"9223372036854775808", b"1e3", b"0x10", b"00")


class Mutator:
    """Makes new inputs of old ones.

    Args:
        generator: a ``random.Random``.
        words: pieces of the language.
    """

    def __init__(self, generator, words=()):
        self._random = generator
        self._words = [*words, *NUMBERS, b"\0", b"\xff", b"\x7f", b"\xc0\x80", b"\xed\xa0\x80"]
        self._moves = [self._flip, self._replace, self._insert, self._word, self._delete, self._repeat, self._splice]

    def mutate(self, data, others):
        """Return ``data`` after one to six changes; pieces of ``others`` may be put in."""
        for _ in range(self._random.choice((1, 1, 1, 2, 3, 6))):
            data = self._random.choice(self._moves)(data, others)
        return data[:LONGEST]

    def one_byte(self, data, start=0, stop=None):
        """Return ``data`` with one byte of a range changed to another."""
        at = self._random.randrange(start, len(data) if stop is None else stop)
        byte = self._random.choice([data[at] ^ (1 << self._random.randrange(8)), self._random.randrange(256)])
        if byte == data[at]:
            byte ^= 0x20
        return data[:at] + bytes([byte]) + data[at + 1 :]

    def _place(self, data):
        return self._random.randrange(len(data) + 1)

    def _flip(self, data, _others):
        return self.one_byte(data) if data else data

    def _replace(self, data, _others):
        at = self._place(data)
        return data[:at] + bytes([self._random.randrange(256)]) + data[at + 1 :]

    def _insert(self, data, _others):
        at = self._place(data)
        return data[:at] + self._random.randbytes(self._random.choice((1, 2, 8))) + data[at:]

    def _word(self, data, _others):
        at, end = self._place(data), self._place(data)
        return data[:at] + self._random.choice(self._words) + data[at if end < at else min(end, at + 8) :]

    def _delete(self, data, _others):
        at = self._place(data)
        return data[:at] + data[at + self._random.choice((1, 2, 4, 16, 64)) :]

    def _repeat(self, data, _others):
        at = self._place(data)
        piece = data[at : at + self._random.choice((1, 4, 16, 64))]
        return data[:at] + piece * self._random.choice((2, 3, 50, 1000)) + data[at:]

    def _splice(self, data, others):
        other = self._random.choice(others) if others else data
        return data[: self._place(data)] + other[self._place(other) :]
