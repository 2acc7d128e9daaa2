"""The manual page says what ``--help`` says, and shells complete what there is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from s3ish.cli.main import main


def leaves(group, path="s3ish"):
    """Yield each command that does something, with the words that name it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


COMMANDS = dict(leaves(main))


@pytest.fixture(scope="module")
def page():
    """The source of the page."""
    return CliRunner().invoke(main, ["man"], catch_exceptions=False).stdout


def plain(source):
    """Return what roff shows of a text, in one line."""
    text = re.sub(r"^\.(SS|SH|TH|TP|PP|B|nf|fi)\b ?", "", source, flags=re.M)
    for written, shown in (("\\-", "-"), ("\\(dq", '"'), ("\\(aq", "'"), ("\\&", ""), ("\\e", "\\")):
        text = text.replace(written, shown)
    return " ".join(text.split())


def in_a_line(text):
    return " ".join(text.replace("\b", " ").split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_says_of_a_command_what_its_help_says(page, name):
    (section,) = re.findall(rf'^\.SS "{re.escape(name)} (.*?)(?=^\.S[SH])', page.replace("\\-", "-"), re.M | re.S)
    section = plain(section)
    command = COMMANDS[name]
    assert in_a_line(command.help) in section
    assert in_a_line(command.epilog or "") in section
    ctx = click.Context(command, info_name=name)
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            names, about = option.get_help_record(ctx)
            assert in_a_line(f"{names} {about}") in section


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_the_page_is_typeset_without_a_warning(page):
    typeset = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww"], input=page, capture_output=True, text=True, check=False
    )
    assert (typeset.returncode, typeset.stderr) == (0, "")
    shown = re.sub(r"\x1b\[\d*m|.\x08", "", typeset.stdout)
    assert 'S3ISH_SECRET_KEY="$(openssl rand -hex 24)" \\' in shown, "nothing of an example is lost"


def test_a_line_that_begins_with_a_dot_is_no_request():
    @click.command("odd")
    @click.pass_context
    def odd(ctx):
        r""".TH is \e no 'request'."""

    root = click.Group("s3ish", commands={"odd": odd, "man": main.commands["man"]}, help="Help.")
    printed = CliRunner().invoke(root, ["man"], catch_exceptions=False).stdout
    assert "\\&.TH is \\ee no \\(aqrequest\\(aq." in printed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell):
    printed = CliRunner().invoke(main, ["completion", shell], catch_exceptions=False).stdout
    assert f"_S3ISH_COMPLETE={shell}_complete" in printed
    assert re.search(r"(complete|compdef).* s3ish\b", printed)


def test_another_shell_is_wrong_usage():
    assert CliRunner().invoke(main, ["completion", "cmd"]).exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("s3ish quo", ["quota"]),
        ("s3ish quota s", ["set"]),
        ("s3ish serve --por", ["--port"]),
        ("s3ish serve dri", ["-o dirnames"]),
        ("s3ish check --volume dri", ["-o dirnames"]),
        ("s3ish serve --config con", ["-o default"]),
        ("s3ish completion z", ["zsh"]),
    ],
)
def test_bash_completes(typed, offered):
    """For folders and files the script asks bash, which knows them: that is what is looked at."""
    words = typed.split()
    script = f"""
        eval "$(s3ish completion bash)"
        COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; COMP_LINE='{typed}'; COMP_POINT=${{#COMP_LINE}}
        compopt() {{ FOUND="$1 $2"; }}
        "$(complete -p s3ish | sed 's/.*-F \\([^ ]*\\).*/\\1/')" s3ish '{words[-1]}' '{words[-2]}'
        printf '%s\\n' "${{COMPREPLY[@]:-$FOUND}}"
        complete -p s3ish
    """
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ended = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    *replies, registered = ended.stdout.splitlines()
    assert registered.startswith("complete "), ended.stderr
    assert replies == offered, ended.stderr
