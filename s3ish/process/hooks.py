"""Scripts that prepare a server before others reach it, in the folders where images of other servers look for them.

They are run one after the other against the server itself, which listens for them alone, on loopback. One that fails
ends the start.

https://docs.localstack.cloud/references/init-hooks
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import structlog

from s3ish.config import Settings

log = structlog.get_logger()

_KINDS = (".sh", ".py")


class HookFailed(OSError):
    """A script has not ended well; the text says which and how."""


def find_hooks(settings: Settings) -> list[Path]:
    """Return the scripts in the folders of ``server.init_folders``: of each its files by name, then its folders.

    Hidden ones are left out: of a ConfigMap that is mounted, Kubernetes keeps each file there once more. Links to
    folders are not followed.

    Raises:
        HookFailed: a folder is there and cannot be read.
    """
    return [path for folder in settings.server.init_folders for path in _within(Path(folder))]


def names_of_hooks(settings: Settings) -> list[str]:
    """Return the names of the files of ``find_hooks``; none of a folder that the start could not have read either."""
    try:
        return [path.name for path in find_hooks(settings)]
    except HookFailed:
        return []


def _within(folder: Path) -> Iterator[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise HookFailed(f"cannot read the scripts in {folder}: {error.strerror}") from error
    yield from (path for path in found if path.suffix in _KINDS and path.is_file())
    for path in found:
        if path.is_dir() and not path.is_symlink():
            yield from _within(path)


def private_socket() -> socket.socket:
    """Return a socket on loopback that listens for scripts alone."""
    private = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    private.bind(("127.0.0.1", 0))
    private.listen()
    return private


async def run_hooks(hooks: Iterable[Path], settings: Settings, private: socket.socket) -> None:
    """Run scripts one after the other.

    Args:
        hooks: what ``find_hooks`` has found.
        settings: all settings; ``server.init_timeout_seconds`` is for each.
        private: where the server listens for them.

    Raises:
        HookFailed: one has not ended with exit code 0 in time.
    """
    environment = _environment(settings, f"http://127.0.0.1:{private.getsockname()[1]}")
    for path in hooks:
        log.info("runs a script of the start", script=str(path))
        await _run(path, environment, settings.server.init_timeout_seconds)


def _environment(settings: Settings, endpoint: str) -> Mapping[str, str]:
    """Return the variables by which AWS's clients in a script come to the server."""
    access_key, secret_key = settings.root_keys
    others = ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE")
    kept = {name: text for name, text in os.environ.items() if name not in others}
    return kept | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_DEFAULT_REGION": settings.server.region,
        "AWS_REGION": settings.server.region,
    }


async def _run(path: Path, environment: Mapping[str, str], seconds: float) -> None:
    runner = [] if os.access(path, os.X_OK) else [sys.executable if path.suffix == ".py" else "sh"]
    try:
        process = await asyncio.create_subprocess_exec(
            *runner,
            str(path),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),  # on ours others read where the server is
            start_new_session=True,
        )
    except OSError as error:
        raise HookFailed(f"cannot run {path}: {error.strerror}") from error
    try:
        async with asyncio.timeout(seconds):
            code = await process.wait()
    except TimeoutError:
        raise HookFailed(f"{path} has not ended within {seconds:g} seconds (server.init_timeout_seconds)") from None
    finally:
        with contextlib.suppress(ProcessLookupError):  # what it has left running, too
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if code:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise HookFailed(f"{path} {how}; what it wrote stands above")
