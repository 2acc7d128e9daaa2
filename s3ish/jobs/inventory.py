"""Making the lists of objects that buckets ask for, each day or week of service time.

A list is made a piece at a time. When a file of it is full, it is stored, and then the index notes how far the list is:
after a restart, in this or another process, it goes on from there, and writes the file that it was at again under the
same name. The manifest is stored last. A list shows each object as it was at some moment while it was made, as S3's do.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
"""

import zlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog
from msgspec.structs import replace

from s3ish.errors import NoSuchBucket, S3Error
from s3ish.index.protocol import Conflict, Damaged
from s3ish.jobs.runner import Step
from s3ish.model import Attributes, Bucket
from s3ish.objects import inventory
from s3ish.objects.inventory import KEPT_AS, List
from s3ish.objects.store import Store, translated
from s3ish.tables import keys
from s3ish.tables.catalogue import BUCKETS, VERSIONS
from s3ish.tables.state import INVENTORY, InventoryProgress, Kept, ListedFile

log = structlog.get_logger()

FILE_ROWS = 50_000
"""So many rows stand in a file."""
_ROWS_A_STEP = 200
_BUCKETS_A_STEP = 200
_RESTS = 4
"""So many times as long as a step took, requests have the machine before the next one."""
_LONGEST_PAUSE_SECONDS = 60.0
_MOST_ROWS = 10_000

Put = Callable[[Bucket, str, bytes, Attributes], Awaitable[None]]
"""Stores an object of the server's own: its bucket, key, bytes and attributes."""


class InventoryJob:
    """Makes lists of objects.

    Args:
        store: the engines.
        lists_of: returns the lists that a bucket asks for.
        put: stores their files. Raises S3Error.
    """

    name = "inventory"

    def __init__(self, store: Store, lists_of: Callable[[Bucket], Sequence[List]], put: Put) -> None:
        self._store, self._lists_of, self._put = store, lists_of, put
        self._making: _Making | None = None
        self._start = b""
        self._failed: set[tuple[str, str, int]] = set()
        day_seconds = store.clock.service.day_ns / 1e9
        self._rest = Step(more=False, pause_seconds=min(_LONGEST_PAUSE_SECONDS, day_seconds / 10))

    async def step(self) -> Step:
        """Look at the next rows of a list, or at the next buckets for one that is due."""
        began = self._store.clock.monotonic()
        making = self._making
        if making is None:
            if await self._look():
                return self._rest
        else:
            try:
                if await making.go_on():
                    self._making = None
            except (S3Error, Conflict) as error:
                self._making = None
                self._failed.add(making.place)
                log.warning("list of objects not made", bucket=making.place[0], list=making.place[1], error=str(error))
        return Step(more=True, rest_seconds=_RESTS * (self._store.clock.monotonic() - began))

    async def _look(self) -> bool:
        """Look at the next buckets for a list that is due; return whether these were the last, and none was."""
        rows = await BUCKETS.rows(self._store.index, self._start, keys.END, _BUCKETS_A_STEP)
        for row in rows:
            with suppress(Damaged):
                bucket = self._store.hold(BUCKETS, *row).record
                for wanted in self._lists_of(bucket):
                    if wanted.form == "Parquet" and not inventory.has_parquet():
                        log.warning("a list as Parquet needs the extra s3ish[inventory]", bucket=bucket.name)
                    elif making := await self._due(bucket, wanted):
                        self._making = making
                        return False
            self._start = keys.after(row[0])
        if len(rows) == _BUCKETS_A_STEP:
            return False
        self._start = b""
        self._failed.clear()  # they are tried again
        await self._forget()
        return True

    async def _due(self, bucket: Bucket, wanted: List) -> "_Making | None":
        """Return the making of a list if it is due, or was begun."""
        clock = self._store.clock
        now_ns = clock.service_ns()
        period = wanted.period(now_ns, clock.service.day_ns)
        if (bucket.name, wanted.id, period) in self._failed:
            return None
        row = _row(bucket.name, wanted.id)
        value = await row.value(self._store.index)
        progress = row.read(value)
        form = zlib.crc32(repr((bucket.created_ns, wanted)).encode())
        if progress and progress.period == period and (progress.done or progress.form == form):
            return None if progress.done else _Making(self._store, self._put, bucket, wanted, progress, value)
        fresh = InventoryProgress(period, now_ns, form, clock.token())
        begun = row.put(fresh)
        try:  # before a file is stored: a restart must know under which name
            await self._store.index.commit([begun], [row.expect(value)])
        except Conflict:
            return None
        return _Making(self._store, self._put, bucket, wanted, fresh, begun.value)

    async def _forget(self) -> None:
        """Forget how far lists were that nothing asks for any more."""
        for name, _ in await INVENTORY.family(self._store.index, _MOST_ROWS):
            bucket, _, number = name.decode(errors="replace").partition("/")
            held = await self._store.find_bucket(bucket)
            if not held or all(wanted.id != number for wanted in self._lists_of(held.record)):
                await self._store.index.commit([INVENTORY.of(name).drop()])


