"""DVC: data of a Git repository pushed, pulled elsewhere, gone back to, collected; and a remote with versions."""

import os
import random
import subprocess
import tempfile
from pathlib import Path

import boto3

from compat import environments

FILES = 40
PROGRAM = environments.programs("dvc")


def run(folder: Path, *command: str) -> str:
    """Run a command in a folder and return what it printed."""
    names = ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL")
    own = {f"GIT_{name}": "compat@example.com" for name in names} | {"DVC_NO_ANALYTICS": "1"}
    own["PATH"] = f"{PROGRAM}:{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command[:3])} ended with {done.returncode}: {done.stderr[-600:]}"
    return done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def begin(folder: Path, path: str, **options: str) -> None:
    """Make a repository whose data goes to a folder of the bucket."""
    folder.mkdir()
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    run(folder, "dvc", "init", "--quiet")
    run(folder, "dvc", "remote", "add", "--default", "bucket", f"s3://{os.environ['BUCKET']}/{path}")
    for name, text in ({"endpointurl": os.environ["AWS_ENDPOINT_URL"]} | options).items():
        run(folder, "dvc", "remote", "modify", "bucket", name, text)
    for number in range(FILES):
        file = folder / "data" / str(number % 4) / f"{number} ä.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(random.Random(f"{path}{number}").randbytes(number * 1000))
    (folder / "data" / "large").write_bytes(random.Random(path).randbytes(20 << 20))


def save(folder: Path, word: str) -> dict[str, bytes]:
    """Track what the data are now, commit and push; return them."""
    run(folder, "dvc", "add", "--quiet", "data")
    run(folder, "dvc", "push", "--quiet")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", word)
    return contents(folder / "data")


def exercise(root: Path, path: str, **options: str) -> None:
    """Save two states of the data, and have a clone go from one to the other."""
    folder, clone = root / path, root / f"{path}-clone"
    begin(folder, path, **options)
    first = save(folder, "first")
    (folder / "data" / "large").write_bytes(b"changed")
    (folder / "data" / "0" / "0 ä.bin").unlink()
    second = save(folder, "second")
    run(root, "git", "clone", "--quiet", str(folder), str(clone))
    run(clone, "dvc", "pull", "--quiet")
    assert contents(clone / "data") == second, "other data came back"
    run(clone, "git", "checkout", "--quiet", "HEAD~1")
    run(clone, "dvc", "pull", "--quiet")
    assert contents(clone / "data") == first, "other data came back of the state before"


def main() -> None:
    """Use a remote by contents and one by versions; then leave one state in the former."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        exercise(root, "contents")
        assert "in sync" in run(root / "contents", "dvc", "status", "--cloud"), "what was pushed is not there"
        run(root / "contents", "dvc", "gc", "--quiet", "--workspace", "--cloud", "--force")
        assert "in sync" in run(root / "contents", "dvc", "status", "--cloud")
        versions = {"Status": "Enabled"}
        boto3.client("s3").put_bucket_versioning(Bucket=os.environ["BUCKET"], VersioningConfiguration=versions)
        exercise(root, "versions", version_aware="true")
    print(f"{FILES + 1} files in 2 states, by contents and by versions")


if __name__ == "__main__":
    main()
