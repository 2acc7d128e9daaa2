"""A codec that changes sizes: before each 1,000 bytes it inserts one that tells their number, and their whole count.

It is for tests what a cipher of packages is for servers.
"""

from s3ish.blob.protocol import Corrupt
from s3ish.model import Link
from s3ish.objects.encodings.chain import Encodings
from s3ish.objects.encodings.codec import StoredRange

PACKAGE = 1000


class Toy:
    """Parameters: ``add`` is a number that is added to each of the object's bytes; ``mark`` the encoder's own."""

    def __init__(self, parameters):
        self.add = int(parameters["add"])

    def stored_size(self, size):
        return size + -(-size // PACKAGE)

    def stored_range(self, start, stop, size):
        first, last = start // PACKAGE, (stop - 1) // PACKAGE
        end = min((last + 1) * (PACKAGE + 1), self.stored_size(size))
        return StoredRange(first * (PACKAGE + 1), end, start - first * PACKAGE)

    def encoder(self, size):
        return ToyEncoder(self.add)

    def decoder(self, stored_start, size):
        number, inside = divmod(stored_start, PACKAGE + 1)
        assert not inside, "it begins at a package"
        return ToyDecoder(self.add, number)

    def decode(self, stored, size):
        decoder = self.decoder(0, size)
        return b"".join([*decoder.decode(stored), *decoder.finish()])


class ToyEncoder:
    def __init__(self, add):
        self.parameters = {}
        self._add, self._number, self._held = add, 0, bytearray()

    def encode(self, data):
        self._held += data
        packages = []
        while len(self._held) >= PACKAGE:
            packages.append(self._package(self._held[:PACKAGE]))
            del self._held[:PACKAGE]
        return packages

    def finish(self):
        self.parameters = {"packages": str(self._number + bool(self._held))}
        return [self._package(self._held)] if self._held else []

    def etag(self, digest):
        return digest

    def _package(self, data):
        self._number += 1
        return bytes([self._number % 251]) + data.translate(_table(self._add))


class ToyDecoder:
    def __init__(self, add, number):
        self._add, self._number, self._held = add, number, bytearray()

    def decode(self, data):
        self._held += data
        packages = []
        while len(self._held) > PACKAGE:
            packages.append(self._package(self._held[: PACKAGE + 1]))
            del self._held[: PACKAGE + 1]
        return packages

    def finish(self):
        return [self._package(self._held)] if self._held else []

    def _package(self, data):
        self._number += 1
        if data[0] != self._number % 251:
            raise Corrupt(f"package {self._number} is not where it must be")
        return data[1:].translate(_table(-self._add))


def _table(add):
    return bytes((byte + add) % 256 for byte in range(256))


def toy(add=7):
    return Link("toy", {"add": str(add)})


def encodings(default=()):
    """The codecs of a server that knows the toy."""
    return Encodings({"toy": Toy}, default)
