"""The lifespan of an application, as ASGI tells it: what is open while it serves."""

import traceback
from contextlib import AbstractAsyncContextManager
from typing import Any


async def live(
    context: AbstractAsyncContextManager[None], receive: Any, send: Any, understood: tuple[type[Exception], ...] = ()
) -> None:
    """Enter a context when the server starts, and leave it when the server has stopped.

    A failure is told to the server: one that is ``understood`` by its text alone, any other with its traceback, and
    raised.

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
        await send({"type": f"lifespan.{stage}.failed", "message": str(error)})
        return
    except BaseException:
        await send({"type": f"lifespan.{stage}.failed", "message": traceback.format_exc()})
        raise
    await send({"type": "lifespan.shutdown.complete"})
