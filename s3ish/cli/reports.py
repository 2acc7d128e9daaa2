"""What the commands of the shell show of a store: read from the index, while a server runs or not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple, TypeVar

from msgspec import json
from msgspec.structs import asdict

from s3ish.clock import Clock
from s3ish.config import Settings
from s3ish.engines import open_volumes
from s3ish.index.protocol import Index
from s3ish.integrity.startup import are_counted
from s3ish.model import Usage
from s3ish.objects import usage
from s3ish.process.index_place import find_index, require
from s3ish.tables.catalog import OF_BUCKET, OF_OWNER, TABLES

T = TypeVar("T")


class Holdings(NamedTuple):
    """What buckets and owners hold, by name; ``counted`` is False where the next start of a server has to count."""

    buckets: list[tuple[str, Usage]]
    owners: list[tuple[str, Usage]]
    counted: bool


def holdings(settings: Settings) -> Holdings:
    """Return what all buckets hold. Raises BlobError, IndexFailure."""

    async def read(index: Index) -> Holdings:
        return Holdings(
            await usage.of_all(index, OF_BUCKET), await usage.of_all(index, OF_OWNER), await are_counted(index)
        )

    return _ask(settings, read)


def usage_lines(found: Holdings, *, as_json: bool) -> Iterator[str]:
    """Yield the lines that show what is held, the largest first."""
    kinds = ((OF_BUCKET, found.buckets), (OF_OWNER, found.owners))
    rows = [
        (kind, name, held)
        for kind, some in kinds
        for name, held in sorted(some, key=lambda row: (-row[1].bytes, row[0]))
    ]
    if as_json:
        for kind, name, held in rows:
            yield json.encode({kind: name} | asdict(held)).decode()
        return
    yield f"{'bytes':>16} {'objects':>11} {'versions':>11} {'markers':>9} {'uploads':>9} {'their bytes':>16}  name"
    for kind, name, held in rows:
        yield (
            f"{held.bytes:16} {held.objects:11} {held.versions:11} {held.markers:9} {held.uploads:9} "
            f"{held.upload_bytes:16}  {kind} {name}"
        )


def _ask(settings: Settings, read: Callable[[Index], Awaitable[T]]) -> T:
    """Return what is read from the index. Raises BlobError, IndexFailure."""

    async def run() -> T:
        index = place.open(TABLES.layouts, durable=settings.storage.fsync)
        try:
            return await read(index)
        finally:
            await index.close()

    volumes = open_volumes(settings, Clock(), create=False)
    try:
        place = find_index(settings, volumes)
        require(place)
        return asyncio.run(run())
    finally:
        volumes.close()
