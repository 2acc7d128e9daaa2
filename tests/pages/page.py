"""The commands of a page, run in their order in one shell, as a reader types them.

What stands in a block ``console`` behind ``$`` is a command, which must end with 0; what stands below one is what it
prints, where ``…`` stands for any text. A block with a title is a file of that name. ``<!-- test: … -->`` is what the
reader has, or what shows that the commands did what the page says. Ports are free ones, and folders of the machine are
folders of the test: both are replaced in the whole text, before it is read.
"""

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.waiting import WAIT_SECONDS

ROOT = Path(__file__).parents[2]
TASKS = ROOT / "docs" / "tasks"
PORTS = ("9000", "9001", "4566", "5000")
FOLDERS = r"(?<![\w.:/-])/(?=(?:srv|mnt|etc|opt|backup|data)\b)"
STAND_INS = ("in-a-terminal", "stop-terminals", "run-steps", "sudo", "systemctl", "useradd", "docker", "kubectl")
BLOCK = r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$|^<!-- test: (.*?) -->$"


class Command(NamedTuple):
    """A command, and the lines that it prints."""

    text: str
    prints: list[str]


class Block(NamedTuple):
    """A block of code: its language, the name of the file that it is, and what is in it; what a test alone runs."""

    language: str
    title: str
    text: str
    hidden: str

    @property
    def commands(self):
        """The commands of a block ``console``, and those of the test."""
        if self.hidden:
            return [Command(self.hidden, [])]
        if self.language != "console":
            return []
        found = []
        for line in self.text.splitlines():
            if found and found[-1].text.endswith("\\"):
                found[-1] = Command(f"{found[-1].text}\n{line}", [])
            elif line.startswith("$ "):
                found.append(Command(line[2:], []))
            else:
                found[-1].prints.append(line)
        return found


def blocks(text):
    """Return the blocks of code in the text of a page."""
    found = [Block(*it) for it in re.findall(BLOCK, text, re.M | re.S)]
    assert text.count("```") == 2 * len([it for it in found if not it.hidden]), "a block that cannot be read"
    return found


def is_server(command):
    """Whether a command serves until it is ended: it has a terminal of its own."""
    words = [word for word in shlex.split(command.replace("\\\n", " ")) if "=" not in word.partition(" ")[0]]
    return words[:1] == ["s3ish"] and words[1:2] in (["serve"], ["server"])


def free_ports():
    """Return a free port for each of those that pages name, below those that the kernel gives to others meanwhile."""
    numbers = range(20_000, 32_000)
    tried = (numbers[(os.getpid() * 101 + more) % len(numbers)] for more in range(len(numbers)))
    free = (number for number in tried if is_free(number))
    return {name: str(next(free)) for name in PORTS}


def is_free(port):
    """Whether a server may listen on a port."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("", port))
        except OSError:
            return False
        return True


class Run:
    """A page whose commands are run in a folder.

    Args:
        page: the path of it.
        folder: an empty one.
        leave_out: commands that are not run.
    """

    def __init__(self, page, folder, leave_out=()):
        self.ports, self.folder = free_ports(), folder
        self.blocks = blocks(self._placed(page.read_text()))
        self._leave_out = set(map(self._placed, leave_out))
        self.commands, self.left_out = [], []

    def _placed(self, text):
        """Return a text with the ports and folders of this run."""
        text = re.sub(rf"\b({'|'.join(PORTS)})\b", lambda found: self.ports[found[1]], text)
        return re.sub(FOLDERS, f"{self.folder}/machine/", text)

    def script(self):
        """Return what bash runs; as it goes on it names the command that it is at."""
        lines = ["set -eu -o pipefail"]
        for block in self.blocks:
            if block.title:
                lines.append(f"mkdir -p {shlex.quote(os.path.dirname(block.title) or '.')}")
                lines.append(f"cat > {shlex.quote(block.title)} <<'END OF FILE'\n{block.text}END OF FILE")
            for command in block.commands:
                if command.text in self._leave_out:
                    self.left_out.append(command.text)
                    continue
                lines.append(self._line(command))
                self.commands.append(command)
        return "\n".join(lines) + "\n"

    def _line(self, command):
        number = len(self.commands)
        run = command.text
        if is_server(run):
            run = f"in-a-terminal {shlex.quote(f'exec env {run}')}"
        return f"echo {number} > {self.folder}/at\n{{ {run}\n}} > {self.folder}/{number}.out"

    def environment(self):
        """Return what the shell has in its environment."""
        binaries = self.folder / "bin"
        binaries.mkdir()
        for name in STAND_INS:
            (binaries / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.pages.stand_ins {name} "$@"\n')
            (binaries / name).chmod(0o755)
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("S3ISH", "AWS", "MINIO", "PYTEST"))
        }
        return own | {
            "PATH": f"{binaries}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
            "PAGE_RUN": str(self.folder),
            "S3ISH_FSYNC": "false",
            "S3ISH_WORKERS": "1",
            "S3ISH_PORT": self.ports["9000"],
        }

    def run(self):
        """Run all commands. Raises AssertionError: one has failed, or has printed something else."""
        work = self.folder / "work"
        work.mkdir()
        for name in ("docs", "tests", "compose.yaml", "Dockerfile"):
            (work / name).symlink_to(ROOT / name)
        for name in ("srv", "mnt", "etc", "backup", "data", "opt/s3ish/bin", "etc/systemd/system"):
            (self.folder / "machine" / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "machine/opt/s3ish/bin/s3ish").symlink_to(Path(sys.executable).parent / "s3ish")
        ended = subprocess.run(
            ["bash", "-c", self.script()],
            env=self.environment(),
            cwd=work,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WAIT_SECONDS * 2,
            check=False,
        )
        if ended.returncode:
            number = int((self.folder / "at").read_text())
            shown = (self.folder / f"{number}.out").read_text()
            raise AssertionError(f"{self.commands[number].text}\n{shown}{ended.stdout}")
        for number, command in enumerate(self.commands):
            self._compare(command, (self.folder / f"{number}.out").read_text().splitlines())

    @staticmethod
    def _compare(command, printed):
        lines = iter(printed)
        for wanted in command.prints:
            pattern = ".*".join(map(re.escape, wanted.strip().split("…")))
            assert any(re.fullmatch(pattern, line.strip()) for line in lines), (
                f"{command.text}\nprints {printed}, not {wanted}"
            )
