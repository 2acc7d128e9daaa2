"""The command ``s3ish key``: named keys, by which objects are encrypted, while a server runs or not."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from s3ish.cli.shell import (
    config_option,
    fail,
    json_option,
    load_settings,
    on_store,
    say_none,
    show_json,
    volumes_argument,
    volumes_option,
)

T = TypeVar("T")

_name = click.argument("name", metavar="KEY")


@click.group("key")
def key() -> None:
    """Keys by which objects are encrypted (SSE-KMS).

    KEY is an id, an alias or an ARN. The commands work beside a running server, and need its master key.
    """


@key.command()
@click.option("--alias", default="", metavar="alias/NAME", help="A name for it.")
@click.option("--description", default="", help="What it is for.")
@volumes_argument
@config_option
def create(alias: str, description: str, volumes: tuple[str, ...], config: str | None) -> None:
    """Make a key, and print its ARN."""
    from s3ish.objects import named_keys

    if alias and (not named_keys.ALIAS.fullmatch(alias) or alias.startswith("alias/aws/")):
        raise click.UsageError(f"{alias} is not of the form alias/NAME, or begins with alias/aws/")

    async def make(store: Any) -> str:
        return named_keys.arn_of(store, await named_keys.create(store, alias, description))

    try:
        click.echo(_on_store(volumes, config, make))
    except named_keys.NameTaken:
        fail(f"there is a key with the alias {alias}")


@key.command("ls")
@volumes_argument
@json_option
@config_option
def list_keys(volumes: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """List all keys."""
    from s3ish.objects import named_keys

    async def read(store: Any) -> list[tuple[Any, list[str]]]:
        names = await named_keys.aliases(store)
        found = [stored.document for stored in await named_keys.every(store)]
        return [(it, sorted(alias for alias, of in names.items() if of == it.id)) for it in found]

    found = _on_store(volumes, config, read)
    if not as_json and not found:
        say_none("there are no keys")
    elif not as_json:
        click.echo(f"{'id':<36}  {'state':<15}  {'newest':<10}  {'no.':>3}  aliases")
    for each, aliases in found:
        newest = each.materials[-1]
        made = datetime.fromtimestamp(newest.made_ns // 10**9, UTC)
        if as_json:
            show_json(key=each.id, state=each.state, newest_made=made, newest_number=newest.number, aliases=aliases)
        else:
            click.echo(f"{each.id}  {each.state:<15}  {made:%Y-%m-%d}  {newest.number:>3}  {', '.join(aliases)}")


@key.command()
@_name
@volumes_option
@config_option
def enable(name: str, volumes: tuple[str, ...], config: str | None) -> None:
    """Let a key be used again that was disabled, or marked for deletion."""
    _set_state(name, "Enabled", volumes, config)


@key.command()
@_name
@volumes_option
@config_option
def disable(name: str, volumes: tuple[str, ...], config: str | None) -> None:
    """Keep a key from use: what is encrypted under it cannot be read until it is enabled again."""
    _set_state(name, "Disabled", volumes, config)


@key.command()
@_name
@volumes_option
@config_option
def rotate(name: str, volumes: tuple[str, ...], config: str | None) -> None:
    """Give a key a new material, and seal the keys of all its objects under that. No data is written."""
    from s3ish.objects import named_keys, rewrapping

    async def turn(store: Any) -> str:
        number = await named_keys.add_material(store, name)
        stored = await named_keys.find(store, name)
        return f"material {number}, {await rewrapping.renew(store, stored.document.id)} objects"

    click.echo(_on_store(volumes, config, turn))


@key.command()
@volumes_argument
@config_option
def rewrap(volumes: tuple[str, ...], config: str | None) -> None:
    """Seal all keys under the newest master key and the newest materials: then the one before is not needed."""
    from s3ish.objects import master_keys, named_keys, rewrapping

    async def again(store: Any) -> str:
        done = f"{await named_keys.seal_again(store)} named keys, {await rewrapping.renew(store)} objects"
        if left := await master_keys.forget_older(store):
            done += f"; {left} parts of uploads still need an older master key"
        return done

    click.echo(_on_store(volumes, config, again))


@key.command()
@_name
@click.option("--forever", is_flag=True, help="Remove it now: what is encrypted under it is lost.")
@volumes_option
@config_option
def rm(name: str, forever: bool, volumes: tuple[str, ...], config: str | None) -> None:
    """Mark a key for deletion; "enable" takes that back. With --forever it is removed."""
    from s3ish.objects import named_keys

    if forever:
        _on_store(volumes, config, lambda store: named_keys.destroy(store, name))
    else:
        _set_state(name, "PendingDeletion", volumes, config)


def _set_state(name: str, state: Any, volumes: tuple[str, ...], config: str | None) -> None:
    from s3ish.objects import named_keys

    _on_store(volumes, config, lambda store: named_keys.set_state(store, name, state))


def _on_store(volumes: tuple[str, ...], config: str | None, act: Callable[[Any], Awaitable[T]]) -> T:
    """Return what an action on the store gives. Fails where the store cannot be used, or has no master key."""
    settings = load_settings(config, storage__volumes=volumes or None)
    if not settings.encryption.master_key:
        fail("named keys need a master key: set S3ISH_MASTER_KEY, or encryption.master_key")
    return on_store(settings, act)
