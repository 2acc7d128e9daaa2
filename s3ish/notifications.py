"""Notifications put together: the targets of settings become a source of consequences and the jobs that deliver."""

from collections.abc import Callable, Sequence

from s3ish.api.events import Events
from s3ish.clock import Clock
from s3ish.config import NotificationsSettings, TargetSettings
from s3ish.jobs.deliver import DeliveryJob
from s3ish.jobs.periodic import Periodic
from s3ish.jobs.restores import RestoresJob
from s3ish.jobs.runner import Job
from s3ish.objects.consequences import Consequences, Source, Wanted
from s3ish.objects.outbox import Targets
from s3ish.objects.queues import Queues
from s3ish.objects.restores import Restores
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer
from s3ish.targets.broker import Broker, read_broker
from s3ish.targets.protocol import Target
from s3ish.threads import ThreadPool

_TEND_SECONDS = 30.0
"""How often queues are looked at that may hold what is too old or too much."""


class Notifications:
    """The targets of one process.

    ``targets`` are their ARNs.
    """

    def __init__(self, settings: NotificationsSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self.targets = Targets(target.arn for target in settings.targets)
        self._events, self._restores = Events(clock, self.targets), Restores(clock)
        self._open: dict[str, Target] = {}

    def consequences(self, *sources: Source, is_replicated: Wanted) -> Consequences:
        """Return what follows from changes of versions: events, and what other sources say."""
        events, restores = self._events, self._restores.rows
        return Consequences(events, restores, *sources, is_replicated=is_replicated, tell=events.tell)

    def jobs(self, store: Store, observer: Observer) -> Sequence[Job]:
        """Return the jobs that deliver, one for each target, and those of queues and restores."""
        for settings in self._settings.targets:
            if settings.arn not in self._open:
                self._open[settings.arn] = _open(settings, self._clock, store.offload)
        most = self._settings.backlog_events
        deliveries = [DeliveryJob(store, arn, target, observer, most) for arn, target in self._open.items()]
        return [*deliveries, Periodic("queues", Queues(store, most).tend, _TEND_SECONDS), RestoresJob(store)]

    async def close(self) -> None:
        """End the connections of the targets."""
        for target in self._open.values():
            await target.close()


def _open(settings: TargetSettings, clock: Clock, offload: ThreadPool) -> Target:
    """Return a target; what it needs is loaded now."""
    if settings.kind == "file":
        from s3ish.targets.file import File  # deferred, as the others: most servers have no target

        return File(offload, settings.path)
    if settings.kind != "webhook":
        broker = read_broker(
            settings.url,
            password=settings.password.reveal(),
            ca_file=settings.ca_file,
            timeout_seconds=settings.timeout_seconds,
            link_local=settings.allow_link_local,
        )
        return _broker(settings.kind)(broker, settings.topic)
    from s3ish.targets.webhook import Webhook

    return Webhook(
        clock,
        settings.url,
        secret=settings.secret.reveal(),
        token=settings.token.reveal(),
        timeout_seconds=settings.timeout_seconds,
        link_local=settings.allow_link_local,
        ca_file=settings.ca_file,
    )


def _broker(kind: str) -> Callable[[Broker, str], Target]:
    """Return what makes a target that needs a library."""
    if kind == "redis":
        from s3ish.targets.redis import Redis

        return Redis
    if kind == "kafka":
        from s3ish.targets.kafka import Kafka

        return Kafka
    if kind == "amqp":
        from s3ish.targets.amqp import Amqp

        return Amqp
    if kind == "postgresql":
        from s3ish.targets.postgresql import PostgreSQL

        return PostgreSQL
    if kind == "nats":
        from s3ish.targets.nats import Nats

        return Nats
    from s3ish.targets.mqtt import Mqtt

    return Mqtt
