"""Structured logs: how structlog is set up, and where the lines of requests go.

Values are clipped and stripped of control characters, so that one event is one line for any key. Secrets
never come here.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, MutableMapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
import structlog

from s3ish.clock import Clock
from s3ish.observe.console import Console, shows_colours
from s3ish.observe.lines import MAX_CHARACTERS, RequestLine, printable
from s3ish.observe.log_stream import LogStream

_MAX_ITEMS = 100
"""The longest list of a line."""

_encoder = msgspec.json.Encoder(enc_hook=str)


class RequestLog:
    """Writes the lines of requests, many at once, past structlog, which costs ten times as much.

    Args:
        output: where they go, and what returns the bytes of lines; None if none are wanted.
    """

    def __init__(self, output: tuple[LogStream, Callable[[Sequence[RequestLine]], bytes]] | None = None) -> None:
        self._output = output

    def write(self, lines: Sequence[RequestLine]) -> None:
        """Write lines, in order."""
        if self._output:
            stream, render = self._output
            stream.write(render(lines))
            stream.flush()


def set_up_logs(level: str, form: Literal["auto", "json", "console"], clock: Clock) -> RequestLog:
    """Configure structlog for this process, and send what libraries log through it. Return where requests go.

    Args:
        clock: by which lines of requests say when they were written.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    console = Console(coloured=shows_colours())
    renderer: Any = _as_json if as_json else console.event
    stream = LogStream(sys.stderr.buffer)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _clean,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: stream,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)
    if number > logging.INFO:
        return RequestLog()
    render = _requests_as_json if as_json else console.requests
    return RequestLog((stream, lambda lines: render(lines, clock.now())))


def _requests_as_json(lines: Sequence[RequestLine], now: datetime) -> bytes:
    for line in lines:
        line.event, line.level, line.timestamp = "request", "info", now
        line.key = printable(line.key)
        if line.path or line.reason:  # most have neither
            line.path, line.reason = printable(line.path), printable(line.reason)
    return _encoder.encode_lines(lines)


def _clean(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Clip texts and escape what could break a line or a terminal."""
    for name, value in event.items():
        if isinstance(value, str):
            is_trace = name == "exception"
            event[name] = printable(value, MAX_CHARACTERS * (8 if is_trace else 1), lines=is_trace)
        elif isinstance(value, list | tuple):
            event[name] = [printable(str(item)) for item in value[:_MAX_ITEMS]]
    return event


def _as_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
    return _encoder.encode(event)


class _Forward(logging.Handler):
    """Sends records of the standard library's logging to structlog, those of the HTTP server in words of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        if not record.name.startswith("uvicorn"):
            log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
        elif record.exc_info:
            if not isinstance(record.exc_info[1], asyncio.CancelledError):  # of a request that was given up
                log.error("unhandled", exc_info=record.exc_info)
        elif record.msg.startswith("Cancel "):
            log.warning("requests did not end in time and are given up")
        elif record.levelno >= logging.ERROR and record.module != "on":  # a failure of the lifespan is already logged
            log.error("a fault of the HTTP server", cause=record.getMessage())
