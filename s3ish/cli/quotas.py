"""The command ``s3ish quota``: how much buckets and owners may hold, while a server runs or not."""

import re

import click

from s3ish.cli.shell import (
    config_option,
    json_option,
    load_settings,
    on_store,
    say_none,
    show_json,
    volumes_argument,
    volumes_option,
)

_SIZE = re.compile(r"(?i)(\d{1,18})\s*(?:([KMGTP])(i?)B?|B)?")
_kind = click.argument("kind", type=click.Choice(("bucket", "owner")))
_name = click.argument("name")


def read_size(text: str) -> int:
    """Return a size in bytes: a number, or one with a unit, as in 500MB and 10GiB. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text} is no size like 500MB or 10GiB")
    number, unit, binary = found.groups()
    return int(number) * ((1024 if binary else 1000) ** ("KMGTP".index(unit.upper()) + 1) if unit else 1)


@click.group("quota")
def quota() -> None:
    """How much buckets and owners may hold.

    NAME is the name of a bucket or the id of an owner. The commands work beside a running server; quotas of owners hold
    within seconds. Settings (quotas.*) give those that hold where none is set here.
    """


@quota.command("set")
@_kind
@_name
@click.option("--bytes", "size", default="0", metavar="SIZE", help="Most bytes, like 500MB or 10GiB; 0 for any number.")
@click.option("--objects", type=click.IntRange(min=0), default=0, help="Most objects with all versions; 0 for any.")
@volumes_option
@config_option
def set_quota(kind: str, name: str, size: str, objects: int, volumes: tuple[str, ...], config: str | None) -> None:
    """Give a bucket or an owner a quota; without a limit, take it away."""
    from s3ish.objects import quota_settings
    from s3ish.objects.quotas import Limits

    try:
        limits = Limits(read_size(size), objects)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    set_of = quota_settings.set_of_bucket if kind == "bucket" else quota_settings.set_of_owner
    settings = load_settings(config, storage__volumes=volumes or None)
    on_store(settings, lambda store: set_of(store, name, limits))


@quota.command("ls")
@volumes_argument
@json_option
@config_option
def list_quotas(volumes: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """List the quotas that are set, and what is held."""
    from s3ish.objects import quota_settings

    lines = on_store(load_settings(config, storage__volumes=volumes or None), quota_settings.described)
    if as_json:
        for kind, name, limits, held in lines:
            most = {"most_bytes": limits.bytes or None, "most_objects": limits.objects or None}
            show_json(**{kind: name}, **most, bytes=held.bytes + held.upload_bytes, objects=held.versions)
        return
    if not lines:
        say_none("no quotas are set")
    else:
        click.echo(f"{'most bytes':>16} {'held':>16} {'most objects':>13} {'held':>11}  name")
    for kind, name, limits, held in lines:
        click.echo(
            f"{limits.bytes or '-':>16} {held.bytes + held.upload_bytes:16} {limits.objects or '-':>13} "
            f"{held.versions:11}  {kind} {name}"
        )
