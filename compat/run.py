"""Runs stock S3 clients against a server and writes ``docs/compatibility.md``.

``python compat/run.py`` runs all clients, each in an environment of its own against a server of its own.
``--client NAME`` (repeatable) runs some; ``--endpoint URL`` uses a running server with the keys in
``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``; neither writes the page. ``--at-once N`` runs
several at once, for a machine that has other work. The exit code is 1 if any check failed.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from compat import environments, report
from compat.client import Account
from compat.features import FEATURES, title
from compat.harness import FAIL, NOT_OFFERED, PASS
from compat.server import REGION, serve
from s3ish import __version__

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "compatibility.md"
CLIENT_SECONDS = 3600
"""How long all checks of one client may take."""


def _environment(name: str, account: Account) -> dict[str, str]:
    """Return all that a client's process knows of the world."""
    return {
        "PATH": os.pathsep.join([str(environments.programs(name)), os.environ.get("PATH", "")]),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_ENDPOINT_URL": account.endpoint,
        "AWS_ACCESS_KEY_ID": account.access_key,
        "AWS_SECRET_ACCESS_KEY": account.secret_key,
        "AWS_REGION": account.region,
        "AWS_DEFAULT_REGION": account.region,
    }


@contextlib.contextmanager
def _server(endpoint: str | None, name: str) -> Iterator[Account]:
    """Serve to a client until the block ends, unless there is a server at an endpoint."""
    if endpoint:
        keys = (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        yield Account(endpoint, *keys, os.environ.get("AWS_REGION", REGION))
        return
    with serve(environments.FOLDER / f"{name}-server.log", S3ISH_WORKERS="1") as account:
        yield account


def _run(name: str, client: Mapping[str, Any], account: Account) -> report.Run:
    """Run a client's script, show its results as they come, and return them."""
    python = environments.prepare(name, client["requires"])
    lines = []
    with (environments.FOLDER / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [python, "-m", f"compat.clients.{name}"],
            cwd=ROOT,
            env=_environment(name, account),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        timer = threading.Timer(CLIENT_SECONDS, process.kill)
        timer.start()
        with process, contextlib.closing(process.stdout) as output:
            for text in output:
                lines.append(json.loads(text))
                _show(lines[-1])
        timer.cancel()
    done = report.Run(name, client.get("note", ""), lines)
    if len(lines) < len(FEATURES):
        print(f"{name}: ended early with code {process.returncode}; see {log.name}", flush=True)
    return done


def _show(line: Mapping[str, Any]) -> None:
    text = f"{line['client']:9} {line['feature']:14} {line['result']:12} {line['seconds']:8.2f} s  {line['detail']}"
    print(text, flush=True)


def _arguments(names: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run stock S3 clients against a server.")
    parser.add_argument("--client", action="append", choices=names, help="run this client only (repeatable)")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="run so many clients at once")
    parser.add_argument("--endpoint", help="use the server at this URL instead of starting one")
    return parser.parse_args()


def main() -> int:
    """Run what the arguments say and return the exit code."""
    clients = tomllib.loads((ROOT / "compat" / "clients.toml").read_text())
    arguments = _arguments(list(clients))
    environments.FOLDER.mkdir(exist_ok=True)

    def run(name: str) -> report.Run:
        with _server(arguments.endpoint, name) as account:
            return _run(name, clients[name], account)

    with ThreadPoolExecutor(arguments.at_once) as pool:
        runs = list(pool.map(run, arguments.client or clients))
    for run in runs:
        counts = ", ".join(f"{run.count(result)} {result}" for result in (PASS, FAIL, NOT_OFFERED))
        print(f"{run.client} {run.version}: {counts}")
    if not arguments.client and not arguments.endpoint:
        PAGE.write_text(report.write(runs, __version__))
        print(f"wrote {PAGE.relative_to(ROOT)}")
    failed = [
        f"{run.client}: {title(feature)}"
        for run in runs
        for feature in FEATURES
        if run.line(feature.__name__)["result"] == FAIL
    ]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
