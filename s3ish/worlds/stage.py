"""A store of a stack for tests, what answers for it, and its jobs; worlds have one each."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from s3ish.answering import make_s3
from s3ish.api.inventory import lister, lists_of
from s3ish.api.lifecycle import rules_of
from s3ish.auth.credentials import User
from s3ish.clock import Clock
from s3ish.config import Settings
from s3ish.identity.registry import Registry
from s3ish.identity.secrets import Secrets
from s3ish.integrity.garbage import GarbageJob, RemovalJob
from s3ish.integrity.unresolved import UnresolvedJob
from s3ish.jobs.inventory import InventoryJob
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.periodic import Periodic
from s3ish.jobs.restores import RestoresJob
from s3ish.jobs.runner import Job, Runner
from s3ish.notifications import Notifications
from s3ish.objects.consequences import Consequences
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer
from s3ish.replication import REPLICATION, Replicas
from s3ish.server.access_log import AccessLog
from s3ish.server.pipeline import S3Application
from s3ish.server.planned_faults import PlannedFaults
from s3ish.server.router import Router


class Cast(NamedTuple):
    """What a world has on each of its stages."""

    settings: Settings
    router: Router
    observer: Observer
    users: Sequence[User]
    notifications: Notifications
    replicas: Replicas
    faults: PlannedFaults

    @property
    def consequences(self) -> Consequences:
        """What follows from changes of versions."""
        return self.notifications.consequences(REPLICATION.rows, is_replicated=REPLICATION.is_wanted)

    async def close(self) -> None:
        """End what it has open."""
        await self.notifications.close()
        self.replicas.close()


def make_cast(
    settings: Settings, router: Router, observer: Observer, users: Sequence[User], clock: Clock, faults: PlannedFaults
) -> Cast:
    """Return what a world of some users has on its stages."""
    notifications, replicas = Notifications(settings.notifications, clock), Replicas(settings.replication, clock)
    return Cast(settings, router, observer, users, notifications, replicas, faults)


class Stage:
    """See the module."""

    def __init__(self, cast: Cast, store: Store) -> None:
        self.store = store
        self._access_log = AccessLog(store, cast.settings.jobs.access_log_seconds)
        self.registry = Registry(store, cast.users, Secrets(store.keyring))
        self.s3: S3Application = make_s3(
            cast.settings,
            store,
            self.registry,
            cast.router,
            cast.observer,
            cast.notifications.targets,
            by_machine_time=True,
            access_log=self._access_log,
            faults=cast.faults,
        )
        ageing = LifecycleJob(store, rules_of), InventoryJob(store, lists_of, lister(store))
        delivery = Periodic("access-logs", self._access_log.deliver, self._access_log.pause_seconds)
        jobs = [*cast.notifications.jobs(store, cast.observer), *cast.replicas.jobs(store, cast.observer)]
        own: list[Job] = [RemovalJob(store), UnresolvedJob(store)]
        self._runner = Runner(store, [GarbageJob(store), *ageing, delivery, *jobs], own=own)
        self._requests, self._is_left = 0, False
        self._runner.start()

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way."""
        return self._requests > 0

    @contextlib.contextmanager
    def request(self) -> Iterator[S3Application]:
        """Lend what answers, to a request."""
        self._requests += 1
        try:
            yield self.s3
        finally:
            self._requests -= 1
            if self._is_left and not self._requests:
                self.clear()

    async def age(self) -> None:
        """Carry out the lifecycle rules, make the lists of objects that are due, report restores, and deliver the
        access logs, now."""
        await self._runner.finish(LifecycleJob.name, InventoryJob.name, RestoresJob.name)
        await self._access_log.deliver(all_of_it=True)

    async def leave(self) -> None:
        """End its jobs; it is cleared when the last request has ended."""
        self._is_left = True
        await self._runner.stop()
        if not self._requests:
            self.clear()

    def clear(self) -> None:
        """No request comes any more: let go of what the store holds."""
