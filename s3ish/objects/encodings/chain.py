"""The chain between an object's bytes and those that are stored: codecs, one behind the other; none by default.

A version or a part says which links its chain has (``Link``: a name and parameters). Of these a chain is made here, to
write or to read. The first link sees the object's bytes, the last one those of the blob. Blob references know nothing
of it, and whatever works on stored bytes (check, scrub, heal, hard links) needs no chain.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from s3ish.blob.protocol import BlobReader, BlobWriter, Buffer, Corrupt
from s3ish.model import Link
from s3ish.objects.encodings.codec import Codec, Decoder, Encoder, MakeCodec
from s3ish.objects.encodings.decoding_reader import DecodingReader, Stage, decode, finish
from s3ish.objects.encodings.encoding_writer import EncodingWriter

Links = tuple[Link, ...]


class UnknownEncoding(Exception):
    """Something is stored under a link that this server does not know, or whose parameters it cannot use."""


class Decoding(NamedTuple):
    """How a range is read: the stored bytes ``[start, stop)``, and the stages that make of them those of the range."""

    start: int
    stop: int
    stages: Sequence[Stage]

    def of_bytes(self, data: Buffer) -> bytes:
        """Return the range, given what is stored of it. Raises Corrupt."""
        return b"".join([*decode(self.stages, [data]), *finish(self.stages)])

    async def of_reader(self, reader: BlobReader) -> BlobReader:
        """Return a reader of the range, given one of what is stored of it; its first bytes are verified.

        Raises Corrupt; then the reader is closed.
        """
        decoding = DecodingReader(reader, self.stages)
        await decoding.begin()
        return decoding


class Chain:
    """The chain of one stream.

    Args:
        links: what is asked for, or what a version or part says.
        codecs: one of each.
    """

    def __init__(self, links: Links, codecs: Sequence[Codec]) -> None:
        self.links, self._codecs = links, codecs

    def __bool__(self) -> bool:
        return bool(self.links)

    def covers(self, links: Links) -> bool:
        """Whether what is stored under other links may be taken as it is.

        They must have the same names, and all parameters that are asked for; what an encoder has added is its own.
        """
        return len(links) == len(self.links) and all(
            asked.name == other.name and asked.parameters.items() <= other.parameters.items()
            for asked, other in zip(self.links, links, strict=True)
        )

    def stored_size(self, size: int | None) -> int | None:
        """Return how many bytes are stored of so many, if that is known before."""
        for codec in self._codecs:
            size = None if size is None else codec.stored_size(size)
        return size

    def writer(self, writer: BlobWriter, size: int | None) -> EncodingWriter:
        """Return a writer that encodes what it is given, so many bytes if that is known, around the one of a blob."""
        encoders: list[Encoder] = []
        for codec in self._codecs:
            encoders.append(codec.encoder(size))
            size = None if size is None else codec.stored_size(size)
        return EncodingWriter(writer, self.links, encoders)

    def decode(self, stored: bytes, size: int) -> bytes:
        """Return all bytes of an object of ``size`` bytes, at least one, given all that is stored of them.

        Of a short one: it costs less than ``decoding``. Raises as that does, and Corrupt.
        """
        sizes = [size]
        for codec in self._codecs:
            sizes.append(codec.stored_size(sizes[-1]) or 0)
        _check_size(sizes.pop(), len(stored))
        for codec in reversed(self._codecs):
            try:
                stored = codec.decode(stored, sizes.pop())
            except ValueError as error:
                raise _unknown(error) from error
        return stored

    def decoding(self, start: int, stop: int, size: int, stored_size: int) -> Decoding:
        """Return how the bytes ``[start, stop)``, at least one, of an object of ``size`` bytes are read.

        Raises Corrupt if the stored bytes are not as many as they must be; UnknownEncoding if a codec cannot decode.
        """
        stages: list[Stage] = []
        for codec in self._codecs:
            stored = codec.stored_range(start, stop, size)
            stages.insert(0, Stage(_decoder(codec, stored.start, size), stored.skip, stop - start))
            start, stop, size = stored.start, stored.stop, codec.stored_size(size) or 0
        _check_size(size, stored_size)
        return Decoding(start, stop, stages)


def _decoder(codec: Codec, stored_start: int, size: int) -> Decoder:
    try:
        return codec.decoder(stored_start, size)
    except ValueError as error:
        raise _unknown(error) from error


def _unknown(error: ValueError) -> UnknownEncoding:
    return UnknownEncoding(f"this server cannot decode what is stored: {error}")


def _check_size(size: int, stored_size: int) -> None:
    if size != stored_size:
        raise Corrupt(f"{stored_size} bytes are stored, where the encoding makes {size}")


PLAIN = Chain((), ())
"""The chain without links: what is stored is what was sent."""


class Encodings:
    """The codecs that a server knows.

    Args:
        codecs: what makes them, by the name of the link.
        default: the links under which objects are stored, unless a caller asks for others.
    """

    def __init__(self, codecs: Mapping[str, MakeCodec] | None = None, default: Links = ()) -> None:
        self._codecs = dict(codecs or {})
        self.default = default

    def knows(self, name: str) -> bool:
        """Tell whether there is a codec of this name."""
        return name in self._codecs

    def having(self, codecs: Mapping[str, MakeCodec]) -> "Encodings":
        """Return the same with further codecs, for a request that brings what they need: a key of its own."""
        return Encodings({**self._codecs, **codecs}, self.default)

    def asked_for(self, links: Links | None) -> "Encodings":
        """Return the same with these links as the default ones; itself if None."""
        return self if links is None else Encodings(self._codecs, links)

    def chain(self, links: Links | None = None) -> Chain:
        """Return the chain of these links, or of the default ones. Raises UnknownEncoding."""
        links = self.default if links is None else links
        return Chain(links, [self._codec(link) for link in links]) if links else PLAIN

    def _codec(self, link: Link) -> Codec:
        if link.name not in self._codecs:
            raise UnknownEncoding(f"this server does not know the encoding {link.name[:40]!r}")
        try:
            return self._codecs[link.name](link.parameters)
        except ValueError as error:
            raise UnknownEncoding(f"this server cannot use the encoding {link.name!r}: {error}") from error
