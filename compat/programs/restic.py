"""restic: a backup, a second one after changes, a check of all data, a restore, and a prune."""

import os
import random
import subprocess
import tempfile
from pathlib import Path

REPOSITORY = f"s3:{os.environ['AWS_ENDPOINT_URL']}/{os.environ['BUCKET']}/backup"


def restic(*arguments: object, cache: Path) -> None:
    """Run the program on the repository."""
    own = {"RESTIC_REPOSITORY": REPOSITORY, "RESTIC_PASSWORD": "compat", "RESTIC_CACHE_DIR": str(cache)}
    done = subprocess.run(
        ["restic", *map(str, arguments)], env=os.environ | own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments[0]} ended with {done.returncode}: {done.stderr[-500:]}"


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def main() -> None:
    """Back up, change, back up again, check, restore, forget."""
    with tempfile.TemporaryDirectory() as name:
        folder, cache, target = Path(name, "data"), Path(name, "cache"), Path(name, "restored")
        for number in range(60):
            path = folder / f"{number % 6}" / f"{number}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.Random(number).randbytes(number * 3001))
        (folder / "large").write_bytes(random.Random("large").randbytes(20 << 20))
        restic("init", cache=cache)
        restic("backup", folder, cache=cache)
        (folder / "0" / "0.bin").write_bytes(b"changed")
        restic("backup", folder, cache=cache)
        restic("check", "--read-data", cache=cache)
        restic("restore", "latest", "--target", target, cache=cache)
        restored, wanted = contents(target / folder.relative_to("/")), contents(folder)
        assert restored == wanted, f"{len(restored)} files came back instead of {len(wanted)}, or others"
        restic("forget", "--keep-last", "1", "--prune", cache=cache)
        restic("check", "--read-data", cache=cache)
    print(f"{len(wanted)} files, 2 snapshots")


if __name__ == "__main__":
    main()
