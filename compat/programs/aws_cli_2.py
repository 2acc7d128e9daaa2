"""AWS command line 2: folders held equal, streams, moves, signed addresses, pages, what it waits for.

``--install`` fails unless there is one. ``PATH`` may have version 1 before it.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

LARGE = random.Random("large").randbytes(20 << 20)
FILES = 30
PLACE = f"s3://{os.environ.get('BUCKET')}"


def find() -> str:
    """Return the program, or end."""
    for folder in os.environ["PATH"].split(os.pathsep):
        program = Path(folder, "aws")
        if program.exists():
            done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
            if done.stdout.startswith("aws-cli/2."):
                return str(program)
    sys.exit("there is no AWS command line of version 2")


class Cli:
    """The program, with settings of its own.

    Args:
        folder: where its settings are.
    """

    def __init__(self, folder: Path) -> None:
        settings = folder / "settings"
        settings.write_text(
            "[default]\ns3 =\n  addressing_style = path\n  multipart_threshold = 8MB\n  multipart_chunksize = 6MB\n"
        )
        self._environment = os.environ | {"AWS_CONFIG_FILE": str(settings), "AWS_PAGER": ""}
        self._program = find()

    def run(self, *words: object, stdin: bytes = b"", code: int = 0) -> bytes:
        """Run a command, and return what it printed."""
        line = [self._program, "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], *map(str, words)]
        done = subprocess.run(line, env=self._environment, input=stdin, capture_output=True, check=False)
        said = (done.stdout[-300:] + done.stderr[-500:]).decode(errors="replace")
        assert done.returncode == code, f"{' '.join(line[3:])} ended with {done.returncode}: {said}"
        return done.stdout

    def ask(self, *words: object) -> Any:
        """Run a command of the API, and return its answer."""
        return json.loads(self.run("s3api", *words, "--bucket", os.environ["BUCKET"], "--output", "json") or b"{}")


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def folders(cli: Cli, folder: Path) -> int:
    """Hold a folder equal to a prefix: sent once, changed, sent to another prefix, fetched, moved, removed."""
    source, target = folder / "source", folder / "target"
    for number in range(FILES):
        file = source / "deep ä" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number}")
    (source / "large").write_bytes(LARGE)
    there = f"{PLACE}/folders"
    cli.run("s3", "sync", source, there)
    assert not cli.run("s3", "sync", source, there), "what is equal was sent again"
    (source / "deep ä" / "7.txt").unlink()
    (source / "large").write_bytes(LARGE[::-1] + b"more")
    cli.run("s3", "sync", source, there, "--delete", "--only-show-errors")
    cli.run("s3", "cp", there, f"{there}-copy", "--recursive", "--only-show-errors")
    cli.run("s3", "mv", f"{there}-copy/large", f"{there}-copy/moved ä", "--only-show-errors")
    cli.run("s3", "sync", f"{there}-copy", target, "--only-show-errors")
    wanted, found = contents(source), contents(target)
    found["large"] = found.pop("moved ä")
    assert found == wanted, f"{len(found)} files came back instead of {len(wanted)}, or others"
    said = cli.run("s3", "ls", there, "--recursive", "--summarize").decode()
    assert f"Total Objects: {2 * len(wanted)}" in said, said
    cli.run("s3", "rm", f"{there}-copy", "--recursive", "--only-show-errors")
    return len(wanted)


def streams(cli: Cli) -> None:
    """Send what comes from a pipe, sign an address of it, and wait until it is there, and gone."""
    cli.run("s3", "cp", "-", f"{PLACE}/stream ä+b", stdin=LARGE)
    assert cli.run("s3", "cp", f"{PLACE}/stream ä+b", "-") == LARGE, "other bytes came back"
    address = cli.run("s3", "presign", f"{PLACE}/stream ä+b", "--expires-in", 60).decode().strip()
    assert "X-Amz-Signature" in address, address
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == LARGE, "other bytes came back from the address"
    key = "--key", "stream ä+b"
    cli.ask("wait", "object-exists", *key)
    cli.run("s3", "rm", f"{PLACE}/stream ä+b")
    cli.ask("wait", "object-not-exists", *key)
    cli.run("s3", "ls", f"{PLACE}/stream", code=1)


def ask(cli: Cli) -> None:
    """List by pages, and choose what is shown; give an object tags and digests, and read them."""
    pages = cli.ask("list-objects-v2", "--page-size", 7, "--query", "length(Contents)")
    assert pages == FILES, pages
    listed = cli.ask("list-objects-v2", "--max-items", 5)
    more = cli.ask("list-objects-v2", "--starting-token", listed["NextToken"], "--max-items", 5)
    assert len({each["Key"] for each in (*listed["Contents"], *more["Contents"])}) == 10
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"text")
        file.flush()
        digest = "--checksum-algorithm", "SHA256", "--tagging", "colour=blue&b=c%20d"
        put = cli.ask("put-object", "--key", "asked", "--body", file.name, *digest)
    head = cli.ask("head-object", "--key", "asked", "--checksum-mode", "ENABLED")
    assert head["ChecksumSHA256"] == put["ChecksumSHA256"], head
    tags = cli.ask("get-object-tagging", "--key", "asked")["TagSet"]
    assert {each["Key"]: each["Value"] for each in tags} == {"colour": "blue", "b": "c d"}, tags
    parts = cli.ask("get-object-attributes", "--key", "asked", "--object-attributes", "ObjectSize", "Checksum")
    assert parts["ObjectSize"] == len(b"text"), parts


def main() -> None:
    """Do all of it."""
    with tempfile.TemporaryDirectory() as name:
        cli = Cli(Path(name))
        count = folders(cli, Path(name))
        streams(cli)
        ask(cli)
    print(f"{count} files")


if __name__ == "__main__":
    find() if "--install" in sys.argv else main()
