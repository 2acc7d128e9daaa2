"""Running the application under uvicorn: one process, or a supervisor with several workers."""

import asyncio
import contextlib
import ctypes
import fcntl
import functools
import gc
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog
import uvicorn

from s3ish.clock import Clock
from s3ish.config import Settings
from s3ish.http.certificates import Certificates
from s3ish.http.protocol import LimitedProtocol, Limits
from s3ish.http.tls import TlsConnection
from s3ish.index.protocol import IndexPlace
from s3ish.process.cores import usable_cores

log = structlog.get_logger()

BACKLOG = 2048

_METRICS = "s3ish-metrics-"
_SWEPT_SECONDS = 60
"""How old the metrics of a server must be before they count as left behind."""


class Served(Protocol):
    """What has been made ready to be served; see ``start.Preparation``."""

    begun: bool

    @property
    def index(self) -> IndexPlace:
        """Where the index is."""

    @property
    def movable(self) -> bool:
        """Whether the index can be made ready in another place."""

    def disown(self) -> None:
        """Close, in a process that was forked from this one, what this one alone is to hold."""

    def make_ready_again(self, elsewhere: bool) -> None:
        """Make the index ready once more, in another place if it failed where it is; no worker uses it."""


Create = Callable[[Settings, IndexPlace, Callable[[], None]], Any]
"""Makes an application of settings, the place of the index, and how to leave when that cannot be used."""


class Factory:
    """Makes the application in a worker; it travels to the worker, so it carries nothing but what describes it."""

    def __init__(self, create: Create, settings: Settings, served: Served, leave: Callable[[], None]) -> None:
        self._create, self._settings, self._index = create, settings, served.index
        self._leave = leave

    def __call__(self) -> Any:
        """Return the application."""
        if multiprocessing.parent_process() is not None:
            _end_with_parent()
        keep_memory_small()
        application = self._create(self._settings, self._index, self._leave)
        gc.freeze()  # what the start has made lives as long as the process and is no garbage: never look at it again
        return application


class CannotListen(OSError):
    """The address cannot be had; the text says which, why, and what to do."""

    def __init__(self, address: object, error: Exception) -> None:
        reason = getattr(error, "strerror", "") or error
        super().__init__(f"cannot listen on {address}: {reason}; choose another with --port or --host")


MOST_WORKERS = 8
"""How many workers are begun unless settings say: more of them have not been shown to serve more."""


def with_workers(settings: Settings) -> Settings:
    """Return settings that say how many workers there are: one a core where they leave it open."""
    if settings.server.workers:
        return settings
    count = 1 if settings.test.controls else min(MOST_WORKERS, usable_cores())
    return msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, workers=count))


def bind(host: str, port: int) -> socket.socket:
    """Return a socket with an address; port 0 takes any free one. Until it listens connections are refused.

    Raises:
        CannotListen: another server has the address, or it is none.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, ValueError) as error:  # ValueError: what no name can be
        bound.close()
        raise CannotListen(f"{host}:{port}", error) from error
    bound.set_inheritable(True)
    return bound


def listen(bound: socket.socket) -> None:
    """Let connections wait to be taken. Raises CannotListen: another server that starts was faster."""
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        raise CannotListen("{}:{}".format(*bound.getsockname()), error) from error


def run(
    settings: Settings,
    clock: Clock,
    create: Create,
    create_standby: Create,
    served: Served,
    bound: socket.socket,
    announce: Callable[[], None],
    certificates: Certificates | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then let requests finish for ``server.shutdown_seconds``.

    With certificates SIGHUP has them read again.

    Args:
        settings: all settings.
        clock: of the process that starts and ends the others.
        create: makes the application in the process that serves.
        create_standby: makes that of the process which answers while the index moves.
        served: what it serves.
        bound: where it listens.
        announce: called when signals are heeded and connections wait to be taken.
        certificates: of TLS; None for plain HTTP.

    Raises:
        CannotListen: another server was faster.
        ChildProcessError: it cannot serve; the log says why.
    """
    # deferred: the profile for tests has one process, which none looks after
    from s3ish.process.lone import Lone
    from s3ish.process.supervisor import Remedy, Supervisor, leave

    listen(bound)
    served.begun = True
    hang_up = certificates.load_again if certificates else None
    standby = functools.partial(_configure, settings, certificates, create_standby, served, leave)
    remedy = Remedy(served.make_ready_again, standby, served.movable, served.disown)
    if settings.server.workers == 1 and not served.movable:
        configured = functools.partial(_configure, settings, certificates, create, served)
        Lone(configured, bound, remedy, clock, hang_up).run(announce)
    else:
        configured_to_leave = functools.partial(_configure, settings, certificates, create, served, leave)
        supervisor = Supervisor(configured_to_leave, bound, remedy, clock, hang_up)
        announce()
        supervisor.run()
    log.info("stopped")


