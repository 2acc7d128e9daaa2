"""What all commands have in common: settings, and how they fail."""

import functools
import sys
from collections.abc import Awaitable, Callable, Collection
from typing import Any, NoReturn, TypeVar

import click
import msgspec
from click.shell_completion import CompletionItem

from s3ish.clock import Clock
from s3ish.config import ConfigError, Settings
from s3ish.config_sources import load, named

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

EX_FAILURE = 1
EX_CONFIG = 78


def fail(message: str, code: int = EX_FAILURE) -> NoReturn:
    """End the command with a line on standard error."""
    click.echo(f"s3ish: {message}", err=True)
    sys.exit(code)


def load_settings(config: str | None, **flags: Any) -> Settings:
    """Return the settings, of which flags win; two underscores in the name of a flag stand for the dot. May fail."""
    try:
        return load({name.replace("__", "."): value for name, value in flags.items()}, file=config)
    except ConfigError as error:
        fail(str(error), EX_CONFIG)


def named_settings(config: str | None) -> Collection[str]:
    """Return the dotted names of the settings that something else than a flag gives. May fail."""
    try:
        return named(config)
    except ConfigError as error:
        fail(str(error), EX_CONFIG)


def endpoint_of(settings: Settings, port: int | None = None) -> str:
    """Return where clients reach a server: on this machine unless settings say; ``port`` if it is another one."""
    return settings.server.url.rstrip("/") or listening(settings, port)


def listening(settings: Settings, port: int | None = None) -> str:
    """Return where a server listens, as this machine reaches it."""
    host = settings.server.host
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    scheme = "https" if settings.tls.certificates else "http"
    return f"{scheme}://{shown}:{port or settings.server.port}"


def printable(text: str) -> str:
    """Return a text whose control characters are escaped, so that a terminal obeys none of them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def on_store(settings: Settings, act: Callable[[Any], Awaitable[T]]) -> T:
    """Return what an action on the store gives, while a server runs or not; it may raise ValueError. May fail."""
    import asyncio

    from s3ish.blob.protocol import BlobError
    from s3ish.errors import S3Error
    from s3ish.index.protocol import IndexFailure
    from s3ish.process.index_place import beside

    async def run() -> T:
        async with beside(settings, Clock()) as store:
            return await act(store)

    try:
        return asyncio.run(run())
    except (BlobError, IndexFailure, S3Error, OSError, ValueError) as error:
        fail(str(error))


def say_none(what: str) -> None:
    """Say that a report is empty, which programs see by its having no lines."""
    click.echo(f"s3ish: {what}", err=True)


def show_json(**found: Any) -> None:
    """Print one JSON object on a line of its own."""
    click.echo(msgspec.json.encode(found))


def folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Have the shell complete an argument by the folders that there are."""
    return [CompletionItem(incomplete, type="dir")]


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Have the shell complete an argument by the files that there are."""
    return [CompletionItem(incomplete, type="file")]


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
config_option = click.option("--config", metavar="FILE", help="TOML file of settings.", shell_complete=files)


def _volume_option(name: str) -> Callable[[F], F]:
    about = "A volume; repeat the option to name all of them."
    return click.option("--volume", name, multiple=True, metavar="DIR", help=about, shell_complete=folders)


volumes_option = _volume_option("volumes")


def volumes_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command without other arguments have its ``volumes`` as arguments too."""

    @functools.wraps(command)
    def run(*, volumes: tuple[str, ...], named: tuple[str, ...], **others: Any) -> None:
        command(volumes=(*volumes, *named), **others)

    argument = click.argument("volumes", nargs=-1, metavar="[VOLUME]...", shell_complete=folders)
    return argument(_volume_option("named")(run))
