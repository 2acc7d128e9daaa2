"""Queries on bytes, by the engine of a child process within this one: a test takes milliseconds."""

import os
import threading

import pytest

from s3ish.select import frames
from s3ish.select.engine import Child
from s3ish.select.request import Csv, Json, Task

NOW = "2026-01-02T03:04:05.678000"


class Server:
    """What the server is to a child process: it takes frames, and gives ranges."""

    def __init__(self, data):
        self.data, self.records, self.ending, self.counts = data, b"", None, None
        self.error = ("", "")
        self.frames = 0

    def serve(self, source, target):
        with os.fdopen(source, "rb") as answer:
            while header := answer.read(frames.HEADER.size):
                kind, length = frames.HEADER.unpack(header)
                payload = answer.read(length)
                self.frames += 1
                if kind == frames.RECORDS:
                    assert len(payload) <= 1024 * 1024
                    self.records += payload
                elif kind == frames.RANGE:
                    start, size = frames.SPAN.unpack(payload)
                    os.write(target, self.data[start : start + size])
                elif kind == frames.ERROR:
                    self.error = tuple(payload.decode().split("\0"))
                elif kind == frames.END:
                    self.counts = frames.COUNTS.unpack(payload)


def _feed(target, data):
    try:
        with os.fdopen(target, "wb") as pipe:
            pipe.write(data)
    except BrokenPipeError:
        pass


def ask(expression, data=b"", *, csv=None, json=None, out=None, memory_mib=256, **more):
    """Answer a query; return what the server sees of it."""
    out = out or Csv()
    task = Task(
        expression=expression,
        csv=csv,
        json=json,
        csv_out=out if isinstance(out, Csv) else None,
        json_out=out if isinstance(out, Json) else None,
        size=len(data),
        now=NOW,
        seconds=20,
        memory_mib=memory_mib,
        filler="filler of this test",
        **more,
    )
    server = Server(data)
    source, feed = os.pipe()
    answer, target = os.pipe()
    threads = [threading.Thread(target=server.serve, args=(answer, feed))]
    if csv or json:
        threads.append(threading.Thread(target=_feed, args=(feed, data)))
    for thread in threads:
        thread.start()
    try:
        Child(task, source, target).run()
    finally:
        os.close(target)
        os.close(source)
        for thread in threads:
            thread.join()
        if not (csv or json):
            os.close(feed)
    return server


@pytest.fixture(scope="session")
def run():
    """A function that answers a query on bytes and returns the records; it must not fail."""

    def answer(expression, data=b"", **more):
        server = ask(expression, data, **more)
        assert server.error == ("", ""), expression
        assert server.counts
        return server.records.decode()

    return answer


@pytest.fixture(scope="session")
def fail():
    """A function that makes a query that must fail, and returns the code of the error."""

    def answer(expression, data=b"", **more):
        server = ask(expression, data, **more)
        assert server.error[0], expression
        for word in ("Binder", "LINE 1", "read_csv", "/dev", "DuckDB", "duckdb"):
            assert word not in server.error[1]
        return server.error[0]

    return answer
