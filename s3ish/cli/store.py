"""What the commands of the shell ask of a store, while a server runs or not."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from s3ish.app import jobs
from s3ish.blob.erasure.evidence import positions_of
from s3ish.blob.protocol import InUse
from s3ish.blob.volumes.open_set import open_volumes as open_set
from s3ish.blob.volumes.probe import SILENT, probe
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.clock import Clock
from s3ish.config import Settings
from s3ish.engines import open_volumes
from s3ish.index.protocol import IndexFailure, IndexPlace
from s3ish.integrity.blind_spots import BlindSpots, read_blind_spots
from s3ish.integrity.check import Check
from s3ish.integrity.inspect import Finding
from s3ish.integrity.named_blobs import count_rows
from s3ish.integrity.scrub import note_look
from s3ish.integrity.startup import are_counted
from s3ish.jobs.runner import run_once
from s3ish.objects.settling import settle_all
from s3ish.observe.logs import set_up_logs
from s3ish.process.index_place import find_index, opened, set_of_index
from s3ish.process.start import make_whole
from s3ish.tables.catalogue import TABLES
from s3ish.tables.state import SCRUB, UNCLEAN, ScrubProgress


class VolumeState(NamedTuple):
    """A volume of the set: its place, where it is, how it is, its free bytes if they are known."""

    position: int
    root: str
    state: str
    free_bytes: int | None


class Survey(NamedTuple):
    """The state of every volume of a set, those out of reach included, and what the index knows.

    ``progress`` and ``gaps`` are None if the index cannot be read. ``reasons`` say why volumes are out of reach.
    """

    volumes: list[VolumeState]
    progress: ScrubProgress | None
    gaps: BlindSpots | None
    reasons: tuple[str, ...] = ()


def survey(settings: Settings, clock: Clock) -> Survey:
    """Ask all volumes, and the index.

    Raises:
        VolumeError: no volume can be opened, or they do not belong together.
    """
    roots = settings.storage.volumes
    patience = settings.storage.drive_timeout_seconds
    found = dict(zip(roots, probe(roots, patience), strict=True))
    silent = [root for root, state in found.items() if state == SILENT]
    volumes = open_set(
        roots,
        clock=clock,
        create=False,
        missing=len(roots) - 1,
        patience_seconds=patience,
        silent=silent,
        evidence=positions_of,
    )
    try:
        present = {it.position: (it.root, found[it.root], it.free_bytes()) for it in volumes.present}
        lost = iter([root for root in roots if root not in {root for root, _, _ in present.values()}])
        states = [
            VolumeState(position, *(present.get(position) or _lost(next(lost), silent)))
            for position in range(len(roots))
        ]
        progress, gaps = _known(settings, volumes)
        return Survey(states, progress, gaps, volumes.reasons)
    finally:
        volumes.close()


def _lost(root: str, silent: Sequence[str]) -> tuple[str, str, None]:
    return root, SILENT if root in silent else "out of reach", None


def _known(settings: Settings, volumes: Volumes) -> tuple[ScrubProgress, BlindSpots] | tuple[None, None]:
    """Return what scrub and checks know, and the gaps of the index; None if that cannot be read."""

    async def read() -> tuple[ScrubProgress, BlindSpots]:
        index = place.open(TABLES.layouts, durable=settings.storage.fsync)
        try:
            return SCRUB.read(await SCRUB.value(index)) or ScrubProgress(), await read_blind_spots(index)
        finally:
            await index.close()

    try:
        place = find_index(settings, volumes)
        return (None, None) if place.is_blank() else asyncio.run(read())
    except (IndexFailure, OSError):
        return None, None


class StoreCheck:
    """A check of a whole store from the shell, while a server runs or not.

    Args:
        repair: write anew what is damaged.
        report: told every finding.
        begin: told how many rows there are.
        advance: told after every row.

    Raises:
        VolumeError, IndexFailure: the store cannot be opened.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        repair: bool,
        report: Callable[[Finding], None],
        begin: Callable[[int], None],
        advance: Callable[[], None],
    ) -> None:
        self._settings, self._clock, self._repair = settings, clock, repair
        self._report, self._begin, self._advance = report, begin, advance

    def run(self) -> Check:
        """Check everything; return the check, with its counts."""
        clock = self._clock
        set_up_logs(self._settings.log.level, self._settings.log.format, clock)
        volumes = open_volumes(
            self._settings, clock, create=self._repair, restore=self._repair, known_set=set_of_index(self._settings)
        )
        for reason in volumes.reasons:
            self._report(Finding("a volume is out of reach", (reason,), "damaged"))
        for root in volumes.restored:
            self._report(Finding(root, ("what says which volume it is",), "repaired"))
        running = False
        try:
            volumes.lock_server()
        except InUse:
            running = True
        index = find_index(self._settings, volumes)
        if self._repair and not running:
            make_whole(self._settings, clock, volumes, index)
        return asyncio.run(self._check(volumes, index, clock, running))

    async def _check(self, volumes: Volumes, index: IndexPlace, clock: Clock, running: bool) -> Check:
        async with opened(self._settings, volumes, index, clock) as store:
            began_ns = before_ns = clock.now_ns()
            started = await UNCLEAN.value(store.index)
            if running and started:  # what came since may be about to be committed
                before_ns = int(started)
            if self._repair and not running:
                await settle_all(store, lambda *_: True)
            check = Check(store, repair=self._repair, before_ns=before_ns)
            self._begin(await count_rows(store))
            async for findings in check.rows():
                for finding in findings:
                    self._report(finding)
                self._advance()
            if running or await are_counted(store.index):  # else the next start counts
                for finding in await check.counters():
                    self._report(finding)
            async for finding in check.orphans():
                self._report(finding)
            with contextlib.suppress(IndexFailure):  # it is a report, which is given in any case
                await note_look(store, check.lacking, began_ns)
            return check


def run_job(settings: Settings, clock: Clock, name: str) -> int:
    """Run one job of ``app.jobs`` from the shell until it has nothing more to do; return its steps."""
    set_up_logs(settings.log.level, settings.log.format, clock)

    async def run() -> int:
        volumes = open_volumes(settings, clock, create=False)
        async with opened(settings, volumes, find_index(settings, volumes), clock) as store:
            return await run_once(next(job for job in jobs(store) if job.name == name))

    return asyncio.run(run())
