"""deltaglider: versions of a file as differences to the first, with hashes in their metadata."""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

BUCKET = f"s3://{os.environ['BUCKET']}"
VERSIONS, SIZE = 4, 2 << 20


def run(*arguments: object) -> str:
    """Run the program; return what it printed."""
    command = [str(Path(sys.executable).parent / "deltaglider"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-500:]}"
    return done.stdout


def main() -> None:
    """Store similar files, fetch them, verify and remove them."""
    data = bytearray(random.Random("base").randbytes(SIZE))
    with tempfile.TemporaryDirectory() as name:
        folder, versions = Path(name), {}
        for number in range(VERSIONS):
            data[number * 1000 : number * 1000 + 100] = random.Random(number).randbytes(100)
            path = folder / f"app-v{number}.zip"
            path.write_bytes(data)
            versions[path.name] = bytes(data)
            run("cp", path, f"{BUCKET}/releases/{path.name}")
        listed = run("ls", f"{BUCKET}/releases/")
        for file, wanted in versions.items():
            assert file in listed, listed
            run("cp", f"{BUCKET}/releases/{file}", folder / "fetched")
            assert (folder / "fetched").read_bytes() == wanted, file
            (folder / "fetched").unlink()
        run("rm", "-r", f"{BUCKET}/releases/")
    print(f"{VERSIONS} versions")


if __name__ == "__main__":
    main()
