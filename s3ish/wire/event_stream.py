"""Messages of an event stream, as answers of SelectObjectContent are sent.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
"""

import struct
import zlib
from collections.abc import Mapping

_PRELUDE = struct.Struct(">II")
_CRC = struct.Struct(">I")
_LENGTHS = struct.Struct(">BH")
_TEXT = 7
"""The type of a header that is text."""


def message(headers: Mapping[str, str], payload: bytes = b"") -> bytes:
    """Return a message: its lengths and their checksum, its headers, its payload, and the checksum of it all."""
    named = b"".join(_header(name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items())
    prelude = _PRELUDE.pack(len(named) + len(payload) + 16, len(named))
    checked = prelude + _CRC.pack(zlib.crc32(prelude)) + named + payload
    return checked + _CRC.pack(zlib.crc32(checked))


def event(kind: str, payload: bytes = b"", content_type: str = "") -> bytes:
    """Return an event."""
    headers = {":message-type": "event", ":event-type": kind}
    return message(headers | ({":content-type": content_type} if content_type else {}), payload)


def error(code: str, text: str) -> bytes:
    """Return the message that ends a stream that failed."""
    return message({":message-type": "error", ":error-code": code, ":error-message": text})


def _header(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + _LENGTHS.pack(_TEXT, len(value)) + value
