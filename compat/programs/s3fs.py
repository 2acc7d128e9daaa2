"""s3fs: a bucket as a file system: files, folders, renames, appends, large files."""

import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

MOUNT_SECONDS = 20


def use(root: Path) -> int:
    """Work as programs do on a disk; return how many files were left."""
    data = random.Random("large").randbytes(25 << 20)
    (root / "large").write_bytes(data)
    assert (root / "large").read_bytes() == data
    folder = root / "folder" / "ä b+c"
    folder.mkdir(parents=True)
    for number in range(20):
        (folder / f"{number}.txt").write_text(f"{number}\n" * number)
    with (folder / "3.txt").open("a") as file:
        file.write("appended\n")
    assert (folder / "3.txt").read_text() == "3\n3\n3\nappended\n"
    (folder / "4.txt").rename(root / "moved.txt")
    (root / "large").rename(root / "renamed")
    assert (root / "renamed").read_bytes() == data
    with (root / "renamed").open("rb+") as file:
        file.seek(12 << 20)
        file.write(b"in the middle")
    assert (root / "renamed").read_bytes()[12 << 20 : (12 << 20) + 13] == b"in the middle"
    os.chmod(root / "moved.txt", 0o600)
    assert (root / "moved.txt").stat().st_mode & 0o777 == 0o600
    (folder / "5.txt").unlink()
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(f"{number}.txt" for number in range(20) if number not in (4, 5)), names
    return len(names) + 2


def main() -> None:
    """Mount the bucket, use it, unmount it."""
    with tempfile.TemporaryDirectory() as name:
        root, keys = Path(name, "mounted"), Path(name, "keys")
        root.mkdir()
        keys.write_text(f"{os.environ['AWS_ACCESS_KEY_ID']}:{os.environ['AWS_SECRET_ACCESS_KEY']}\n")
        keys.chmod(0o600)
        options = f"passwd_file={keys},url={os.environ['AWS_ENDPOINT_URL']},use_path_request_style"
        plain = {name: text for name, text in os.environ.items() if not name.startswith("AWS")}
        process = subprocess.Popen(["s3fs", os.environ["BUCKET"], root, "-f", "-o", options], env=plain)
        try:
            deadline = time.monotonic() + MOUNT_SECONDS
            while not root.is_mount():
                assert process.poll() is None, f"s3fs ended with {process.returncode}"
                assert time.monotonic() < deadline, "s3fs does not mount"
                time.sleep(0.1)
            print(f"{use(root)} files")
        finally:
            subprocess.run(["umount", "--lazy", root], check=False, capture_output=True)
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
