"""The process over the workers: one that dies is replaced; if the index fails, all begin anew with it elsewhere.

A process that waits for a drive which does not answer cannot be killed before the kernel gives up, and a process whose
threads were killed does no more harm: such a one is left behind. It ends when its drive lets it.
"""

import atexit
import multiprocessing
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event
from typing import NamedTuple

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from s3ish.clock import Clock
from s3ish.process.worker import Worker

log = structlog.get_logger()

_LOOK_SECONDS = 0.2
"""How often it looks whether there is something to do."""

_KILL_SECONDS = 1.0
"""How long a process may take to end that was killed; and, before that, when it was told to because it cannot serve."""

ATTEMPTS = 3
"""How often workers begin anew before it is believed that this does not help."""

_GRACE_SECONDS = 2
"""How long after its requests were given up a worker may take to end."""


def leave() -> None:
    """Tell the supervisor, from a worker, that the index cannot be used where it is; then end all connections.

    Nothing else would end them if the process waits for a drive: it cannot be killed then.
    """
    supervisor = multiprocessing.parent_process()
    if supervisor and supervisor.pid == os.getppid():  # or that has ended, and this process belongs to another one
        os.kill(supervisor.pid, signal.SIGUSR1)
    Event().wait(_KILL_SECONDS / 2)  # for answers that are on their way
    with suppress(FileNotFoundError):  # where there is no such folder, connections end when the process does
        for name in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                _hang_up(int(name))


def _hang_up(descriptor: int) -> None:
    """End the connection that a descriptor is of, if it is of one. Raises OSError."""
    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            if connection.family != socket.AF_UNIX:
                connection.getpeername()  # or it is the one that listens
                connection.shutdown(socket.SHUT_RDWR)


class Remedy(NamedTuple):
    """How to make ready once more what is served, ``elsewhere`` if the index failed where it is; what a process is to
    run that answers meanwhile; whether the index can go to another drive; and what closes, in a worker that was forked,
    what this process holds alone."""

    make_ready: Callable[[bool], None]
    configure_standby: Callable[[], uvicorn.Config]
    movable: bool
    disown: Callable[[], None]

    @contextmanager
    def answering(self, bound: socket.socket) -> Iterator[None]:
        """Have a process answer meanwhile. Signals end this one, as they do while it starts."""
        standby = Process(self.configure_standby(), [bound])
        standby.start()
        try:
            with _as_before():
                yield
        finally:
            standby.terminate()
            standby.process.join(_KILL_SECONDS)
            standby.process.kill()


