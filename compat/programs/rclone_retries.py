"""rclone with its stock retries against planned faults: after each the files are the same on both sides."""

import os
import random
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from compat import environments
from s3ish.testing import Server

BUCKET = "made"
IN_PARTS = ("--s3-upload-cutoff", "5Mi", "--s3-chunk-size", "5Mi")
"""So that a file of 12 MB goes in three parts."""


class Rclone:
    """rclone and a folder of files, one of them large.

    Args:
        server: where the faults are planned.
        folder: for the files.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.files = folder / "files"
        self.files.mkdir()
        for name, size in (("small", 1000), ("medium", 1_000_000), ("large", 12_000_000)):
            (self.files / name).write_bytes(random.Random(name).randbytes(size))
        settings = {
            "type": "s3",
            "provider": "Other",
            "endpoint": server.endpoint,
            "access_key_id": server.access_key,
            "secret_access_key": server.secret_key,
            "region": server.region,
        }
        self._environment = {
            "PATH": f"{environments.programs('rclone_retries')}{os.pathsep}{os.environ.get('PATH', '')}",
            "HOME": str(folder),
            **{f"RCLONE_CONFIG_MADE_{name.upper()}": value for name, value in settings.items()},
        }

    def run(self, *arguments: object) -> None:
        """Run it; it has to succeed."""
        done = subprocess.run(
            ["rclone", *map(str, arguments)], env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{arguments[0]} ended with {done.returncode}: {done.stderr[-500:]}"

    def up(self, *options: str) -> None:
        """Copy the files to the bucket, and compare all bytes."""
        self.run("copy", *options, self.files, f"made:{BUCKET}")
        self.run("check", "--download", self.files, f"made:{BUCKET}")

    def down(self) -> None:
        """Copy the files from the bucket, and compare all bytes."""
        target = Path(tempfile.mkdtemp(dir=self.folder))
        self.run("copy", f"made:{BUCKET}", target)
        for path in self.files.iterdir():
            assert (target / path.name).read_bytes() == path.read_bytes(), path.name

    def asked(self, operation: str, least: int) -> None:
        """Fail unless it has sent a request at least so often, and has met each planned fault."""
        found = self.server.requests.count(operation)
        assert found >= least, f"{operation} was sent {found} times, less than {least}"
        plans = self.server.control("GET", "faults")["faults"]
        assert all(planned["met"] for planned in plans), plans


def slow_down(rclone: Rclone) -> None:
    """Uploads are sent again."""
    rclone.server.faults.add(operation="PutObject", count=3, status=503, code="SlowDown")
    rclone.up()
    rclone.asked("PutObject", 6)


def internal_errors_of_parts(rclone: Rclone) -> None:
    """So are parts."""
    rclone.server.faults.add(operation="UploadPart", pattern="x.", count=2, status=500, code="InternalError")
    rclone.up(*IN_PARTS)
    rclone.asked("UploadPart", 5)


def lost_answers_to_uploads(rclone: Rclone) -> None:
    """An upload that was done is done again."""
    rclone.server.faults.add(operation="PutObject", drop=True)
    rclone.server.faults.add(operation="UploadPart", drop=True)
    rclone.up(*IN_PARTS)
    rclone.asked("PutObject", 3)


def lost_answer_to_a_completion(rclone: Rclone) -> None:
    """A completion that was done succeeds once more."""
    rclone.server.faults.add(operation="CompleteMultipartUpload", drop=True)
    rclone.up(*IN_PARTS)
    rclone.asked("CompleteMultipartUpload", 2)


def error_behind_a_status(rclone: Rclone) -> None:
    """The body of a completion that has the status 200 is read."""
    rclone.server.faults.add(operation="CompleteMultipartUpload", status=200, code="InternalError")
    rclone.up(*IN_PARTS)
    rclone.asked("CompleteMultipartUpload", 2)


def torn_downloads(rclone: Rclone) -> None:
    """A body that ends early, or is reset, is asked for again."""
    rclone.up()
    for fault in ({"cut_after_bytes": 700_000}, {"reset_after_bytes": 700_000}):
        rclone.server.faults.add(operation="GetObject", key="medium", **fault)
        rclone.down()
    rclone.asked("GetObject", 8)


def flipped_bit(rclone: Rclone) -> None:
    """The MD5 that the ETag is shows it, and the file is copied again."""
    rclone.up()
    rclone.server.faults.add(operation="GetObject", key="medium", flip_at_byte=700_000)
    rclone.down()
    rclone.asked("GetObject", 4)


FAULTS: tuple[Callable[[Rclone], None], ...] = (
    slow_down,
    internal_errors_of_parts,
    lost_answers_to_uploads,
    lost_answer_to_a_completion,
    error_behind_a_status,
    torn_downloads,
    flipped_bit,
)


def main() -> None:
    """Meet each fault in a store of its own."""
    with Server(buckets=(BUCKET,)) as server, tempfile.TemporaryDirectory() as name:
        rclone = Rclone(server, Path(name))
        for fault in FAULTS:
            try:
                fault(rclone)
            except AssertionError as error:
                raise AssertionError(f"{fault.__name__}: {error}") from error
            server.reset()
    print(f"{len(FAULTS)} kinds of faults, the same files after each")


if __name__ == "__main__":
    main()
