"""A server on drives that fail under it and come back: each is a small file system of its own.

A drive takes no new files (``chattr +i``), or it is full, or it hangs: whatever changes it waits (``FIFREEZE``). These
end as they began. Or its journal is aborted, after which the kernel lets nothing be written, or it is gone: every call
ends in an I/O error. Then the file system must be mounted and the server started again.
"""

import fcntl
import os
import re
import subprocess
import time
import urllib.request
from contextlib import ExitStack, suppress

from tests.torture.powercut import IN_MEMORY, Disk, Server

LASTING = ("aborted", "gone")
FAILURES = ("read-only", "full", "hanging", *LASTING)
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
PATIENCE_SECONDS = 0.5
SETTLED_SECONDS = 120


class Drive(Disk):
    """A volume on a file system of its own. ``state`` is the failure, empty for none."""

    def __init__(self):
        super().__init__(place=IN_MEMORY)
        self.state = ""

    @property
    def volume(self):
        return self.root / "volume"

    def fail(self, how):
        """Fail in one of the ways of FAILURES."""
        self.state = how
        if how == "read-only":
            subprocess.run(["chattr", "+i", *self._folders()], check=True)
        elif how == "full":
            with (self.root / "filler").open("wb") as filler:
                for unit in (1 << 20, 4096):
                    with suppress(OSError):
                        while True:
                            os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), unit)
        elif how == "hanging":
            self._control(FIFREEZE)
        elif how == "aborted":
            for option in ("errors=remount-ro", "abort"):
                subprocess.run(["mount", "-o", f"remount,{option}", self.root], check=True)
        else:
            self.cut()

    def recover(self):
        """Be as before; if the failure was a lasting one, no server may be using it."""
        if self.state == "read-only":
            subprocess.run(["chattr", "-i", *self._folders()], check=True)
        elif self.state == "full":
            (self.root / "filler").unlink()
        elif self.state == "hanging":
            self._control(FITHAW)
        elif self.state in LASTING:
            self.unmount()
            self.mount()
        self.state = ""

    def _control(self, request):
        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, request, 0)
        finally:
            os.close(descriptor)

    def _folders(self):
        """Return where new files would be made: the volume and its buckets."""
        return [self.volume, *(folder for folder in self.volume.iterdir() if folder.name != ".s3ish")]


class Host:
    """A server, on one directory or on several drives, that can be started again.

    Args:
        folder: for the directory if there is but one volume.
        volumes: how many.
        workers: how many processes serve.
        errors: where the server's log goes.
        patience_seconds: for how long a drive may answer nothing. Where a machine is busy, 0.5 s may pass so as well.
    """

    def __init__(self, folder, volumes, workers, errors, patience_seconds=PATIENCE_SECONDS):
        self._stack = ExitStack()
        self.drives = [self._stack.enter_context(Drive()) for _ in range(volumes)] if volumes > 1 else []
        self._roots = [drive.volume for drive in self.drives] or [folder / "volume"]
        self._workers, self._errors, self._patience_seconds = workers, errors, patience_seconds
        self.start()

    @property
    def endpoint(self):
        return self.server.endpoint

    def start(self):
        """Start a server; its address is a new one."""
        self.server = Server(
            self._roots,
            self._workers,
            self._errors,
            S3ISH_STORAGE_DRIVE_TIMEOUT_SECONDS=str(self._patience_seconds),
        )

    @property
    def in_use(self):
        """The positions of the volumes that the server reads and writes."""
        with urllib.request.urlopen(f"{self.endpoint}/-/metrics", timeout=SETTLED_SECONDS) as answer:
            found = re.findall(r'^s3ish_volume_ok\{volume="(\d)"\} 1\.0$', answer.read().decode(), re.M)
        return set(map(int, found))

    def settle(self):
        """Wait until the server uses all drives again. While its index moves, it cuts connections or answers 503."""
        deadline = time.monotonic() + SETTLED_SECONDS
        while True:
            with suppress(OSError):
                if len(self.in_use) == len(self.drives):
                    return
            assert time.monotonic() < deadline, "a drive that answers is not used"
            time.sleep(0.05)

    def kill(self):
        """Kill the server, which no process survives that waits for a drive."""
        for drive in self.drives:
            if drive.state == "hanging":
                drive.recover()
        self.server.kill()

    def close(self):
        """Kill the server and remove the drives."""
        self.kill()
        self._stack.close()
