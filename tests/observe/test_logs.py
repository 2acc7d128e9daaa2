"""What a log line says, for programs and for people, whatever clients call their keys."""

import asyncio
import errno
import io
import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime

import pytest
import structlog

from s3ish.clock import Clock
from s3ish.observe import console
from s3ish.observe.lines import RequestLine, printable
from s3ish.observe.logs import RequestLog, set_up_logs

NOW = datetime(2026, 1, 31, 12, 1, 2, tzinfo=UTC)
HOSTILE = [
    "a\nb",
    "a\rb",
    "\x1b[2J\x1b]0;title\x07",
    "\x7f\x85\x9b31m",
    "\u2028\u2029",
    "\u202egnp.exe",
    "\u200b\ufeff",
    "\ud800",
    "\u3000",
]


def request(**fields):
    told = {"operation": "GetObject", "bucket": "tour", "key": "missing.txt", "status": 404, "error": "NoSuchKey"}
    told |= {"method": "GET", "received": 0, "sent": 200, "seconds": 0.0004, "user": "root", "client": "192.0.2.1"}
    return RequestLine(**(told | {"request_id": "0123"} | fields))


class Stream:
    """Standard error that is a terminal, or not."""

    def __init__(self, *, terminal):
        self.buffer, self._terminal = io.BytesIO(), terminal

    def isatty(self):
        return self._terminal

    def write(self, text):
        self.buffer.write(text.encode())

    def flush(self):
        pass

    @property
    def text(self):
        return self.buffer.getvalue().decode()


