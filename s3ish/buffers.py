"""Memory for stripes on their way in or out, which is used again.

Fresh memory costs as much as to fill it: the kernel gives it page by page, each of which is cleared first.
"""

import mmap
import threading
from collections import deque

_KEPT = 5
"""So many are kept: as many as one upload has in its hands."""


class Buffers(threading.local):
    """The buffers of one event loop.

    Args:
        kept: how many are kept.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept: deque[mmap.mmap] = deque(maxlen=kept)

    def take(self, size: int) -> memoryview:
        """Return room for so many bytes, which no other caller gets as long as there is any view of it.

        What it holds is what was there before; fresh memory takes room only as far as it is filled. Raises MemoryError.
        """
        for kept in self._kept:
            if len(kept) == size and _is_free(kept):
                return memoryview(kept)
        try:
            fresh = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise MemoryError(str(error)) from error
        self._kept.append(fresh)
        return memoryview(fresh)


def _is_free(buffer: mmap.mmap) -> bool:
    """Whether there is no view of it: only then may its size be changed, here to what it is."""
    try:
        buffer.resize(len(buffer))
    except BufferError:
        return False
    return True


buffers = Buffers()
