"""The lower waist: immutable byte strings, each with a small sidecar, under ids that the store mints.

A blob store knows neither S3 nor the index. What a sidecar says is the caller's; the store guards it with a checksum
and keeps beside it what it needs itself to read the blob without any index.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from s3ish.blob.paths import Past
from s3ish.model import BlobRef

Buffer = bytes | bytearray | memoryview


class BlobError(Exception):
    """Base of what a blob store raises."""


class Missing(BlobError):
    """No such blob: none of its files are there."""


class Corrupt(BlobError):
    """More of the blob is damaged, lost or out of reach than its parity can make good."""


class OutOfReach(Corrupt):
    """Too much of the blob is on volumes that are out of reach; of the rest no more is lost than its parity can."""


class VolumesFull(BlobError):
    """There is no room (bytes, inodes, quota) for the write; nothing was stored."""


class Unwritable(BlobError):
    """Too few volumes could be written (gone, read-only, I/O errors); nothing was stored."""


class VolumeError(BlobError):
    """A volume failed or holds something that it must not; the store goes on with the others while it can."""


class Away(VolumeError):
    """A volume is out of reach, or does not answer: what it holds may well be whole."""


class InUse(BlobError):
    """Another server has the volumes open."""


class NewerFormat(BlobError):
    """Written by a later version in a format that this one does not know; nothing about it may be changed."""


class Health(NamedTuple):
    """What a check found: numbers of the damaged and missing shards and sidecars, before repair.

    ``readable`` says whether the blob can be served, ``repaired`` whether all damage was made good, ``volumes`` at
    which positions something was damaged or missing.
    """

    readable: bool
    damaged: tuple[str, ...] = ()
    repaired: bool = False
    volumes: tuple[int, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing was wrong."""
        return not self.damaged


Unread = Callable[[str, BlobError], None]
"""Called with what a scan could not read: the id of a blob, or "" where it may have overlooked some, and why."""

IsNamed = Callable[[str], Awaitable[bool]]
"""Asked whether a blob of which only the id is known must stay: a row names it, or may be about to."""

Work = Callable[[], None]
"""What is to be done on the thread that stores some data, before it does."""


class Sealed(NamedTuple):
    """A sealed blob: its reference, its sidecar, and its bytes if they are in that.

    ``complete`` tells whether as many volumes have its sidecar as must before a write is answered. ``outdated`` tells
    that it was removed while the volumes were away that still have it: one that was not away has nothing of it.
    """

    ref: BlobRef
    sidecar: bytes
    data: bytes | None
    complete: bool = True
    outdated: bool = False


class Amendment(NamedTuple):
    """A sidecar that takes the place of another one; see ``BlobStore.amend``."""

    ref: BlobRef
    sidecar: bytes
    inline: bytes | None = None
    revision: int = 0


class Swept(NamedTuple):
    """What a sweep has come to: a blob by its id or a folder by its name.

    ``stray`` says that it has files, but neither a valid sidecar nor a reference; ``removed`` that it is gone now.
    """

    name: str
    stray: bool = False
    removed: bool = False


class BlobWriter(Protocol):
    """A blob being written. It becomes visible and durable by ``seal``; leaving its context without that removes it."""

    async def write(self, data: Buffer, before: Work | None = None) -> None:
        """Append ``data`` of any size. Raises Full, Unwritable.

        Args:
            data: the writer's from now on: the caller must not change it any more.
            before: called once, on a thread; what it raises is raised here. For short data: it is cheaper to do all
                work on the thread that stores the data than to hand the data from thread to thread.
        """

    async def adopt(self, source: BlobRef) -> bool:
        """Take the bytes of another blob, whole and without copying them, in place of any ``write``.

        Returns False, having done nothing, where that is not possible; the caller then copies.
        """

    async def finish(self) -> BlobRef:
        """End the data and make it durable. Returns the reference. Raises Full, Unwritable."""

    async def seal(self, sidecar: bytes) -> bytes | None:
        """Write the sidecar (any bytes of JSON text) durably, as the protocol's class text says.

        Returns the data of an inline blob, which the caller should keep as well: see there. May be called again with
        another sidecar before the context is left. Raises Full, Unwritable.
        """

    async def keep(self) -> bytes | None:
        """Keep the blob durably without a sidecar, as ``unseal`` leaves one. Returns the data of an inline blob, which
        the caller alone has then. Raises Full, Unwritable."""


