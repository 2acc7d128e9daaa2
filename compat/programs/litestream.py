"""Litestream: a database that is copied while it is written, and restored to what it was at the end."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from compat import environments

COMMITS, ROWS = 20, 100
WAIT_SECONDS = 30
PROGRAM = str(environments.programs("litestream") / "litestream")


def settings(database: Path) -> str:
    """Return the program's configuration."""
    return f"""
dbs:
  - path: {database}
    replica:
      type: s3
      bucket: {os.environ["BUCKET"]}
      path: copy
      endpoint: {os.environ["AWS_ENDPOINT_URL"]}
      region: {os.environ["AWS_REGION"]}
      force-path-style: true
      sync-interval: 100ms
"""


@contextlib.contextmanager
def replicate(file: Path) -> Iterator[None]:
    """Copy until the block ends; what is not copied yet is copied then."""
    process = subprocess.Popen([PROGRAM, "replicate", "-config", file], stdout=subprocess.DEVNULL)
    try:
        yield
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_SECONDS) == 0, f"it ended with {process.returncode}"
    finally:
        process.kill()
        process.wait()


def rows(database: Path) -> list[tuple[int, bytes]]:
    """Return what a database holds."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT turn, noise FROM noises ORDER BY rowid").fetchall()


def main() -> None:
    """Write while the program copies, restore, compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, database = folder / "litestream.yml", folder / "noises.db"
        file.write_text(settings(database))
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode = wal")
            connection.execute("CREATE TABLE noises (turn, noise)")
            connection.commit()
            with replicate(file):
                for turn in range(COMMITS):
                    noises = [(turn, os.urandom(1000)) for _ in range(ROWS)]
                    connection.executemany("INSERT INTO noises VALUES (?, ?)", noises)
                    connection.commit()
                    time.sleep(0.1)
        subprocess.run([PROGRAM, "restore", "-config", file, "-o", folder / "restored.db", database], check=True)
        found = rows(folder / "restored.db")
        assert found == rows(database), f"{len(found)} rows came back instead of {COMMITS * ROWS}, or others"
    print(f"{len(found):,} rows of {COMMITS} commits")


if __name__ == "__main__":
    main()
