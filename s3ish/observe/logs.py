"""Structured logs: how structlog is set up, and the one line of every request.

Values are clipped and stripped of control characters, so that one event is one line whatever a key is called. Secrets
never come here.
"""

import logging
import sys
from collections.abc import MutableMapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Literal

import msgspec
import structlog

from s3ish.clock import Clock

_MAX_VALUE = 1024

_encoder = msgspec.json.Encoder(enc_hook=str)


class RequestLine(msgspec.Struct):
    """What the log tells of one request: ``received`` and ``sent`` are body bytes, ``seconds`` its duration."""

    operation: str
    bucket: str
    status: int
    received: int
    sent: int
    seconds: float
    user: str
    request_id: str
    event: Literal["request"] = "request"
    level: Literal["info"] = "info"
    timestamp: datetime | None = None


class RequestLog:
    """Writes the lines of requests, many at once: as JSON past structlog, which costs ten times as much.

    Args:
        stream: takes the JSON; without it the lines go through structlog, as all others do.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream
        self._clock = Clock()
        self._log = structlog.get_logger().bind()  # bound once: the lazy proxy costs microseconds a call

    def write(self, lines: Sequence[RequestLine]) -> None:
        """Write lines, in order, with the time."""
        if self._stream:
            now = self._clock.now()
            for line in lines:
                line.timestamp = now
            self._stream.write(_encoder.encode_lines(lines))
            self._stream.flush()
            return
        for line in lines:
            fields = msgspec.structs.asdict(line)
            for name in ("event", "level", "timestamp"):
                del fields[name]
            self._log.info("request", **fields)


def set_up_logs(level: str, form: Literal["auto", "json", "console"]) -> RequestLog:
    """Configure structlog for this process, and send what libraries log through it. Return where requests go."""
    number = logging.getLevelNamesMapping()[level.upper()]
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    renderer: Any = _as_json if as_json else structlog.dev.ConsoleRenderer()
    factory: Any = (
        structlog.BytesLoggerFactory(sys.stderr.buffer) if as_json else structlog.PrintLoggerFactory(sys.stderr)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _clean,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)
    return RequestLog(sys.stderr.buffer if as_json and number <= logging.INFO else None)


def _clean(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Clip texts and escape what could break a line or a terminal."""
    for name, value in event.items():
        if isinstance(value, str) and (len(value) > _MAX_VALUE or not value.isprintable()):
            clipped = value[: _MAX_VALUE * 8] if name == "exception" else value[:_MAX_VALUE]
            event[name] = "".join(
                character
                if character.isprintable() or (name == "exception" and character == "\n")
                else character.encode("unicode_escape").decode()
                for character in clipped
            )
    return event


def _as_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
    return _encoder.encode(event)


class _Forward(logging.Handler):
    """Sends records of the standard library's logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )
