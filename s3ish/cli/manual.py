"""What a shell and ``man`` are given, made of the commands themselves: completion, and the manual page."""

import re
from collections.abc import Iterator

import click

from s3ish import __version__

_EXIT_CODES = (
    ("0", "a clean end"),
    ("1", "a failure; of check, heal, volumes and jobs: something is not as it should be"),
    ("2", "wrong usage"),
    ("78", "settings that cannot be used"),
)


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what lets a shell complete commands and options.

    \b
    bash: eval "$(s3ish completion bash)"        in ~/.bashrc
    zsh:  eval "$(s3ish completion zsh)"         in ~/.zshrc
    fish: s3ish completion fish > ~/.config/fish/completions/s3ish.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "s3ish", "_S3ISH_COMPLETE").source())


@click.command()
@click.pass_context
def man(ctx: click.Context) -> None:
    """Print the manual page.

    Read it by "s3ish man | man -l -", or install it as /usr/local/share/man/man1/s3ish.1.
    """
    root = ctx.find_root().command
    click.echo("\n".join(_page(click.Context(root, info_name="s3ish", **root.context_settings))))


def _page(ctx: click.Context) -> Iterator[str]:
    """Yield the lines of the page, in the macros of man(7)."""
    summary = ctx.command.get_short_help_str(200).rstrip(".")
    yield f'.TH S3ISH 1 "" "s3ish {__version__}" "User Commands"'
    yield from (".SH NAME", f"s3ish \\- {_escaped(summary)}")
    yield from (".SH SYNOPSIS", ".B s3ish", "COMMAND [OPTIONS] [ARGUMENTS]")
    yield ".SH COMMANDS"
    for each in _leaves(ctx):
        yield from _command(each)
    yield ".SH EXIT STATUS"
    for code, meaning in _EXIT_CODES:
        yield from (".TP", f".B {code}", meaning)


def _leaves(ctx: click.Context) -> Iterator[click.Context]:
    """Yield the context of every command that does something, by name."""
    group = ctx.command
    if not isinstance(group, click.Group):
        yield ctx
        return
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if command and not command.hidden:
            yield from _leaves(click.Context(command, parent=ctx, info_name=name, **command.context_settings))


def _command(ctx: click.Context) -> Iterator[str]:
    yield f'.SS "{_escaped(" ".join([ctx.command_path, *ctx.command.collect_usage_pieces(ctx)]))}"'
    yield from _paragraphs(ctx.command.help or "")
    for param in ctx.command.get_params(ctx):
        record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
        if record and "--help" not in param.opts:
            names, about = record
            yield from (".TP", f".B {_escaped(names)}", _escaped(about))
    if ctx.command.epilog:
        yield from (".PP", *_paragraphs(ctx.command.epilog))


def _paragraphs(text: str) -> Iterator[str]:
    r"""Yield the paragraphs of a help text; one that begins with \b keeps its lines, as click shows it."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", re.sub(r"(?m)^ {4}", "", text.strip("\n")))):
        if number:
            yield ".PP"
        lines = [_escaped(line) for line in paragraph.strip("\n").split("\n")]
        if lines[0].strip() == "\b":
            yield from (".nf", *lines[1:], ".fi")
        else:
            yield from (line.strip() for line in lines)


def _escaped(text: str) -> str:
    """Return a text as roff shows it: no backslash, hyphen or dot of it means something else."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
