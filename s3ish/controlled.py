"""A server on drives that tests control: its clock, the faults that requests meet, what it was asked, and its drives.

Its data stays: there are no resets, snapshots and worlds of keys, which a server in memory has.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from s3ish.clock import Clock
from s3ish.jobs.inventory import InventoryJob
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.runner import Runner
from s3ish.server.access_log import AccessLog
from s3ish.server.planned_faults import PlannedFaults
from s3ish.server.recorder import Recorder
from s3ish.server.storage_faults import StorageFaults

_KEPT = "this server keeps its data on drives: resets, snapshots and worlds are for serve --test"


class Controlled:
    """The one world of such a server; see ``test_controls.World`` and ``test_controls.Worlds``.

    Args:
        clock: of the server.
    """

    names: list[str] = []  # noqa: RUF012 - there never are any
    snapshots: Mapping[str, Any] = {}

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.recorder = Recorder()
        self.faults = PlannedFaults(self.recorder, clock)
        self.storage: StorageFaults | None = None
        self._runner: Runner | None = None
        self._access_log: AccessLog | None = None

    def begin(self, runner: Runner, access_log: AccessLog, storage: StorageFaults) -> None:
        """Control a store: the jobs that age it, its logs and its drives."""
        self._runner, self._access_log, self.storage = runner, access_log, storage

    def end(self) -> None:
        """Let nothing be wrong with the drives, so that no thread waits for one."""
        if self.storage:
            self.storage.clear()

    async def of(self, name: str) -> "Controlled":
        """Return itself. Raises ValueError: a world is named."""
        return self if not name else self._refuse()

    async def remove(self, name: str) -> None:
        """There is none. Raises LookupError."""
        raise LookupError(f"there is no world {name!r}")

    async def reset(self, bucket: str = "", snapshot: str = "") -> None:  # noqa: ARG002 - none of them is
        """Raise ValueError: the data stays."""
        self._refuse()

    def take(self, name: str) -> Any:  # noqa: ARG002 - as above
        """Raise ValueError: there are no snapshots."""
        self._refuse()

    async def restore(self, name: str) -> None:  # noqa: ARG002 - as above
        """Raise ValueError: there are no snapshots."""
        self._refuse()

    async def fork(self, name: str, other: Any) -> None:  # noqa: ARG002 - as above
        """Raise ValueError: there are no snapshots."""
        self._refuse()

    def forget(self, name: str) -> None:
        """There is none. Raises LookupError."""
        raise LookupError(f"there is no snapshot {name!r}")

    async def age(self) -> None:
        """Carry out the lifecycle rules, make the lists of objects that are due, and deliver the access logs, now."""
        if self._runner and self._access_log:
            await self._runner.finish(LifecycleJob.name, InventoryJob.name)
            await self._access_log.deliver(all_of_it=True)

    def _refuse(self) -> NoReturn:
        raise ValueError(_KEPT)
