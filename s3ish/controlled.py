"""A server on drives that tests control: its clock, the faults that requests meet, what it was asked, and its drives.

Its data stays: there are no resets, snapshots and worlds of keys, which a server in memory has.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from s3ish.api.lifecycle import rules_of
from s3ish.clock import Clock
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.runner import run_once
from s3ish.objects.store import Store
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
        self._store: Store | None = None

    def begin(self, store: Store, storage: StorageFaults) -> None:
        """Control a store."""
        self._store, self.storage = store, storage

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
        """Carry out the lifecycle rules now."""
        if self._store:
            await run_once(LifecycleJob(self._store, rules_of))

    def _refuse(self) -> NoReturn:
        raise ValueError(_KEPT)
