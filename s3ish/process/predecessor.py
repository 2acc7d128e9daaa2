"""The server before this one: killed, it is gone at once, while its workers let their requests end.

Service managers start the next one in the same moment.
"""

from functools import partial
from threading import Event

import structlog

from s3ish.blob.volumes.locks import is_left_to_workers
from s3ish.clock import Clock
from s3ish.config import Settings
from s3ish.observe.logs import set_up_logs
from s3ish.threads import each_within

log = structlog.get_logger()

_LOOK_SECONDS = 0.1

_END_SECONDS = 2
"""How long a worker may take to end after its requests."""


def await_end(settings: Settings, clock: Clock) -> None:
    """Wait until the workers of a server that was killed have ended, or should have: they hold its port and volumes.

    A server that lives is not waited for.
    """
    if not (left := _left(settings)):
        return
    set_up_logs(settings.log.level, settings.log.format, clock)
    seconds = settings.server.shutdown_seconds + _END_SECONDS
    log.warning("waits for the workers of a server that was killed", volumes=left, at_most_seconds=seconds)
    deadline = clock.monotonic() + seconds
    while _left(settings) and clock.monotonic() < deadline:
        Event().wait(_LOOK_SECONDS)


def _left(settings: Settings) -> list[str]:
    roots = settings.storage.volumes
    looks = [partial(is_left_to_workers, root) for root in roots]
    found = each_within(settings.storage.drive_timeout_seconds if len(roots) > 1 else None, looks)
    return [root for root, is_left in zip(roots, found, strict=True) if is_left is True]