def certificates_of(settings: Settings, clock: Clock) -> Certificates | None:
    """Return the certificates that settings name, which have been read. Raises CertificateError."""
    if not settings.tls.certificates:
        return None
    certificates = Certificates(clock, settings.tls.certificates, settings.tls.keys, settings.tls.least_version)
    certificates.load()
    return certificates


def _configure(
    settings: Settings, certificates: Certificates | None, create: Create, served: Served, leave: Callable[[], None]
) -> uvicorn.Config:
    return configure(settings, Factory(create, settings, served, leave), certificates)


def configure(
    settings: Settings, factory: Callable[[], Any], certificates: Certificates | None = None
) -> uvicorn.Config:
    """Return how uvicorn is to serve an application that ``factory`` makes."""
    server = settings.server
    limits = Limits(
        server.header_bytes, server.header_timeout_seconds, server.body_timeout_seconds, server.max_connections
    )
    return uvicorn.Config(
        factory,
        factory=True,
        workers=server.workers,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=functools.partial(protocol_of, limits, certificates),  # type: ignore[arg-type]  # called like a class
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=server.idle_timeout_seconds,
        timeout_graceful_shutdown=server.shutdown_seconds,
        backlog=BACKLOG,
    )


def protocol_of(limits: Limits, certificates: Certificates | None, **arguments: Any) -> asyncio.BaseProtocol:
    """Return the protocol of one connection; the arguments are uvicorn's."""
    protocol = LimitedProtocol(limits=limits, **arguments)
    return TlsConnection(protocol, certificates) if certificates else protocol


def keep_memory_small() -> None:
    """Let all threads share one arena of glibc's allocator: one a thread would hold on to several MiB each.

    To be called before the first thread is started.
    """
    m_arena_max = -8
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(m_arena_max, 1)


def _end_with_parent() -> None:
    """Ask the kernel to end this worker when its supervisor is gone, so that nothing serves behind its back."""
    if sys.platform != "linux":
        return
    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGTERM)
    if os.getppid() == 1:
        os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def metrics_directory(workers: int) -> Iterator[None]:
    """Give several workers a place where their metrics meet; it must be named before metrics are imported."""
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix=_METRICS, dir=_temporary()) as directory:
        held = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            _sweep_metrics(os.fstat(held).st_mtime)
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
            yield
        finally:
            os.close(held)


def _temporary() -> str:
    """Return where files can be made that need not outlive the server, also in a container that is read-only."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return "/dev/shm"  # noqa: S108 - the directory in it is made with a random name


def _sweep_metrics(now: float) -> None:
    """Remove what servers have left that were killed; that of one that lives is locked, or a moment old.

    Args:
        now: in seconds since the epoch.
    """
    for directory in Path(_temporary()).glob(f"{_METRICS}*"):
        with contextlib.suppress(OSError):
            found = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if now - os.fstat(found).st_mtime > _SWEPT_SECONDS:
                    fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(found)
