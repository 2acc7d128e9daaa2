"""How a child process and its server speak: frames of a kind, a length, and so many bytes.

The server sends the task, the begin of the object where the task asks for it, and then the object, or of Parquet the
ranges that the child asks for.
"""

import struct

RECORDS, PROGRESS, RANGE, ERROR, END = b"R", b"P", b"G", b"X", b"E"
HEADER = struct.Struct(">cI")
COUNTS = struct.Struct(">QQQ")
"""What PROGRESS and END carry: bytes scanned, processed and returned."""
SPAN = struct.Struct(">QQ")
"""What RANGE carries: the first byte that is wanted, and how many."""
LENGTH = struct.Struct(">I")
"""What stands before a task."""
MOST_BYTES = 1024 * 1024 + 64 * 1024
"""The longest frame that is taken."""


def frame(kind: bytes, payload: bytes) -> bytes:
    """Return a frame."""
    return HEADER.pack(kind, len(payload)) + payload
