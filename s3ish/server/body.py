"""The body of a request: bytes as they arrive, unwrapped and held to what the headers say of them.

It knows the three forms a body can have (plain, signed as a whole, aws-chunked) and the claims that come with it. It
never buffers more than it was asked for.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from s3ish import checksum
from s3ish.auth.payload import SIGNED_CHUNKS, Payload, PayloadMode
from s3ish.blob.protocol import Buffer
from s3ish.buffers import buffers
from s3ish.errors import (
    EntityTooLarge,
    IncompleteBody,
    InvalidDigest,
    InvalidRequest,
    MaxMessageLengthExceeded,
    MissingContentLength,
    SlowDown,
)
from s3ish.http.exchange import CUT_SHORT
from s3ish.http.receive_buffer import Demand
from s3ish.objects.digests import Claims, Digests
from s3ish.server.document_room import FREE_BYTES, DocumentRoom
from s3ish.wire.chunked import ChunkedDecoder
from s3ish.wire.scalars import read_base64

Receive = Callable[[], Awaitable[Any]]

MAX_BODY_BYTES = 5 * 1024**3
"""The most that one PUT may carry."""

_ALGORITHM_OF = {f"x-amz-checksum-{name.lower()}": name for name in checksum.ALGORITHMS}
_TARGET_BYTES = 64 * 1024
"""So much is worth being read to where it stays."""
_TRAILING = (PayloadMode.STREAMING_SIGNED_TRAILER, PayloadMode.STREAMING_UNSIGNED_TRAILER)
_STREAMING = (PayloadMode.STREAMING_SIGNED, *_TRAILING)


class Disconnected(Exception):
    """The client went away."""


class Longest(NamedTuple):
    """How many bytes a body may have, and what is called when one has more."""

    size: int = MAX_BODY_BYTES
    exceeded: Callable[[], None] = lambda: None


_LONGEST, _NO_CLAIMS = Longest(), Claims()


class RequestBody:
    """One request's body; a ``Source`` for writes once its claims are read.

    Args:
        receive: ASGI's receive.
        headers: the request's headers.
        appetite: where to say how much is wanted, if anybody wants to know.
        longest: how long it may be.

    ``is_empty`` says that the headers announce no body at all.
    """

    def __init__(
        self,
        receive: Receive,
        headers: Mapping[str, str],
        appetite: Demand | None = None,
        longest: Longest = _LONGEST,
    ) -> None:
        self._receive = receive
        self._longest = longest
        self._appetite = appetite or Demand()
        self._headers = headers
        self._wire_length = _length(headers.get("content-length"))
        self._framed = "transfer-encoding" in headers
        self.is_empty = not self._wire_length and not self._framed
        self._ended = False
        self._pieces: list[Buffer] = []
        self._held = 0
        self._decoder: ChunkedDecoder | None = None
        self._room: DocumentRoom | None = None
        self._room_taken = 0
        self._claims = _NO_CLAIMS
        self.received = 0
        self.size = self._wire_length
        self.algorithm: str | None = None
        self.expects_sha256 = self.is_signed = False

    def read_claims(self, payload: Payload, *, checksum_is_of_body: bool = True) -> None:
        """Read what the headers say of the bytes.

        Args:
            payload: how the signature covers them.
            checksum_is_of_body: false where a checksum header speaks of something else.

        Raises:
            S3Error: they contradict each other, or are malformed.
        """
        trailer = _announced_trailer(self._headers, payload.mode)
        checksum_value = None
        if checksum_is_of_body:
            self.algorithm, checksum_value = _claimed_checksum(self._headers, trailer)
        md5 = claimed_md5(self._headers.get("content-md5"))
        self._claims = Claims(md5=md5, sha256=payload.sha256, checksum=checksum_value)
        self.expects_sha256 = payload.mode is PayloadMode.SIGNED
        self.is_signed = self.expects_sha256 or payload.mode in SIGNED_CHUNKS
        if payload.mode in _STREAMING:
            self._unwrap(payload, trailer)

    def _unwrap(self, payload: Payload, trailer: str | None) -> None:
        """Prepare for aws-chunked. Raises MissingContentLength."""
        try:
            self.size = _length(self._headers.get("x-amz-decoded-content-length"))
        except InvalidRequest as error:
            raise MissingContentLength from error
        if self.size is None:
            raise MissingContentLength
        announced = (trailer or "") if payload.mode in _TRAILING else None
        self._decoder = ChunkedDecoder(self.size, payload.signer, announced)

    @property
    def is_read(self) -> bool:
        """Whether nothing of it is left on the connection."""
        return self._ended or self.is_empty

    @property
    def unread_bytes(self) -> int | None:
        """How many bytes are left on the connection, if the headers say."""
        return None if self._wire_length is None else self._wire_length - self.received

    def check_length(self) -> None:
        """Refuse a data body before it is read.

        Raises:
            MissingContentLength: neither a length nor chunked framing was announced.
            EntityTooLarge: more bytes are announced than there may be.
        """
        if self.size is None and not self._framed:
            raise MissingContentLength
        self.check_size(self.size)

    def check_size(self, size: int | None) -> None:
        """Raise EntityTooLarge if a size is known and more than there may be."""
        if size is not None and size > self._longest.size:
            self._longest.exceeded()
            raise EntityTooLarge(ProposedSize=size, MaxSizeAllowed=self._longest.size)

    async def gather(self, count: int) -> None:
        """Wait until so many bytes have come, or all. Raises as ``read`` does."""
        while self._held < count and not self._ended:
            self._appetite.wanted = count - self._held
            await self._pull()

    async def read(self, limit: int) -> Buffer:
        """Return exactly ``limit`` bytes, fewer only at the end.

        Raises:
            Disconnected: the client went away before the end.
            S3Error: broken framing, or another length than announced.
        """
        if self._wire_length is not None and self._decoder is None:
            count = min(limit, self._held + self._wire_length - self.received)
            if count - self._held >= _TARGET_BYTES:
                return await self._fill(count)
        await self.gather(limit)
        return self._take(limit)

    async def read_some(self, limit: int) -> Buffer:
        """Return at most ``limit`` bytes as soon as there are any; none at the end. Raises as ``read`` does."""
        await self.gather(1)
        return self._take(limit) if self._held else b""

    async def _fill(self, count: int) -> Buffer:
        """Return the next ``count`` bytes, which are announced, having them read to where they stay if possible."""
        piece = buffers.take(count)
        rest, appetite = self._pour(piece), self._appetite
        try:
            while rest:
                appetite.wanted, appetite.target = len(rest), rest
                await self._pull()
                rest = self._pour(appetite.target)
        finally:
            appetite.target = None
        return piece

    def _pour(self, target: memoryview) -> memoryview:
        """Move what is held to a target, and return the rest of the target."""
        while self._held and target:
            first = memoryview(self._take(len(target)))
            target[: len(first)] = first
            target = target[len(first) :]
        return target

    async def _pull(self) -> None:
        target = self._appetite.target
        message = await self._receive()
        data = message.get("body", b"")
        self.received += len(data)
        if target and self._appetite.target is not None:
            self.received += len(target) - len(self._appetite.target)
        self._check_presence(message)
        self._ended = not message.get("more_body", False)  # before what may fail: no caller must wait for more
        if self._decoder is None:
            self._keep(data)
        elif data:
            for piece in self._decoder.feed(data):
                self._keep(piece)
        if self._ended:
            self._finish()

    def _check_presence(self, message: Any) -> None:
        """Raise Disconnected if the client has left, IncompleteBody if it has ended its side alone."""
        if message["type"] == "http.disconnect":
            if CUT_SHORT not in message:
                raise Disconnected
            self._ended = True
            raise self._incomplete()

    def _incomplete(self) -> IncompleteBody:
        if self._wire_length is None:
            return IncompleteBody()
        return IncompleteBody(NumberBytesExpected=self._wire_length, NumberBytesProvided=self.received)

    def _finish(self) -> None:
        if self._decoder is not None:
            self._decoder.finish()
            self._read_trailers(self._decoder.trailers)
        elif self._wire_length is not None and self.received != self._wire_length:
            raise self._incomplete()
        self._check_received()

    def _check_received(self) -> None:
        if self.size is None:  # else it was checked before
            self.check_size(self.received)

    def _read_trailers(self, trailers: Mapping[str, str]) -> None:
        for name, value in trailers.items():
            algorithm = _ALGORITHM_OF.get(name)
            if algorithm:
                if not checksum.valid(algorithm, value):
                    raise InvalidRequest(f"Value for {name} trailing header is invalid.")
                self._claims = replace(self._claims, checksum=value)

    def _keep(self, data: Buffer) -> None:
        if data:
            self._pieces.append(data)
            self._held += len(data)
            self._check_received()

    def _take(self, limit: int) -> Buffer:
        pieces, self._pieces = self._pieces, []
        if self._held <= limit:
            self._held = 0
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        room = limit
        for number, piece in enumerate(pieces):
            if len(piece) > room:  # cut it here, so that what is left keeps nothing else in memory
                view = memoryview(piece)
                self._pieces = [view[room:], *pieces[number + 1 :]]
                pieces[number:] = [view[:room]]
                break
            room -= len(piece)
        self._held -= limit
        return b"".join(pieces)

    def claims(self) -> Claims:
        """Return what the sender says of the bytes."""
        return self._claims

    async def document(self, limit: int, *, needs_digest: bool, room: DocumentRoom) -> bytes:
        """Return a whole body of at most ``limit`` bytes, verified against its claims.

        Args:
            room: where it takes a place until ``leave_room``.

        Raises:
            MaxMessageLengthExceeded: it is longer.
            SlowDown: there is no room for it now.
            InvalidRequest: it has no digest although it needs one.
            BadDigest, XAmzContentSHA256Mismatch: it is not what the sender meant.
        """
        if self.is_empty:
            return b""
        if needs_digest and self._claims.md5 is None and self.algorithm is None:
            raise InvalidRequest("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
        if (self.size or 0) > limit:
            raise MaxMessageLengthExceeded(MaxMessageLengthBytes=limit)
        self.check_size(self.size)
        await self._gather_document(limit + 1, room)
        data = bytes(self._take(limit + 1))
        if len(data) > limit:
            raise MaxMessageLengthExceeded(MaxMessageLengthBytes=limit)
        digests = Digests(self.algorithm, sha256=self.expects_sha256)
        digests.update(data)
        digests.verify(self.claims(), as_sent=True)
        return data

    async def _gather_document(self, count: int, room: DocumentRoom) -> None:
        """Wait until so many bytes have come, or all; nothing is reserved for what may never come. Raises SlowDown."""
        self._room = room
        while self._held < count and not self._ended:
            await self.gather(min(count, self._held + FREE_BYTES))
            if (more := self._held - FREE_BYTES - self._room_taken) > 0:
                try:
                    room.take(more)
                except SlowDown:
                    self._take(self._held)
                    raise
                self._room_taken += more

    def leave_room(self) -> None:
        """The document is not held any more."""
        if self._room:
            self._room.leave(self._room_taken)
            self._room_taken = 0

    async def drain(self, limit: int) -> None:
        """Read and drop what is left, until ``limit`` bytes have been dropped. Raises Disconnected."""
        self._decoder = None
        stop = self.received + limit
        while not self._ended and self.received <= stop:
            message = await self._receive()
            with contextlib.suppress(IncompleteBody):
                self._check_presence(message)
            self.received += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)


def _length(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise InvalidRequest("The length header is not valid.", HeaderValue=text[:32])
    return int(text)


def claimed_md5(text: str | None) -> bytes | None:
    """Return the MD5 that a Content-MD5 says, if there is one. Raises InvalidDigest."""
    if text is None:
        return None
    try:
        return read_base64(text, 16)
    except ValueError as error:  # not base64, or not even ASCII
        refusal = InvalidDigest()
        refusal.details["Content-MD5"] = text[:128]
        raise refusal from error


def _claimed_checksum(headers: Mapping[str, str], trailer: str | None) -> tuple[str | None, str | None]:
    """Return the algorithm that the sender uses and its value, as far as the headers say.

    Raises:
        InvalidRequest: two checksums, a malformed one, or an algorithm without any.
    """
    found = [(name, headers[name]) for name in _ALGORITHM_OF.keys() & headers.keys()]
    if len(found) + bool(trailer) > 1:
        raise InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    announced = headers.get("x-amz-sdk-checksum-algorithm") or None
    algorithm = _ALGORITHM_OF[found[0][0]] if found else _ALGORITHM_OF[trailer] if trailer else None
    if announced is not None:
        if announced.upper() not in checksum.ALGORITHMS:
            raise InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
        if algorithm is None:
            raise InvalidRequest(
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer "
                "headers were found."
            )
        if announced.upper() != algorithm:
            raise InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
    if not found:
        return algorithm, None
    name, value = found[0]
    if not checksum.valid(algorithm or "", value):
        raise InvalidRequest(f"Value for {name} header is invalid.")
    return algorithm, value


def _announced_trailer(headers: Mapping[str, str], mode: PayloadMode) -> str | None:
    """Return the name of the checksum that will come behind the body.

    Raises:
        InvalidRequest: something else is announced, or for a body that has no such place: it would be left unchecked.
    """
    text = headers.get("x-amz-trailer")
    if text is None or not (text or mode in _TRAILING):
        return None
    names = {name.strip().lower() for name in text.split(",")} - {""}
    if mode not in _TRAILING and names and names <= _ALGORITHM_OF.keys() & headers.keys():
        return None  # some clients announce what they send as a header after all
    if mode not in _TRAILING or not names or not names <= _ALGORITHM_OF.keys():
        raise InvalidRequest("The value specified in the x-amz-trailer header is not supported")
    if len(names) > 1:
        raise InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    return names.pop()
