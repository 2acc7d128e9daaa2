"""Runs the programs of ``compat/programs.toml`` and writes ``docs/programs.md``.

``python -m compat.programs`` runs all against a server that it starts, and names after it run these alone: the page has
their rows renewed. ``--short`` runs those that continuous integration runs, and writes no page. What cannot be
installed is skipped, with the reason. A program behind which the server failed has failed, even if it got over that.
The exit code is 1 if a program failed, or if none ran.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from compat import environments
from compat.client import Account
from compat.server import serve
from s3ish import __version__

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "programs.md"
LOG = environments.FOLDER / "programs.log"
INSTALL_SECONDS, RUN_SECONDS = 600, 600
_PASSED, _FAILED, _SKIPPED = "pass", "**FAIL**", "skipped"


@dataclass(frozen=True)
class Outcome:
    """What became of a program: ``detail`` says what it did, why it failed, or why it was skipped."""

    name: str
    does: str
    result: str
    detail: str
    seconds: float = 0.0

    def row(self) -> str:
        """Return its row of the page."""
        cells = f"`{self.name}`", self.does, self.result, self.detail.replace("|", "/"), f"{datetime.now(UTC):%Y-%m-%d}"
        return f"| {' | '.join(cells)} |"


class _Unavailable(Exception):
    """The program cannot be had here; the text says why."""


class _Program:
    """One program.

    Args:
        name: that of its section.
        entry: its section.
    """

    def __init__(self, name: str, entry: Mapping[str, Any]) -> None:
        self._name, self._entry = name, entry
        self._folder = environments.FOLDER / name
        self._python = Path(sys.executable)

    def run(self, account: Account) -> Outcome:
        """Install it unless it is there, and run it."""
        try:
            self._install()
        except _Unavailable as reason:
            return self._outcome(_SKIPPED, str(reason))
        bucket = f"programs-{self._name.replace('_', '-')}"
        _make_bucket(account, bucket)
        started, place = time.monotonic(), LOG.stat().st_size
        done = self._call(self._entry["run"], RUN_SECONDS, _environment(account) | {"BUCKET": bucket})
        seconds = time.monotonic() - started
        if done.returncode:
            return self._outcome(_FAILED, _last_line(done.stderr or done.stdout), seconds)
        if faults := faults_in(LOG.read_bytes()[place:]):
            return self._outcome(_FAILED, f"it went on where the server failed: {', '.join(faults)}", seconds)
        return self._outcome(_PASSED, _last_line(done.stdout), seconds)

    def _install(self) -> None:
        for command in self._entry.get("needs", []):
            if not shutil.which(command):
                raise _Unavailable(f"there is no command {command}")
        device = self._entry.get("device")
        if device and not os.access(device, os.R_OK | os.W_OK):
            raise _Unavailable(f"{device} is not there or may not be used")
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            if packages := self._entry.get("packages"):
                self._python = environments.prepare(self._name, packages)
            if install := self._entry.get("install"):
                done = self._call(install, INSTALL_SECONDS, dict(os.environ))
                if done.returncode:
                    raise _Unavailable(f"it cannot be installed: {_last_line(done.stderr or done.stdout)}")
        except subprocess.CalledProcessError as error:
            raise _Unavailable(f"its packages cannot be installed: code {error.returncode}") from error

    def _call(self, command: Sequence[str], seconds: int, environment: Mapping[str, str]) -> Any:
        words = [word.format(folder=self._folder, python=self._python, project=sys.executable) for word in command]
        try:
            return subprocess.run(
                words,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(words, -1, b"", f"it did not end within {seconds} s".encode())

    def _outcome(self, result: str, detail: str, seconds: float = 0.0) -> Outcome:
        return Outcome(self._name, self._entry["does"], result, detail, seconds)


def _environment(account: Account) -> dict[str, str]:
    """Return all that a program knows of the world."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(environments.FOLDER),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_ENDPOINT_URL": account.endpoint,
        "AWS_ACCESS_KEY_ID": account.access_key,
        "AWS_SECRET_ACCESS_KEY": account.secret_key,
        "AWS_REGION": account.region,
        "AWS_DEFAULT_REGION": account.region,
    }


def _make_bucket(account: Account, bucket: str) -> None:
    boto3.client(
        "s3",
        endpoint_url=account.endpoint,
        aws_access_key_id=account.access_key,
        aws_secret_access_key=account.secret_key,
        region_name=account.region,
    ).create_bucket(Bucket=bucket)


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


def faults_in(log: bytes) -> list[str]:
    """Return what the server could not do by its log, 501 among it: programs try again, or go on without it."""
    told = [json.loads(line) for line in log.splitlines() if line.startswith(b"{") and line.endswith(b"}")]
    requests = [each for each in told if each["event"] == "request" and each["status"] >= 500]
    found = Counter(f"{each['operation']} {each['status']} {each['error']}" for each in requests)
    found.update(each["event"] for each in told if each["level"] == "error" and each not in requests)
    return [f"{count} x {what}" for what, count in found.items()]


def rows_of(text: str) -> dict[str, str]:
    """Return the rows of a page by the names of their programs."""
    return {match[1]: match[0] for match in re.finditer(r"^\| `(\w+)` \|.*$", text, re.MULTILINE)}


def page(rows: Sequence[str]) -> str:
    """Return the page of some rows."""
    results = [row.split(" | ")[2] for row in rows]
    counts = {result: results.count(result) for result in (_PASSED, _FAILED, _SKIPPED)}
    return "\n".join(
        [
            "# Programs",
            "",
            "This page is written by `make compat` from real runs; do not edit it.",
            "`python -m compat.programs NAME` renews a row.",
            "[Compatibility](compatibility.md) has the clients that are held against each other, check by check.",
            "",
            f"Programs and SDKs of other languages against a server of s3ish {__version__}, stock settings.",
            "Each does what it does every day, and compares what comes back.",
            "",
            f"**{counts[_PASSED]} passed, {counts[_FAILED]} failed, {counts[_SKIPPED]} skipped.**",
            "",
            "| program | what it does | result | detail | run on |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def main() -> int:
    """Run what the arguments say and return the exit code."""
    entries = tomllib.loads((ROOT / "compat" / "programs.toml").read_text())
    parser = argparse.ArgumentParser(description="Run programs and SDKs of other languages against a server.")
    parser.add_argument("--short", action="store_true", help="run those that continuous integration runs")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"run these: {', '.join(entries)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(entries):
        parser.error(f"no program {unknown.pop()}")
    chosen = arguments.names or [name for name, entry in entries.items() if entry.get("short") or not arguments.short]
    environments.FOLDER.mkdir(exist_ok=True)
    outcomes = []
    with serve(LOG) as account:
        for name in chosen:
            outcomes.append(_Program(name, entries[name]).run(account))
            last = outcomes[-1]
            print(f"{last.name:16} {last.result:8} {last.seconds:7.1f} s  {last.detail}", flush=True)
    if not arguments.short:
        rows = rows_of(PAGE.read_text()) | {it.name: it.row() for it in outcomes}
        PAGE.write_text(page([rows[name] for name in entries if name in rows]))
        print(f"wrote {PAGE.relative_to(ROOT)}")
    ran = any(it.result != _SKIPPED for it in outcomes)
    return 1 if any(it.result == _FAILED for it in outcomes) or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