class Supervisor(Multiprocess):
    """Keeps workers running until SIGTERM, SIGINT or SIGHUP. The second begins when the first one serves.

    Args:
        configure: returns what workers are to run.
        bound: where they listen.
        remedy: for workers that cannot go on, after which ``configure`` names the new place.
        clock: tells how long workers take.
        hang_up: what SIGHUP is for; None if it ends the server.
    """

    processes: list[Worker]  # type: ignore[assignment]  # of ours

    def __init__(
        self,
        configure: Callable[[], uvicorn.Config],
        bound: socket.socket,
        remedy: Remedy,
        clock: Clock,
        hang_up: Callable[[], None] | None = None,
    ) -> None:
        ignores_hang_up = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        super().__init__(configure(), sockets=[bound])
        if ignores_hang_up:  # under nohup
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._hang_up = hang_up
        self._configure, self._remedy, self._clock = configure, remedy, clock
        self._left: list[Worker] = []
        self._asked = False
        self._may_fork = True  # no drive is suspected of not answering
        self._begun = 0  # how often since a worker was ready

    def run(self) -> None:
        """Serve. Raises ChildProcessError if workers cannot, and what the remedy raises; no worker is left then."""
        try:
            self.init_processes()
            while not self.should_exit.wait(_LOOK_SECONDS):
                self.handle_signals()
                if self._asked:
                    self._begin_anew(elsewhere=True)
                self.keep_subprocess_alive()
                if self.processes and self.processes[0].ready and len(self.processes) < self.processes_num:
                    self.processes += [self._worker(self.config) for _ in range(self.processes_num - 1)]
                self._forget_those_that_ended()
        finally:
            self._end_all((self.config.timeout_graceful_shutdown or 0) + _GRACE_SECONDS)
            self._forget_those_that_ended()
            if self._left:
                atexit.register(os._exit, 1)  # the end of this process does not wait for theirs

    def init_processes(self) -> None:
        """Begin the first worker; the others would only hold up its first answer."""
        self.processes.append(self._worker(self.config))

    def _worker(self, config: uvicorn.Config) -> Worker:
        """Begin a worker."""
        worker = Worker(config, self.sockets, self._clock, self._release, may_fork=self._may_fork)
        worker.start()
        return worker

    def _release(self) -> None:
        """Close, in a worker that was forked, what is no business of its own."""
        for worker in self.processes:
            worker.hang_up()
        self._remedy.disown()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have died; see ``Multiprocess``."""
        for number, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if process.is_alive():
                if process.ready:
                    self._begun = 0
                continue
            process.kill()
            process.process.join(_KILL_SECONDS)
            if process.exitcode in (None, STARTUP_FAILURE):
                hangs = process.exitcode is None  # it waits for a drive
                if hangs and not self._remedy.movable:
                    raise ChildProcessError("a worker hangs on a drive, and the index can go to no other")
                self._begin_anew(elsewhere=hangs)
                return
            log.warning("a worker died and is replaced", pid=process.pid, exitcode=process.exitcode)
            self.processes[number] = self._worker(self.config)

    def handle_hup(self) -> None:
        """The terminal is gone, and so would be a server of one process; or there is another meaning."""
        (self._hang_up or self.should_exit.set)()

    def handle_ttin(self) -> None:
        """Do nothing: it is no wish for more workers."""

    def handle_ttou(self) -> None:
        """Do nothing."""

    def handle_usr1(self) -> None:
        """A worker cannot use the index."""
        self._asked = True

    def _begin_anew(self, *, elsewhere: bool) -> None:
        """Begin as after a start. Raises ChildProcessError if that cannot help."""
        if self._begun == ATTEMPTS:
            raise ChildProcessError("workers cannot serve; the log says why")
        where = "it moves" if self._remedy.movable else "it is looked through, and rebuilt if it is damaged"
        log.error(f"the index cannot be used where it is; {where}" if elsewhere else "workers cannot begin; once more")
        self._may_fork = self._may_fork and not elsewhere
        interim = self._worker(self._remedy.configure_standby())
        self._end_all(_KILL_SECONDS)
        self.processes.append(interim)
        with _as_before():
            self._remedy.make_ready(elsewhere)
        self._end_all(_KILL_SECONDS)
        self.signal_queue = [number for number in self.signal_queue if number != signal.SIGUSR1]  # of those that ended
        self._asked, self._begun = False, self._begun + 1
        self.config = self._configure()
        self.init_processes()

    def _forget_those_that_ended(self) -> None:
        self._left = [process for process in self._left if process.exitcode is None]

    def _end_all(self, seconds: float) -> None:
        """Tell all workers to end, kill those that do not in time, and leave behind what cannot be killed."""
        self.terminate_all()
        self._join_all(seconds)
        for process in self.processes:
            process.process.kill()
        self._join_all(_KILL_SECONDS)
        for process in self.processes:
            if process.exitcode is None:
                log.error("a worker hangs on a drive that does not answer; it is left behind", pid=process.pid)
                self._left.append(process)
        self.processes.clear()

    def _join_all(self, seconds: float) -> None:
        deadline = self._clock.monotonic() + seconds
        for process in self.processes:
            process.process.join(max(0.0, deadline - self._clock.monotonic()))


@contextmanager
def _as_before() -> Iterator[None]:
    """Let signals end this process, as they do while it starts."""
    on_term = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    on_int = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, on_term)
        signal.signal(signal.SIGINT, on_int)
