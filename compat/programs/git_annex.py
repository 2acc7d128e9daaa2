"""git-annex: files, large ones in chunks, encrypted; and a bucket as a tree of files, exported and imported again."""

import os
import random
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import boto3

FILES = 20
ENDPOINT = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")


def run(folder: Path, *command: str, **environment: str) -> str:
    """Run a command in a folder and return what it printed."""
    names = ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL")
    own = {f"GIT_{name}": "compat@example.com" for name in names} | environment
    done = subprocess.run(command, cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{' '.join(command)[:200]} ended with {done.returncode}: {said[-600:]}"
    return done.stdout


def annex(folder: Path, *command: str) -> str:
    """Run a command of git-annex."""
    return run(folder, "git", "annex", *command)


def remote(folder: Path, name: str, bucket: str, **options: str) -> None:
    """Make a remote in a bucket, which is made as well if it is not there."""
    host, port = ENDPOINT.split(":")
    common = {"type": "S3", "encryption": "none", "host": host, "port": port, "protocol": "http"}
    given = common | {"bucket": bucket, "requeststyle": "path"} | options
    annex(folder, "initremote", name, *(f"{key}={text}" for key, text in given.items()))


def contents(folder: Path) -> Mapping[str, bytes]:
    """Return the files of a work tree, by path."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def begin(folder: Path) -> Mapping[str, bytes]:
    """Make a repository with files, and return them."""
    folder.mkdir()
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    annex(folder, "init", "compat")
    run(folder, "git", "config", "annex.security.allowed-ip-addresses", "all")
    for number in range(FILES):
        file = folder / f"{number % 3} ä" / f"{number}.bin"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(random.Random(number).randbytes(number * 1000 + 1))
    (folder / "large").write_bytes(random.Random("large").randbytes(12 << 20))
    annex(folder, "add", "--quiet", ".")
    run(folder, "git", "commit", "--quiet", "--message", "files")
    return contents(folder)


def keep(folder: Path, name: str, wanted: Mapping[str, bytes]) -> None:
    """Have a remote as the only place of all files, check it, get them back, and drop them there."""
    annex(folder, "copy", "--quiet", "--to", name)
    annex(folder, "drop", "--quiet", "--force", ".")
    annex(folder, "fsck", "--quiet", "--from", name)
    annex(folder, "get", "--quiet", "--from", name)
    assert contents(folder) == wanted, "other files came back"
    annex(folder, "drop", "--quiet", "--from", name, "--force")


def publish(folder: Path, wanted: Mapping[str, bytes]) -> None:
    """Export the work tree to a bucket with versions, change it on both sides, and import what was changed there."""
    bucket = f"{os.environ['BUCKET']}-tree"
    remote(folder, "tree", bucket, exporttree="yes", importtree="yes", versioning="yes")
    annex(folder, "export", "--quiet", "main", "--to", "tree")
    s3 = boto3.client("s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled", "the bucket has no versions"
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert {each["Key"] for each in listed} == set(wanted), [each["Key"] for each in listed]
    run(folder, "git", "mv", "large", "moved")
    run(folder, "git", "rm", "--quiet", "0 ä/0.bin")
    run(folder, "git", "commit", "--quiet", "--message", "moved")
    annex(folder, "export", "--quiet", "main", "--to", "tree")
    s3.put_object(Bucket=bucket, Key="1 ä/new.txt", Body=b"put by another")
    annex(folder, "import", "--quiet", "main", "--from", "tree")
    run(folder, "git", "merge", "--quiet", "--allow-unrelated-histories", "tree/main")
    annex(folder, "get", "--quiet", ".")
    changed = {path: data for path, data in wanted.items() if path not in ("large", "0 ä/0.bin")}
    changed |= {"moved": wanted["large"], "1 ä/new.txt": b"put by another"}
    assert contents(folder) == changed, "the tree is another one"


def main() -> None:
    """Keep files in two remotes, and publish a tree in a third."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "files")
        wanted = begin(folder)
        remote(folder, "plain", os.environ["BUCKET"], fileprefix="plain/", partsize="6MiB")
        keep(folder, "plain", wanted)
        encrypted = {"encryption": "shared", "chunk": "1MiB", "fileprefix": "encrypted/"}
        remote(folder, "encrypted", os.environ["BUCKET"], **encrypted)
        keep(folder, "encrypted", wanted)
        publish(folder, wanted)
        run(folder, "chmod", "-R", "u+w", ".git")
    print(f"{len(wanted)} files in 3 remotes")


if __name__ == "__main__":
    main()
