"""What the commands of the shell show of a store: read from the index, while a server runs or not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from msgspec import json
from msgspec.structs import asdict

from s3ish.blob.volumes.volume_set import Volumes
from s3ish.clock import Clock
from s3ish.config import Settings
from s3ish.engines import open_volumes
from s3ish.index.protocol import Index
from s3ish.integrity.startup import are_counted
from s3ish.model import Usage
from s3ish.objects.holdings import of_all
from s3ish.process.index_place import find_index, require
from s3ish.tables.catalogue import OF_BUCKET, OF_OWNER, TABLES
from s3ish.tables.state import AGAIN, INVENTORY, JOBS, LEASES, LIFECYCLE, SCRUB, JobState

T = TypeVar("T")

_MOST_JOBS = 10_000


class Holdings(NamedTuple):
    """What buckets and owners hold, by name; ``counted`` is False where the next start of a server has to count."""

    buckets: list[tuple[str, Usage]]
    owners: list[tuple[str, Usage]]
    counted: bool


def holdings(settings: Settings) -> Holdings:
    """Return what all buckets hold. Raises BlobError, IndexFailure."""

    async def read(index: Index, _volumes: Volumes) -> Holdings:
        return Holdings(await of_all(index, OF_BUCKET), await of_all(index, OF_OWNER), await are_counted(index))

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


class JobReport(NamedTuple):
    """What a background job is at, and which process has it."""

    name: str
    state: JobState
    holder: str
    at: str


def jobs_of(settings: Settings) -> list[JobReport]:
    """Return what each background job is at that has run. Raises BlobError, IndexFailure."""

    async def read(index: Index, volumes: Volumes) -> list[JobReport]:
        now, found = Clock().now_ns(), []
        is_served = volumes.are_used()  # leases outlast a server that was killed
        for name, value in await JOBS.family(index, _MOST_JOBS):
            row = LEASES.one(name)
            lease = row.read(await row.value(index))
            holder = lease.holder if is_served and lease and lease.until_ns > now else ""
            state = JOBS.one(name).read(value) or JobState()
            found.append(JobReport(name.decode(errors="replace"), state, holder, await _progress_of(index, name)))
        return found

    return _ask(settings, read)


async def _progress_of(index: Index, name: bytes) -> str:
    """Return where a job is, as far as it notes that."""
    if name == b"scrub":
        scrub = SCRUB.read(await SCRUB.value(index))
        return f"{scrub.ratio:.0%} verified" if scrub else ""
    if name == b"lifecycle":
        lifecycle = LIFECYCLE.read(await LIFECYCLE.value(index))
        return f"at {lifecycle.bucket}/{lifecycle.key}" if lifecycle and lifecycle.bucket else ""
    if name == b"replicate-again":
        rows = await AGAIN.family(index, _MOST_JOBS)
        found = [(which.decode(errors="replace"), AGAIN.one(which).read(value)) for which, value in rows]
        return ", ".join(
            f"{bucket}: {it.looked} versions looked at, {it.found} wait{'' if it.ended else ' so far'}"
            for bucket, it in found
            if it
        )
    if name == b"inventory":
        rows = await INVENTORY.family(index, _MOST_JOBS)
        read = [INVENTORY.one(which).read(value) for which, value in rows]
        under_way = [which.decode() for (which, _), it in zip(rows, read, strict=True) if it and not it.done]
        return f"at {', '.join(under_way)}" if under_way else ""
    return ""


def job_lines(found: list[JobReport], *, as_json: bool) -> Iterator[str]:
    """Yield the lines that show the jobs."""
    if as_json:
        for job in found:
            held = {"job": job.name, "holder": job.holder, "progress": job.at} | asdict(job.state)
            yield json.encode(held).decode()
        return
    width = max([24, *(len(job.name) for job in found)])
    yield f"{'job':<{width}} {'last run':<19} {'next run':<19} {'steps':>9} {'failed':>6} {'seconds':>9}  progress"
    for job in found:
        state = job.state
        shown = f"failed: {state.error}" if state.error else job.at
        due = _moment(state.next_ns) if job.holder else "-"
        yield (
            f"{job.name:<{width}} {_moment(state.ended_ns):<19} {due:<19} {state.steps:9} "
            f"{state.failures:6} {state.seconds:9.1f}  {shown}"
        )


def _moment(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S}" if at_ns else "never"


def _ask(settings: Settings, read: Callable[[Index, Volumes], Awaitable[T]]) -> T:
    """Return what is read from the index, and from its volumes. Raises BlobError, IndexFailure."""

    async def run() -> T:
        index = place.open(TABLES.layouts, durable=settings.storage.fsync)
        try:
            return await read(index, volumes)
        finally:
            await index.close()

    volumes = open_volumes(settings, Clock(), create=False)
    try:
        place = find_index(settings, volumes)
        require(place)
        return asyncio.run(run())
    finally:
        volumes.close()
