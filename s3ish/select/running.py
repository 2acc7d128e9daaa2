"""Queries as child processes, of which few run at once: what they are given, what they give, and their end."""

import asyncio
import asyncio.subprocess as processes
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from s3ish import errors
from s3ish.clock import Clock
from s3ish.errors import Busy, ExternalEvalException, InternalError, S3Error
from s3ish.select import frames
from s3ish.select.request import Task

log = structlog.get_logger()

PATIENCE_SECONDS = 5.0
"""How long the client of a query that gives nothing waits for a sign of life."""


class Bytes(Protocol):
    """Bytes on their way."""

    def __aiter__(self) -> AsyncIterator[Any]:
        """Yield them in order."""

    async def aclose(self) -> None:
        """Release what is held; idempotent."""


Open = Callable[[int, int], Awaitable[Bytes]]
"""Opens bytes of the object, from one place to another."""


class Records(NamedTuple):
    """Records of the answer."""

    data: bytes


class Counts(NamedTuple):
    """How many bytes were read, what they became unpacked, and how many the answer has; ``ended`` at its end."""

    scanned: int
    processed: int
    returned: int
    ended: bool = False


class Failure(NamedTuple):
    """The query failed: nothing follows."""

    error: S3Error


Outcome = Records | Counts | Failure


def is_built() -> bool:
    """Whether what queries need is installed."""
    return find_spec("duckdb") is not None and find_spec("fsspec") is not None


class Selects:
    """The queries of a process.

    Args:
        clock: the door to time.
        memory_mib: how much memory the engine of a query may use.
        seconds: how long a query may work.
        at_once: how many may run; others wait for as long as one may work.
    """

    def __init__(self, clock: Clock, memory_mib: int = 256, seconds: float = 60, at_once: int = 2) -> None:
        self.memory_mib, self.seconds = memory_mib, seconds
        self._clock = clock
        self._slots = asyncio.Semaphore(at_once)

    async def begin(self, task: Task, start: int, opened: Open) -> "Running":
        """Begin a query on the bytes of an object from ``start`` on. Raises Busy, and what opening them raises."""
        try:
            async with asyncio.timeout(self.seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise Busy from None
        flow: Bytes | None = None
        try:
            if task.csv or task.json:
                flow = await opened(start, task.size)
            process = await _start()
        except BaseException:
            self._slots.release()
            if flow:
                await flow.aclose()
            raise
        return Running(process, task, flow, opened, self._clock, self._slots.release)


async def _start() -> processes.Process:
    """Start a process that knows nothing of this one but where its code is. Raises Busy if the machine has no room."""
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TZ": "UTC", "PYTHONUTF8": "1"}
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-B",
            "-m",
            "s3ish.select.engine",
            stdin=processes.PIPE,
            stdout=processes.PIPE,
            stderr=processes.DEVNULL,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise Busy from error


class Running:
    """A query that runs. It must be closed."""

    def __init__(
        self,
        process: processes.Process,
        task: Task,
        flow: Bytes | None,
        opened: Open,
        clock: Clock,
        release: Callable[[], None],
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._input, self._output = process, process.stdin, process.stdout
        self._task, self._flow, self._open, self._clock, self._release = task, flow, opened, clock, release
        self._left = task.seconds
        self._error: S3Error | None = None
        self._feeding = asyncio.ensure_future(self._feed())
        self._coming: asyncio.Future[Outcome] | None = None
        self._closed = False

    async def next(self) -> Outcome | None:
        """Return what comes next; None if there was nothing for some time, and the query goes on."""
        began = self._clock.monotonic()
        self._coming = self._coming or asyncio.ensure_future(self._take())
        patience = min(PATIENCE_SECONDS, max(self._left, 0.001))
        done, _ = await asyncio.wait([self._coming], timeout=patience)
        self._left -= self._clock.monotonic() - began
        if done:
            coming, self._coming = self._coming, None
            return coming.result()
        if self._left > 0:
            return None
        self._kill()
        return Failure(
            ExternalEvalException(f"{ExternalEvalException.text} It takes longer than {self._task.seconds:g} seconds.")
        )

    async def aclose(self) -> None:
        """End the process; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._kill()
        tasks: list[asyncio.Future[Any]] = [self._feeding, *([self._coming] if self._coming else [])]
        for task in tasks:
            task.cancel()
        try:
            await asyncio.wait(tasks)
            with suppress(OSError):
                self._input.close()
            while await self._output.read(frames.MOST_BYTES):
                pass  # what is not taken: its end has the pipe closed, without which the process is waited for forever
            await self._process.wait()
        finally:
            self._release()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _take(self) -> Outcome:
        """Return the next frame that is not for the server itself."""
        while True:
            try:
                kind, length = frames.HEADER.unpack(await self._output.readexactly(frames.HEADER.size))
                if length > frames.MOST_BYTES:
                    raise ValueError
                payload = await self._output.readexactly(length)
                if kind == frames.RANGE:
                    await self._send_range(*frames.SPAN.unpack(payload))
                    continue
                return self._outcome(kind, payload)
            except (asyncio.IncompleteReadError, ValueError, ConnectionError):
                return Failure(await self._why())

    def _outcome(self, kind: bytes, payload: bytes) -> Outcome:
        if kind == frames.RECORDS:
            return Records(payload)
        if kind == frames.ERROR:
            return Failure(self._error or _read_error(payload))
        if self._error:
            return Failure(self._error)
        scanned, processed, returned = frames.COUNTS.unpack(payload)
        return Counts(scanned, processed, returned, ended=kind == frames.END)

    async def _why(self) -> S3Error:
        """Return why a process ended without a word."""
        self._kill()
        code = await self._process.wait()
        if self._error:
            return self._error
        log.warning("the process of a query ended", exit_code=code)
        return ExternalEvalException(f"{ExternalEvalException.text} It takes too much memory or time.")

    async def _feed(self) -> None:
        """Give the process its task and the object."""
        task, flow = self._task, self._flow
        text = msgspec.json.encode(task)
        try:
            self._input.write(frames.LENGTH.pack(len(text)) + text)
            await self._input.drain()
            if task.head:
                await self._send_range(0, task.head)
            if flow:
                await self._send(flow)
                self._input.close()
        except ConnectionError:
            pass  # it has read enough, or ended
        finally:
            if flow:
                await flow.aclose()

    async def _send_range(self, start: int, length: int) -> None:
        """Send bytes of the object from a place on."""
        try:
            if not 0 <= start <= start + length <= self._task.size:
                raise InternalError
            flow = await self._open(start, start + length)
        except Exception as error:  # noqa: BLE001 - the query ends after any error, and the client gets an error
            self._give_up(error)
            return
        try:
            await self._send(flow)
        finally:
            await flow.aclose()

    async def _send(self, flow: Bytes) -> None:
        """Send bytes of the object. One that cannot be read ends the query. Raises ConnectionError."""
        try:
            async for piece in flow:
                self._input.write(piece)
                await self._input.drain()
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - the query ends after any error, and the client gets an error
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        log.error("object not read for a query", cause=f"{type(error).__name__}: {error}")
        self._error = error if isinstance(error, S3Error) else InternalError()
        self._kill()


def _read_error(payload: bytes) -> S3Error:
    code, _, text = payload.decode("utf-8", "replace").partition("\0")
    kind = getattr(errors, code, None)
    if isinstance(kind, type) and issubclass(kind, S3Error):
        return kind(text)
    return InternalError()
