"""The bytes of versions as requests carry them: read twice where they are many, for the digest and for the sending."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing

from s3ish.model import Version
from s3ish.objects import get
from s3ish.objects.encodings.chain import Encodings
from s3ish.objects.store import Store
from s3ish.outbound.http import Piece
from s3ish.peers.client import Content

HELD_BYTES = 4 * 1024 * 1024
"""Up to so many bytes are read once, and held in memory until they are sent."""


async def content_of(store: Store, version: Version, start: int, stop: int, encodings: Encodings) -> Content:
    """Return the bytes ``[start, stop)`` of a version as what a request carries.

    Args:
        encodings: know the keys of the version.

    Raises:
        Replaced: the version was removed.
        S3Error: it cannot be read.
    """

    async def pieces() -> AsyncGenerator[Piece, None]:
        async with aclosing(get.as_flow(await get.open_span(store, version, start, stop, encodings))) as flow:
            async for piece in flow:
                yield piece

    digest, held = hashlib.sha256(), bytearray()
    async with aclosing(pieces()) as first:
        async for piece in first:
            await store.offload.run(digest.update, piece)
            if stop - start <= HELD_BYTES:
                held += piece
    body = bytes(held) if stop - start <= HELD_BYTES else pieces
    return Content(stop - start, digest.hexdigest(), body)
