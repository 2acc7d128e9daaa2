"""What a link of the chain between an object's bytes and those that are stored must be able to do.

All of it is synchronous, and called on the event loop with what takes little time; a codec does no I/O. A cipher, a
compression, a delta are codecs. They see bytes and sizes, neither keys of objects nor blobs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from s3ish.blob.protocol import Buffer


class StoredRange(NamedTuple):
    """What must be read of the stored bytes for a range: ``[start, stop)``.

    The first ``skip`` bytes that these decode to come before the range. What comes behind it is cut off.
    """

    start: int
    stop: int
    skip: int


class Encoder(Protocol):
    """Encodes one stream, from its first byte to its last. One call at a time."""

    def encode(self, data: Buffer) -> Sequence[Buffer]:
        """Take the next bytes, of any number; return what can be stored by now."""

    def finish(self) -> Sequence[Buffer]:
        """Return the rest that is to be stored: no more bytes come."""

    def etag(self, digest: str) -> str:
        """Return the entity tag of what was encoded, given the MD5 of the data: that, or what tells nothing of it."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """After ``finish``: what the decoder must know, a nonce for example. Never a key as it is."""


class Decoder(Protocol):
    """Decodes one stored range. One call at a time."""

    def decode(self, data: Buffer) -> Sequence[Buffer]:
        """Take the next stored bytes, of any number; return what they decode to. Raises Corrupt."""

    def finish(self) -> Sequence[Buffer]:
        """Return the rest. Raises Corrupt if the range has not come to its end."""


class Codec(Protocol):
    """What a link does with the bytes of one blob, given its parameters.

    A codec of packages (64 KiB with a tag behind each, for example) reads only the packages that a range touches. It
    must bind the number of each package and the length of the whole, so that no package can be moved or left out.
    """

    def stored_size(self, size: int) -> int | None:
        """Return how many bytes are stored of so many; None if that is known only after they are encoded."""

    def stored_range(self, start: int, stop: int, size: int) -> StoredRange:
        """Return what must be read for the bytes ``[start, stop)``, at least one, of an object of ``size`` bytes."""

    def encoder(self, size: int | None) -> Encoder:
        """Begin to encode a stream of so many bytes, if that is known. The encoder raises ValueError if others come."""

    def decoder(self, stored_start: int, size: int) -> Decoder:
        """Begin to decode the stored bytes that begin at ``stored_start``, of an object of ``size`` bytes.

        Raises ValueError if the parameters do not allow it: their key is not known any more.
        """

    def decode(self, stored: bytes, size: int) -> bytes:
        """Return all bytes of a short object of ``size`` bytes, at least one, given all that is stored of them.

        Raises Corrupt; ValueError as ``decoder``.
        """


MakeCodec = Callable[[Mapping[str, str]], Codec]
"""Makes the codec of a link, given its parameters. Raises ValueError if it cannot use them."""