class _Making:
    """A list that is being made.

    ``place`` says which one: bucket, id and period.
    """

    def __init__(
        self, store: Store, put: Put, bucket: Bucket, wanted: List, progress: InventoryProgress, value: bytes | None
    ) -> None:
        self._store, self._put, self._bucket, self._wanted = store, put, bucket, wanted
        self._progress, self._value = progress, value
        self.place = bucket.name, wanted.id, progress.period
        self._first, self._stop = keys.prefix_range(keys.object_key(bucket.name, wanted.prefix))
        self._row, self._key = progress.row, ""
        if progress.row:
            self._key = VERSIONS.split(progress.row)[1]
        self._file = _file(wanted)

    async def go_on(self) -> bool:
        """Look at the next rows; return whether the list is complete. Raises S3Error, Conflict."""
        start = keys.after(self._row) if self._row else self._first
        rows = await VERSIONS.rows(self._store.index, start, self._stop, _ROWS_A_STEP)
        found: list[list[Any]] = []
        for row in rows:
            self._row = row[0]
            with suppress(Damaged):
                (version,) = self._store.decode_rows(VERSIONS, [row])
                latest, self._key = version.key != self._key, version.key
                if self._wanted.all_versions or (latest and not version.marker):
                    found.append(self._wanted.row(version, latest=latest))
        self._file.add(found)
        is_last = len(rows) < _ROWS_A_STEP
        if self._file.rows >= FILE_ROWS or is_last:
            await self._end_file(is_last=is_last)
        return is_last

    async def _end_file(self, *, is_last: bool) -> None:
        """Store the file, and after the last one the manifest; then note it."""
        with translated():  # a damaged row of it is the failure of this list
            target = (await self._store.bucket(self._wanted.target)).record
        if target.owner.id != self._bucket.owner.id:
            raise NoSuchBucket(BucketName=self._wanted.target)
        files = self._progress.files
        folder = self._wanted.folder(self._bucket.name)
        if self._file.rows or not files:
            data = await self._store.offload.run(self._file.end)
            name = f"{self._progress.token}-{len(files)}.{KEPT_AS[self._wanted.form]}"
            file = ListedFile(f"{folder}/data/{name}", len(data), inventory.md5_of(data))
            await self._store_file(target, file.key, data, "application/octet-stream")
            files = (*files, file)
        if is_last:
            await self._end_list(target, folder, files)
        self._file = _file(self._wanted)
        self._progress = replace(self._progress, row=self._row, files=() if is_last else files, done=is_last)
        row = _row(self._bucket.name, self._wanted.id)
        change = row.put(self._progress)
        await self._store.index.commit([change], [row.expect(self._value)])
        self._value = change.value

    async def _end_list(self, target: Bucket, folder: str, files: Sequence[ListedFile]) -> None:
        began_ns = self._progress.began_ns
        at = datetime.fromtimestamp(began_ns // 10**9, UTC)
        text = inventory.manifest(self._wanted, self._bucket.name, began_ns, files)
        links = "".join(f"s3://{target.name}/{file.key}\n" for file in files)
        for name, data, kind in (
            (f"{at:%Y-%m-%dT%H-%MZ}/manifest.json", text, "application/json"),
            (f"{at:%Y-%m-%dT%H-%MZ}/manifest.checksum", inventory.md5_of(text).encode(), "text/plain"),
            (f"hive/dt={at:%Y-%m-%d-%H-%M}/symlink.txt", links.encode(), "text/plain"),
        ):
            await self._store_file(target, f"{folder}/{name}", data, kind)
        log.info("list of objects made", bucket=self._bucket.name, list=self._wanted.id, files=len(files))

    async def _store_file(self, target: Bucket, key: str, data: bytes, kind: str) -> None:
        attributes = Attributes(headers={"content-type": kind}, encryption=self._wanted.encryption)
        await self._put(target, key, data, attributes)


def _file(wanted: List) -> "_CsvFile | _ParquetFile":
    return _CsvFile() if wanted.form == "CSV" else _ParquetFile(wanted.columns)


class _CsvFile:
    """A file that is being filled, packed by gzip; ``rows`` is how many rows it has."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(wbits=31)
        self._pieces: list[bytes] = []
        self.rows = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows."""
        self.rows += len(rows)
        self._pieces.append(self._packer.compress(inventory.csv_lines(rows)))

    def end(self) -> bytes:
        """Return the whole file."""
        return b"".join([*self._pieces, self._packer.flush()])


class _ParquetFile:
    """A file that is being filled; ``rows`` is how many rows it has."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._held: list[Sequence[Any]] = []

    @property
    def rows(self) -> int:
        return len(self._held)

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows."""
        self._held += rows

    def end(self) -> bytes:
        """Return the whole file."""
        return inventory.parquet(self._columns, self._held)


def _row(bucket: str, number: str) -> Kept[InventoryProgress]:
    return INVENTORY.of(f"{bucket}/{number}".encode())
