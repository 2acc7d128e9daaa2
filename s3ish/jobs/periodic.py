"""A job that does one thing again and again."""

from collections.abc import Awaitable, Callable

from s3ish.jobs.runner import Step


class Periodic:
    """Calls a function every so often.

    Args:
        name: of the job.
        work: what it does; short, or stopping waits for it.
        pause_seconds: how long it waits in between.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], pause_seconds: float) -> None:
        self.name = name
        self._work, self._pause_seconds = work, pause_seconds

    async def step(self) -> Step:
        """Do it once."""
        await self._work()
        return Step(more=False, pause_seconds=self._pause_seconds)
