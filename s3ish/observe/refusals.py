"""The requests that were refused not long ago, with all that explains it: a bounded ring that all workers share.

The ring is a file that every worker has mapped, in slots of one size; the request's id says which slot. So no process
waits for another, a new refusal overwrites an old one now and then, and what two processes write at once is not shown.
It lives as long as the server and is not flushed.
"""

import mmap
import os
import zlib
from datetime import datetime
from pathlib import Path

import msgspec

from s3ish.observe.lines import printable

SLOTS = 512
SLOT_BYTES = 16 * 1024
_LONGEST_TEXT = 6000
"""Of the string to sign and of the canonical request: more characters than most have."""
_HEAD_BYTES = 8


class Refusal(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One refused request.

    ``reason`` names the statement, list or setting that decided. ``string_to_sign`` and ``canonical_request`` are what
    the server signed, where the signature was wrong, without values that are secret.
    """

    request_id: str
    at: datetime
    operation: str
    method: str
    path: str
    bucket: str = ""
    key: str = ""
    client: str = ""
    agent: str = ""
    access_key: str = ""
    caller: str = ""
    status: int
    error: str
    message: str
    reason: str = ""
    string_to_sign: str = ""
    canonical_request: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Refusal)


class Refusals:
    """The ring.

    Args:
        directory: where its file is, for several processes; None keeps it in the memory of one.
    """

    def __init__(self, directory: Path | None = None) -> None:
        if directory is None:
            self._ring = mmap.mmap(-1, SLOTS * SLOT_BYTES)
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(directory / "refusals", flags, 0o600)
        try:
            os.ftruncate(descriptor, SLOTS * SLOT_BYTES)
            self._ring = mmap.mmap(descriptor, SLOTS * SLOT_BYTES)
        finally:
            os.close(descriptor)

    def add(self, refusal: Refusal) -> None:
        """Keep a refusal until another takes its place."""
        for name in ("operation", "path", "bucket", "key", "client", "agent", "access_key", "message", "reason"):
            setattr(refusal, name, printable(getattr(refusal, name)))
        refusal.string_to_sign = printable(refusal.string_to_sign, _LONGEST_TEXT, lines=True)
        refusal.canonical_request = printable(refusal.canonical_request, _LONGEST_TEXT, lines=True)
        data = _encoder.encode(refusal)
        if len(data) > SLOT_BYTES - _HEAD_BYTES:  # texts of wide characters
            refusal.string_to_sign = refusal.canonical_request = ""
            data = _encoder.encode(refusal)
        start = _slot(refusal.request_id) * SLOT_BYTES
        head = len(data).to_bytes(4) + zlib.crc32(data).to_bytes(4)
        self._ring[start : start + _HEAD_BYTES + len(data)] = head + data

    def find(self, request_id: str) -> Refusal | None:
        """Return the refusal of a request; None if it was not refused, or is forgotten."""
        refusal = self._read(_slot(request_id))
        return refusal if refusal is not None and refusal.request_id == request_id else None

    def recent(self, most: int) -> list[Refusal]:
        """Return the newest refusals, newest first."""
        found = [refusal for slot in range(SLOTS) if (refusal := self._read(slot)) is not None]
        return sorted(found, key=lambda refusal: refusal.at, reverse=True)[:most]

    def _read(self, slot: int) -> Refusal | None:
        start = slot * SLOT_BYTES
        head = self._ring[start : start + _HEAD_BYTES]
        length = int.from_bytes(head[:4])
        if not 0 < length <= SLOT_BYTES - _HEAD_BYTES:
            return None
        data = self._ring[start + _HEAD_BYTES : start + _HEAD_BYTES + length]
        return _decoder.decode(data) if zlib.crc32(data) == int.from_bytes(head[4:]) else None


def _slot(request_id: str) -> int:
    return zlib.crc32(request_id.encode("utf-8", "replace")) % SLOTS
