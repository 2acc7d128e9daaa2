"""Servers as processes, for tests of what only a process shows."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from tests.waiting import WAIT_SECONDS

settings.register_profile("search", deadline=None)  # how long one example takes is the machine's matter
settings.register_profile("s3ish", settings.get_profile("search"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "s3ish"))

TESTS = Path(__file__).parent
SLOW_FOLDERS = {TESTS / "torture", TESTS / "sim"}
SLOW_FIXTURES = {"start_server", "start_shared_server", "run_s3ish"}
"""Tests of these folders, and those that ask for these fixtures, are marked as slow; others mark themselves."""


def pytest_collection_modifyitems(items):
    """Mark what ``make quick`` leaves out."""
    for item in items:
        if SLOW_FOLDERS & set(item.path.parents) or SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)


class ServerProcess:
    """``s3ish serve`` as a user starts it, on a port of its own, with one worker unless more are asked for.

    Args:
        arguments: what follows ``s3ish serve``.
        variables: the settings in the environment.
    """

    def __init__(self, *arguments, **variables):
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("S3ISH", "AWS", "MINIO"))
        }
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe that nobody drains would block the server
        self.process = subprocess.Popen(
            [sys.executable, "-m", "s3ish", "serve", "--port", "0", *map(str, arguments)],
            env=environment | {"S3ISH_FSYNC": "false", "S3ISH_WORKERS": "1", **variables},
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.greeting = []
        self.endpoint = ""
        for line in self.process.stdout:
            self.greeting.append(line)
            if found := re.search(r"endpoint\s+(https?://\S+)", line):
                self.endpoint = found[1]
            if " aws " in line:
                break

    def ask_to_stop(self, number=signal.SIGTERM):
        """Ask it to end, if it has not yet."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Ask it to end; return the exit code and what it logged."""
        self.ask_to_stop(number)
        try:
            self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        if not self._log.closed:
            self._log.seek(0)
            self.logged = self._log.read()
            self._log.close()
        return self.process.returncode, self.logged


@contextmanager
def _starting():
    """A function that starts a server; those still running at the end are ended, side by side."""
    started = []

    def start(*arguments, **variables):
        started.append(ServerProcess(*arguments, **variables))
        return started[-1]

    try:
        yield start
    finally:
        for server in started:
            server.ask_to_stop()
        for server in started:
            server.stop()


@pytest.fixture
def start_server():
    """A function that starts a server; those still running at the end of the test are ended."""
    with _starting() as start:
        yield start


@pytest.fixture(scope="module")
def start_shared_server():
    """As ``start_server``, until the end of the module: for servers that many tests ask."""
    with _starting() as start:
        yield start


@pytest.fixture
def run_s3ish(tmp_path):
    """A function that runs one command of ``s3ish`` in an empty directory to its end."""

    def run(*arguments, **variables):
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("S3ISH", "AWS", "MINIO"))
        }
        return subprocess.run(
            [sys.executable, "-m", "s3ish", *map(str, arguments)],
            env=environment | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )

    return run
