"""aws-chunked: the framing inside a body that carries chunk signatures and trailing checksums.

An incremental decoder: bytes go in as they arrive, pieces of the payload come out. A piece may come out before its
chunk's signature was checked; nothing is made of it before ``finish`` has said that the whole is right.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

import hashlib
from typing import Protocol

from s3ish.errors import IncompleteBody, InvalidChunkSizeError, MalformedTrailerError

MIN_CHUNK_BYTES = 8192
"""The least size of every chunk but the last."""

_MAX_LINE_BYTES = 1024
_MAX_TRAILER_BYTES = 4096
_MAX_SIZE_DIGITS = 16
_MAX_REST_BYTES = 1024
"""So much behind the end is dropped unseen, as S3 drops it; a client that sends more means something else."""
_BLANKS = b" \t"
_SIGNATURE = b"chunk-signature"
_TRAILER_SIGNATURE = "x-amz-trailer-signature"


class Signer(Protocol):
    """Checks the chain of signatures."""

    def check_chunk(self, sha256: str, signature: str) -> None:
        """Check the signature of the next chunk. Raises SignatureDoesNotMatch."""

    def check_trailer(self, sha256: str, signature: str) -> None:
        """Check the signature of the trailer. Raises SignatureDoesNotMatch."""


def _broken(reason: str) -> IncompleteBody:
    """Return the refusal of a framing that is not right, for which S3 has one sentence."""
    return IncompleteBody("The request body terminated unexpectedly", Reason=reason)


class ChunkedDecoder:
    """Decodes one body.

    Args:
        decoded_length: the payload's length in bytes, as ``x-amz-decoded-content-length`` says.
        signer: checks signatures; None where chunks are not signed.
        announced: the ``x-amz-trailer`` header, empty if there is none; None where the form has no place for trailers.
    """

    def __init__(self, decoded_length: int, signer: Signer | None, announced: str | None) -> None:
        self._expected = decoded_length
        self._signer = signer
        self._announced = (
            None if announced is None else {name.strip().lower() for name in announced.split(",") if name.strip()}
        )
        self._line = bytearray()
        self._left = 0
        self._size = 0
        self._total = 0
        self._chunks = 0
        self._signature = ""
        self._digest = hashlib.sha256()
        self._state = self._read_size
        self._trailer_text = bytearray()
        self._trailer_bytes = 0
        self._rest_bytes = 0
        self._done = False
        self.trailers: dict[str, str] = {}

    def feed(self, data: bytes) -> list[memoryview]:
        """Take bytes as they arrived and return the pieces of payload in them.

        Raises:
            IncompleteBody, InvalidChunkSizeError, MalformedTrailerError: not a right body.
        """
        pieces: list[memoryview] = []
        view = memoryview(data)
        position = 0
        while position < len(data):
            if self._done:
                self._drop(len(data) - position)
                break
            if self._left:
                taken = min(self._left, len(data) - position)
                piece = view[position : position + taken]
                if self._signer:
                    self._digest.update(piece)
                pieces.append(piece)
                self._left -= taken
                position += taken
                if not self._left:
                    self._state = self._end_chunk
            else:
                position = self._take_line(data, position)
        return pieces

    def finish(self) -> None:
        """Declare the end of the body.

        Raises:
            IncompleteBody: it ended too early, or is not as long as announced.
            MalformedTrailerError: the trailers that its end closes are not right.
        """
        if self._trailer_bytes and not self._done and not self._line.strip():
            self._end_trailer()  # the empty line behind the trailers may be left out
        if not self._done:
            raise _broken("The body ends before its end is there.")
        if self._total != self._expected:
            raise IncompleteBody("The decoded length is not the one that x-amz-decoded-content-length announced.")

    def _drop(self, count: int) -> None:
        self._rest_bytes += count
        if self._rest_bytes > _MAX_REST_BYTES:
            raise _broken("There are bytes after the final chunk.")

    def _take_line(self, data: bytes, position: int) -> int:
        """Collect bytes up to the next line end; act on the line when it is whole; return where to go on."""
        end = data.find(b"\n", position)
        stop = len(data) if end < 0 else end + 1
        self._line += data[position:stop]
        if len(self._line) > _MAX_LINE_BYTES:
            raise _broken("A chunk header is too long.")
        if end >= 0:
            line = bytes(self._line)
            self._line.clear()
            if self._state == self._read_trailer:  # S3 takes a bare LF here, and some clients count on it
                self._read_trailer(line)
            elif line.endswith(b"\r\n"):
                self._state(line[:-2])
            else:
                raise _broken("A line of the chunked body does not end with CRLF.")
        return stop

    def _read_size(self, line: bytes) -> None:
        digits, separator, extension = line.partition(b";")
        digits = digits.rstrip(_BLANKS) if separator else digits
        if not 1 <= len(digits) <= _MAX_SIZE_DIGITS or not all(byte in b"0123456789abcdefABCDEF" for byte in digits):
            raise _broken("A chunk size is not a hexadecimal number.")
        before, self._size = self._size, int(digits, 16)
        self._left = self._size
        if self._total + self._size > self._expected:
            raise IncompleteBody("The body is longer than x-amz-decoded-content-length announced.")
        if self._chunks and self._size and before < MIN_CHUNK_BYTES:
            raise InvalidChunkSizeError(Chunk=self._chunks + 1, BadChunkSize=before)
        self._chunks += 1
        self._total += self._size
        self._read_signature(extension)
        if not self._size:
            self._check_signature()
            self._state = self._read_trailer if self._announced is not None else self._read_end

    def _read_signature(self, extension: bytes) -> None:
        if self._signer is None:
            return
        name, _, value = extension.partition(b"=")
        if name.strip(_BLANKS) != _SIGNATURE:
            raise _broken("A chunk has no signature.")
        self._signature = value.strip(_BLANKS).decode("latin-1")

    def _end_chunk(self, line: bytes) -> None:
        if line:
            raise _broken("A chunk's data does not end with CRLF.")
        self._check_signature()
        self._state = self._read_size

    def _check_signature(self) -> None:
        if self._signer is None:
            return
        self._signer.check_chunk(self._digest.hexdigest(), self._signature)
        self._digest = hashlib.sha256()

    def _read_end(self, line: bytes) -> None:
        if line:
            raise _broken("The final chunk is followed by something else than its end.")
        self._done = True

    def _read_trailer(self, line: bytes) -> None:
        """Take one line with its end.

        An empty line ends the trailers, but not those of a signed body before their signature: there it stands
        between the two where lines end with LF.
        """
        self._trailer_bytes += len(line)
        if self._trailer_bytes > _MAX_TRAILER_BYTES:
            raise MalformedTrailerError
        if not line.strip(b"\r\n"):
            if self._signer is None or not self.trailers or _TRAILER_SIGNATURE in self.trailers:
                self._end_trailer()
            return
        name, separator, value = (part.decode("latin-1").strip(" \t\r\n") for part in line.partition(b":"))
        name = name.lower()
        if not separator or not name:
            raise MalformedTrailerError
        if name != _TRAILER_SIGNATURE:
            self._trailer_text += f"{name}:{value}\n".encode("latin-1")
        self.trailers[name] = value  # of one that is given twice the last counts

    def _end_trailer(self) -> None:
        signature = self.trailers.pop(_TRAILER_SIGNATURE, None)
        if self.trailers.keys() != self._announced:
            raise MalformedTrailerError
        if self._signer is not None and (self._announced or signature is not None):
            self._signer.check_trailer(hashlib.sha256(self._trailer_text).hexdigest(), signature or "")
        elif signature is not None:
            raise MalformedTrailerError
        self._done = True