@pytest.fixture
def stderr(monkeypatch):
    """A function that sets logs up on a stream of its own; what was set up before is there again afterwards."""
    before, handlers = structlog.get_config(), logging.root.handlers[:]

    def set_up(level="info", form="auto", *, terminal=False, buffer=None, **environment):
        for name in ("NO_COLOR", "TERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stream = Stream(terminal=terminal)
        stream.buffer = stream.buffer if buffer is None else buffer
        monkeypatch.setattr(sys, "stderr", stream)
        return stream, set_up_logs(level, form, Clock())

    yield set_up
    structlog.configure(**before)
    logging.root.handlers[:] = handlers


def shown(**fields):
    return console.Console(coloured=False).requests([request(**fields)], NOW).decode()


def local(text):
    return f"{NOW.astimezone():%H:%M:%S} {text}\n"


def test_a_request_is_one_short_line_for_people():
    assert shown() == local("404 GET tour/missing.txt NoSuchKey 0.4 ms")
    assert shown(status=200, error="", seconds=0.0123) == local("200 GET tour/missing.txt 12 ms")
    assert shown(method="PUT", key="", status=200, error="", seconds=61.04) == local("200 PUT tour/ 61.0 s")
    assert shown(bucket="", key="", status=200, error="", method="HEAD") == local("200 HEAD / 0.4 ms")
    assert shown(bucket="", key="", path="/A/b", status=400, error="InvalidBucketName") == local(
        "400 GET /A/b InvalidBucketName 0.4 ms"
    )


def test_a_request_has_all_its_fields_for_programs(stderr):
    stream, log = stderr()
    log.write([request(), request(bucket="", key="", path="/A/b")])
    first, second = map(json.loads, stream.text.splitlines())
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", first.pop("timestamp"))
    assert first == {
        "event": "request",
        "level": "info",
        "method": "GET",
        "operation": "GetObject",
        "bucket": "tour",
        "key": "missing.txt",
        "status": 404,
        "error": "NoSuchKey",
        "received": 0,
        "sent": 200,
        "seconds": 0.0004,
        "user": "root",
        "client": "192.0.2.1",
        "request_id": "0123",
    }
    assert second["path"] == "/A/b"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("form", ["json", "console"])
def test_what_clients_name_neither_breaks_a_line_nor_moves_a_cursor(stderr, form, text):  # case 142
    stream, log = stderr(form=form)
    log.write([request(key=text + "k" * 9999), request(bucket="", path="/" + text)])
    structlog.get_logger().error("repaired", name=text, problems=[text], count=1)
    logging.getLogger("other").warning(text)
    lines = stream.text.splitlines()
    assert len(lines) == 4
    assert all(line.isprintable() and len(line) < 1500 for line in lines)


@pytest.mark.parametrize(
    ("environment", "terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(stderr, environment, terminal, coloured):
    stream, log = stderr(form="console", terminal=terminal, **environment)
    log.write([request()])
    structlog.get_logger().warning("a worker died", pid=7)
    assert ("\x1b[33m404\x1b[0m" in stream.text) == coloured
    assert ("\x1b[33mwarning\x1b[0m" in stream.text) == coloured
    assert ("\x1b" in stream.text) == coloured
    assert stream.text.endswith(" a worker died pid=7\n")


def test_json_unless_on_a_terminal(stderr):
    for terminal, form, begins in ((False, "auto", "{"), (True, "auto", "\x1b"), (True, "json", "{")):
        stream, log = stderr(form=form, terminal=terminal)
        log.write([request()])
        assert stream.text.startswith(begins)


def test_requests_are_left_out_above_their_level(stderr):
    stream, log = stderr("warning")
    log.write([request()])
    structlog.get_logger().info("stopped")
    structlog.get_logger().warning("kept")
    assert [json.loads(line)["event"] for line in stream.text.splitlines()] == ["kept"]


def test_a_fault_keeps_its_traceback_readable(stderr):
    stream, _ = stderr(form="console")
    try:
        raise ValueError("of \x1b[31m all")
    except ValueError:
        structlog.get_logger().exception("unhandled", request_id="01 23")
    first, *others = stream.text.splitlines()
    assert first.endswith(" error unhandled request_id='01 23'")
    assert others[0] == "Traceback (most recent call last):"
    assert others[-1] == "ValueError: of \\x1b[31m all"


def test_the_lines_of_the_http_server_never_show(stderr):
    stream, _ = stderr()
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.info("Started server process [%d]", 7)
    uvicorn.warning("Invalid HTTP request received.")
    uvicorn.error("Cancel %s running task(s), timeout graceful shutdown exceeded", 3)
    uvicorn.error("Exception in ASGI application\n", exc_info=asyncio.CancelledError())
    uvicorn.error("Exception in ASGI application\n", exc_info=KeyError("k"))
    lines = [json.loads(line) for line in stream.text.splitlines()]
    assert [line["event"] for line in lines] == ["requests did not end in time and are given up", "unhandled"]
    assert lines[1]["exception"].endswith("KeyError: 'k'")
    assert "uvicorn" not in stream.text
    assert "ASGI" not in stream.text


def test_without_a_stream_nothing_is_written(capfd):
    RequestLog().write([request()])
    assert capfd.readouterr() == ("", "")


def test_a_text_is_cut_before_it_is_escaped():
    assert printable("a" * 1024) == "a" * 1024
    assert printable("a" * 1025) == "a" * 1023 + "…"
    assert printable("\n" * 5, 3) == "\\n\\n…"
    assert printable("ü\n\t", lines=True) == "ü\n\\t"


class Narrow(io.RawIOBase):
    """A file on a disk that has so much room."""

    def __init__(self, room):
        self.room, self.text = room, b""

    def write(self, data):
        count = min(self.room, len(data))
        if not count:
            raise OSError(errno.ENOSPC, "no room")
        self.room -= count
        self.text += data[:count]
        return count


def test_lines_that_cannot_be_written_are_lost_and_counted(stderr):  # case 133
    disk = Narrow(25)
    _, log = stderr(form="json", buffer=disk)
    log.write([request(), request()])
    structlog.get_logger().error("lost")
    disk.room = 10_000
    log.write([request(key="whole")])
    torn, line, told = disk.text.split(b"\n")[:3]
    assert len(torn) == 25
    assert json.loads(line)["key"] == "whole"
    assert json.loads(told)["event"] == "lines of the log could not be written"
    assert json.loads(told)["count"] == 3


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_first_line_that_can_be_written_again_may_be_an_event(stderr, form):  # case 133
    """The line about the lost ones is written while that one is: on a thread, as it would hang for ever otherwise."""
    disk = Narrow(0)
    stderr(form=form, buffer=disk)

    def write():
        structlog.get_logger().error("lost")
        disk.room = 10_000
        structlog.get_logger().error("whole")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(10)
    assert not writer.is_alive()
    whole, told = disk.text.decode().splitlines()
    assert "whole" in whole
    assert "lines of the log could not be written" in told


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_stream_that_is_gone_is_no_error(stderr, form):
    gone = io.BytesIO()
    gone.close()
    _, log = stderr(form=form, buffer=gone)
    log.write([request()])
    structlog.get_logger().error("lost")
    logging.getLogger("library").error("lost")
