"""Who uses a volume: locks on files in ``.s3ish``, which the kernel releases when their holder dies.

One server holds ``lock``, its workers share ``workers.lock``, and each worker holds a file of its own by which others
can tell whether it lives: what it was making when it died will never be finished.
"""

import errno
import fcntl
import os
import re
from contextlib import ExitStack, suppress

from s3ish.blob.protocol import InUse
from s3ish.blob.volumes.calls import Calls
from s3ish.blob.volumes.identity import PRIVATE

_HOLDER = re.compile(rb"([0-9]{1,10} on [A-Za-z0-9._-]{1,64})\n")
_WORKER = re.compile(r"worker\.([a-z2-7]+)\.lock")
_TO_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Locks:
    """The locks that this process holds on one volume.

    Args:
        calls: of the volume.
        root: a descriptor of its root directory, open as long as the locks are used.
    """

    def __init__(self, calls: Calls, root: int) -> None:
        self._calls, self._root = calls, root
        self._held: list[int] = []

    def take_server(self) -> None:
        """Take the volume for one server, until ``release``.

        Raises:
            InUse: another server holds it, or a worker of a server that died is still running.
        """
        lock = self._take("lock", fcntl.LOCK_EX, f"{self._calls.volume} is in use by another s3ish server")
        _tell_holder(lock)
        try:
            workers = self._take("workers.lock", fcntl.LOCK_EX, "")
        except InUse:
            ended = f"a worker of an s3ish server that ended is still using {self._calls.volume}"
            raise InUse(ended + self._workers_told()) from None
        self._held.remove(workers)
        os.close(workers)

    def take_worker(self, mark: str = "") -> None:
        """Say, until ``release``, that a worker of the server uses the volume. Raises InUse.

        Args:
            mark: by which others can tell whether the worker lives.
        """
        self._take("workers.lock", fcntl.LOCK_SH, f"another s3ish server is starting on {self._calls.volume}")
        if mark:  # it gets its name when the lock is held: seen without one, the worker is dead
            new, path = f"{PRIVATE}/.{mark}.lock", _path(mark)
            _tell_holder(
                self._take(f".{mark}.lock", fcntl.LOCK_EX, f"two workers on {self._calls.volume} have one mark")
            )
            with self._calls.to(path):
                os.rename(new, path, src_dir_fd=self._root, dst_dir_fd=self._root)

    def dead_workers(self) -> set[str]:
        """Return the marks of the workers that ended without ``forget_worker``. Raises Missing, VolumeError."""
        return {mark for mark, lives in self._workers().items() if not lives}

    def live_workers(self) -> set[str]:
        """Return the marks of the workers that live. Raises Missing, VolumeError."""
        return {mark for mark, lives in self._workers().items() if lives}

    def _workers(self) -> dict[str, bool]:
        """Return the marks of workers, and whether each lives."""
        found = {}
        with self._calls.to(PRIVATE):
            for name in self._names():
                if worker := _WORKER.fullmatch(name):
                    with suppress(FileNotFoundError):  # it ended well meanwhile
                        found[worker[1]] = self._is_held(name)
        return found

    def _workers_told(self) -> str:
        """Return which processes the workers are that live, as far as they have written that into their files."""
        told = set()
        for mark in self.live_workers():
            with suppress(OSError):
                descriptor = os.open(_path(mark), _TO_LOOK, dir_fd=self._root)
                told.add(_holder(descriptor))
                os.close(descriptor)
        return ",".join(sorted(told - {""}))

    def _is_held(self, name: str) -> bool:
        descriptor = os.open(f"{PRIVATE}/{name}", _TO_LOOK, dir_fd=self._root)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # which others that look may have, too
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def forget_worker(self, mark: str) -> None:
        """Forget a worker: it ends, or all that it left has been dealt with. Raises VolumeError."""
        with self._calls.to(mark), suppress(FileNotFoundError):
            os.unlink(_path(mark), dir_fd=self._root)

    def release(self) -> None:
        """Give up all locks; idempotent. The root may be closed then."""
        for descriptor in self._held:
            os.close(descriptor)
        self._held.clear()
        self._root = -1

    def _take(self, name: str, kind: int, message: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with self._calls.to(f"{PRIVATE}/{name}"):
            try:
                descriptor = os.open(f"{PRIVATE}/{name}", flags, 0o600, dir_fd=self._root)
            except OSError as error:
                if error.errno != errno.EROFS or name not in self._names():
                    raise
                descriptor = os.open(f"{PRIVATE}/{name}", flags & ~(os.O_RDWR | os.O_CREAT), dir_fd=self._root)
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                told = message + _holder(descriptor)
                os.close(descriptor)
                raise InUse(told) from None
        self._held.append(descriptor)
        return descriptor

    def _names(self) -> list[str]:
        descriptor = os.open(PRIVATE, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._root)
        try:
            return os.listdir(descriptor)
        finally:
            os.close(descriptor)


def is_left_to_workers(root: str) -> bool:
    """Whether workers use a volume whose server has ended. What cannot be looked at has none.

    Args:
        root: its directory, which need not be there.
    """
    with suppress(OSError), ExitStack() as files:

        def take(name: str, kind: int, access: int) -> None:
            descriptor = os.open(f"{root}/{PRIVATE}/{name}", access | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            files.callback(os.close, descriptor)
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)

        take("lock", fcntl.LOCK_SH, os.O_RDONLY)  # first: no worker begins while another looks
        try:
            take("workers.lock", fcntl.LOCK_EX, os.O_RDWR)
        except BlockingIOError:
            return True
    return False


def _tell_holder(descriptor: int) -> None:
    """Write into a lock which process holds it, for people: the kernel says whether it is held."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} on {os.uname().nodename}\n".encode(), 0)


def _holder(descriptor: int) -> str:
    """Return which process holds a lock, as far as it has written that into the file."""
    found = _HOLDER.match(os.pread(descriptor, 256, 0))
    return f" (process {found[1].decode()})" if found else ""


def _path(mark: str) -> str:
    return f"{PRIVATE}/worker.{mark}.lock"