class BlobReader(Protocol):
    """An open range of a blob. Its files stay readable while it is open, even if the blob is deleted."""

    def __aiter__(self) -> AsyncIterator[Buffer]:
        """Yield the range in order, in pieces of at most a stripe, each verified before it is yielded."""

    async def __anext__(self) -> Buffer:
        """Return the next piece. Raises Corrupt in the middle if damage beyond parity is met there."""

    async def close(self) -> None:
        """Release the files; idempotent."""


class BlobStore(Protocol):
    """Immutable byte strings with sidecars.

    Required of every implementation:

    * After ``seal`` returns, data and sidecar survive a loss of power and the loss of any ``m`` volumes. (On a single
      volume the sidecar may be flushed a moment later: the caller's index is then its durable copy.)
    * No wrong byte is ever returned: data is checked against its hashes before it is used.
    * ``amend`` replaces a sidecar atomically: a reader sees the old or the new.
    * ``delete`` and ``unseal`` are idempotent; afterwards ``scan`` does not show the blob.

    There is nothing else to know of a store, so that one can stand around another (``wrappers/``). Where the bytes of a
    short blob are, how long stripes are, what is kept in memory: all that is the store's own matter.
    """

    def create(
        self, home: str, size: int | None = None, *, pieces: int | None = None
    ) -> AbstractAsyncContextManager[BlobWriter]:
        """Begin a blob.

        Args:
            home: where it should live, ``bucket`` or ``bucket/key``; any text.
            size: the length in bytes if it is known: no more will be written.
            pieces: the length in bytes of the pieces that will be written, a hint for the layout. Short ones say that
                memory is short.
        """

    async def open(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> BlobReader:
        """Open the bytes ``[start, stop)`` and verify the first stripe of them.

        Raises:
            Missing, Corrupt: before any byte flows.
        """

    async def read_sidecar(self, ref: BlobRef) -> bytes:
        """Return the sidecar that was sealed or amended last. Raises Missing, Corrupt."""

    async def amend(self, ref: BlobRef, sidecar: bytes, *, inline: bytes | None = None, revision: int = 0) -> None:
        """Replace the sidecar atomically and durably, or write one anew where all its copies are lost.

        Args:
            inline: the data of an inline blob, if the caller has it: needed where all copies are lost.
            revision: of the sidecar, if the caller counts them. Where copies differ, the greatest holds.

        Raises:
            Missing: nothing is left of the blob, and ``inline`` was not given.
            Corrupt: the data of an inline blob is lost, and ``inline`` was not given.
            Full, Unwritable: too few copies could be written.
        """

    async def amend_all(self, amendments: Sequence[Amendment]) -> Sequence[BlobError | None]:
        """Amend many blobs, each as ``amend`` does; flushes may be for all of them. No blob is named twice.

        Returns for each what ``amend`` would have raised, or None.
        """

    async def delete(self, ref: BlobRef) -> None:
        """Remove the sidecar, then the shards. Nothing happens if they are gone already."""

    async def unseal(self, ref: BlobRef) -> None:
        """Remove the sidecar alone: no ``scan`` shows the blob, but its shards can be read.

        ``amend`` seals it again; of an inline blob nothing is left, so that it needs the data then.
        """

    async def check(self, ref: BlobRef, *, repair: bool) -> Health:
        """Verify every block of every shard and every sidecar; with ``repair``, rewrite what is damaged or missing."""

    def scan(self, after: str | None = None, unread: Unread | None = None) -> AsyncIterator["Sealed"]:
        """Yield every sealed blob, in an order that ``after`` (the last id seen) can resume.

        What cannot be read is left out, and reported to ``unread``. Raises Corrupt where that may be too much.
        """

    def sweep(self, past: Past, is_named: IsNamed, *, dry: bool = False) -> AsyncIterator[Swept]:
        """Remove what writers that were cut off have left; yield all that was looked at.

        These are strays (blobs that have files but neither a valid sidecar nor a reference), temporary files beside
        those of a blob, and places that hold no blob. A blob without a sidecar is being written, was left by a crash,
        or has lost its sidecar: the caller's index knows which. What cannot be removed is left to the next sweep.

        Args:
            past: what it does not hold may be about to be sealed, and stays.
            is_named: asked about each blob that would be removed.
            dry: change nothing; the strays are yielded as not removed.

        Raises:
            Corrupt: too many volumes are out of reach to see all blobs.
        """

    async def close(self) -> None:
        """Flush what is pending and release the volumes."""
