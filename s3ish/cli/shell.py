"""What all commands have in common: settings, and how they fail."""

import sys
from typing import Any, NoReturn

import click

from s3ish.config import ConfigError, Settings
from s3ish.config_sources import load

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


config_option = click.option("--config", metavar="FILE", help="TOML file of settings.")
volumes_option = click.option(
    "--volume", "volumes", multiple=True, metavar="DIR", help="A volume; give all, as for serve."
)
