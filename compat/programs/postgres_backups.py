"""pgBackRest over TLS, and Barman's cloud tools: a database copied while it is written, its log archived, restored."""

import contextlib
import glob
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import boto3

from compat import environments
from compat.client import Account
from compat.server import serve
from s3ish.cli import cert

ROWS = 50_000
WAIT_SECONDS = 60
BUCKET = "postgres"
USER = "postgres" if os.geteuid() == 0 else None
"""The one that databases run as, for root may not run them."""
_PGBACKREST = """
[global]
repo1-type=s3
repo1-path=/repository
repo1-s3-bucket={bucket}
repo1-s3-endpoint=localhost
repo1-storage-port={port}
repo1-storage-ca-file={authority}
repo1-s3-region=us-east-1
repo1-s3-uri-style=path
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=compat
repo1-bundle=y
repo1-retention-full=1
lock-path={folder}/lock
log-path={folder}/log
start-fast=y
process-max=2
[main]
pg1-path={folder}/data
pg1-socket-path={folder}
pg1-user=postgres
"""


class Database:
    """A database of PostgreSQL.

    Args:
        folder: where its data are, and what belongs to it.
        environment: what its programs know.
        archive: the command that stores a file of its log.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], archive: str) -> None:
        self._folder, self._environment, self._archive = folder, environment, archive
        self._programs = Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1])
        self.data = folder / "data"

    def run(self, *command: object) -> str:
        """Run a program as the user of the database, and return what it printed."""
        words = [str(word) for word in command]
        done = subprocess.run(
            words,
            env=dict(self._environment),
            cwd=self._folder,
            user=USER,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{' '.join(words)[:200]} ended with {done.returncode}: {said[-800:]}"
        return done.stdout

    def ask(self, question: str) -> str:
        """Return what the database answers."""
        return self.run(
            self._programs / "psql", "-h", self._folder, "-U", "postgres", "-qAtc", question, "postgres"
        ).strip()

    def make(self) -> None:
        """Make it, with some rows."""
        self.run(self._programs / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--no-sync")
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self._folder,
            "fsync": "off",
            "archive_mode": "on",
            "archive_command": self._archive,
        }
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{text}'\n" for name, text in settings.items())

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        """Have it run until the block ends."""
        control = self._programs / "pg_ctl"
        log = self._folder / "log.txt"
        self.run("sh", "-c", f"{control} -D {self.data} -l {log} -w -t {WAIT_SECONDS} start > /dev/null 2>&1")
        try:
            yield
        finally:
            self.run(control, "-D", self.data, "-m", "fast", "-w", "stop")

    def write(self, text: str) -> None:
        """Write rows, and wait until the log of them is archived."""
        self.ask("CREATE TABLE IF NOT EXISTS lines (line text)")
        self.ask(f"INSERT INTO lines SELECT '{text}' || number FROM generate_series(1, {ROWS}) AS number")
        file = self.ask("SELECT pg_walfile_name(pg_switch_wal())")
        deadline = time.monotonic() + WAIT_SECONDS
        while self.ask("SELECT last_archived_wal FROM pg_stat_archiver") < file:
            assert time.monotonic() < deadline, f"the log is not archived: {self.ask('TABLE pg_stat_archiver')}"
            time.sleep(0.1)

    def told(self) -> str:
        """Wait until it is up to date, and return what tells its rows from others."""
        deadline = time.monotonic() + WAIT_SECONDS
        while self.ask("SELECT pg_is_in_recovery()") != "f":
            assert time.monotonic() < deadline, "it does not come up to date"
            time.sleep(0.1)
        return self.ask("SELECT count(*), md5(string_agg(line, ',' ORDER BY line)) FROM lines")


def pgbackrest(folder: Path, account: Account, authority: Path) -> None:
    """Make backups of three kinds, lose the database, restore it, and let the repository forget the first ones."""
    settings = folder / "pgbackrest.conf"
    port = account.endpoint.rpartition(":")[2]
    settings.write_text(_PGBACKREST.format(bucket=BUCKET, port=port, authority=authority, folder=folder))
    keys = {"PGBACKREST_REPO1_S3_KEY": account.access_key, "PGBACKREST_REPO1_S3_KEY_SECRET": account.secret_key}
    command = "pgbackrest", f"--config={settings}", "--stanza=main"
    database = Database(folder, os.environ | keys, f"{' '.join(command)} archive-push %p")
    database.make()
    with database.started():
        database.run(*command, "stanza-create")
        for kind in ("full", "incr", "diff"):
            database.write(kind)
            database.run(*command, f"--type={kind}", "backup")
        database.write("after the last backup")
        database.run(*command, "check")
        database.run(*command, "verify")
        wanted = database.told()
    shutil.rmtree(database.data)
    database.run(*command, "restore")
    with database.started():
        assert database.told() == wanted, f"{database.told()} instead of {wanted}"
        database.run(*command, "--type=full", "backup")
        listed = database.run(*command, "info")
        assert listed.count("full backup") == 1, listed
        assert "incr backup" not in listed, listed


def barman(folder: Path) -> None:
    """Make two backups, lose the database, restore the last one with the log after it, and delete the first one."""
    common = f"--endpoint-url {os.environ['AWS_ENDPOINT_URL']}"
    place = f"s3://{os.environ['BUCKET']}/barman main"
    database = Database(folder, os.environ, f"barman-cloud-wal-archive {common} --gzip {place} %p")
    database.make()
    reach = f"-h {folder} -U postgres --immediate-checkpoint -J 2"
    with database.started():
        for turn in ("one", "two"):
            database.write(turn)
            database.run(*f"barman-cloud-backup {common} {reach} --tags made,{turn} --name {turn} {place}".split())
        database.write("after the last backup")
        wanted = database.told()
    shutil.rmtree(database.data)
    listed = database.run(*f"barman-cloud-backup-list {common} {place}".split())
    assert "one" in listed, listed
    database.run(*f"barman-cloud-restore {common} {place} two {database.data}".split())
    (database.data / "recovery.signal").touch()
    with (database.data / "postgresql.conf").open("a") as file:
        file.write(f"restore_command = 'barman-cloud-wal-restore {common} {place} %f %p'\n")
    shutil.chown(database.data / "recovery.signal", USER) if USER else None
    with database.started():
        assert database.told() == wanted, f"{database.told()} instead of {wanted}"
    database.run(*f"barman-cloud-backup-delete {common} {place} --backup-id one".split())
    database.run(*f"barman-cloud-check-wal-archive {common} {place} --timeline 9".split())


def room(parent: Path, name: str) -> Path:
    """Return a folder that belongs to the user of databases."""
    folder = parent / name
    folder.mkdir()
    if USER:
        parent.chmod(0o755)
        shutil.chown(folder, USER)
    return folder


def main() -> None:
    """Have a server with a certificate for pgBackRest, which speaks nothing but TLS; the other one for Barman."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = cert.write(folder / "tls", ["localhost", "127.0.0.1"], datetime.now(UTC), days=1)
        files.authority.parent.chmod(0o755)
        tls = {"S3ISH_TLS_CERTIFICATES": str(files.certificate), "S3ISH_TLS_KEYS": str(files.key)}
        with serve(environments.FOLDER / "postgres_backups.log", **tls) as account:
            boto3.client(
                "s3",
                endpoint_url=account.endpoint,
                aws_access_key_id=account.access_key,
                aws_secret_access_key=account.secret_key,
                region_name=account.region,
                verify=str(files.authority),
            ).create_bucket(Bucket=BUCKET)
            pgbackrest(room(folder, "pgbackrest"), account, files.authority)
        barman(room(folder, "barman"))
    print(f"{4 * ROWS:,} and {3 * ROWS:,} rows")


if __name__ == "__main__":
    main()
