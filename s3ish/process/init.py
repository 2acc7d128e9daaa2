"""Running the scripts of a start against a store on volumes: by a worker of its own, before the workers for all."""

import asyncio
import os
import signal
from threading import Event

import structlog
from msgspec.structs import replace

from s3ish.clock import Clock
from s3ish.config import Settings
from s3ish.process.hooks import HookFailed, find_hooks, private_socket, run_hooks
from s3ish.process.serve import Create, Factory, Served, configure
from s3ish.process.worker import Worker

log = structlog.get_logger()

_LOOK_SECONDS = 0.02


def initialize(settings: Settings, clock: Clock, create: Create, served: Served) -> None:
    """Run the scripts that there are; each can use the store, and nothing else can.

    Args:
        settings: all settings.
        clock: tells whether the worker answers.
        create: makes its application.
        served: what it serves.

    Raises:
        HookFailed: one has not ended well, or the store cannot be served.
    """
    hooks = find_hooks(settings)
    if not hooks:
        return
    alone = replace(settings, server=replace(settings.server, workers=1))
    with private_socket() as private:
        worker = Worker(configure(alone, Factory(create, alone, served, _leave)), [private], clock, served.disown)
        worker.start()
        try:
            while not worker.ready:
                if not worker.is_alive():
                    raise HookFailed(
                        "the scripts of the start cannot be run: the server cannot begin; the log says why"
                    )
                Event().wait(_LOOK_SECONDS)
            asyncio.run(run_hooks(hooks, settings, private))
        finally:
            worker.terminate()
            worker.join()
            worker.hang_up()


def _leave() -> None:
    """End the worker: the index cannot be used. The scripts fail then, and with them the start."""
    os.kill(os.getpid(), signal.SIGTERM)
