"""The lifespan of an application, as ASGI tells it: what is open while it serves."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog

log = structlog.get_logger()

_FAILED = {"startup": "the server cannot begin", "shutdown": "the server has not ended well"}


async def live(
    context: AbstractAsyncContextManager[None], receive: Any, send: Any, understood: tuple[type[Exception], ...] = ()
) -> str:
    """Enter a context when the server starts, and leave it when the server has stopped.

    A failure is logged, one that is ``understood`` by its text alone, and told to the server; any other is raised, too.
    Returns the text of the former, "" without one.

    https://asgi.readthedocs.io/en/latest/specs/lifespan.html
    """
    stage = "startup"
    await receive()
    try:
        async with context:
            await send({"type": "lifespan.startup.complete"})
            stage = "shutdown"
            await receive()
    except understood as error:
        log.error(_FAILED[stage], error=str(error))
        await send({"type": f"lifespan.{stage}.failed"})
        return str(error)
    except BaseException:
        log.exception(_FAILED[stage])
        await send({"type": f"lifespan.{stage}.failed"})
        raise
    await send({"type": "lifespan.shutdown.complete"})
    return ""
