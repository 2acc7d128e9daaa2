"""An environment of its own for each client, for their dependencies exclude each other. Kept between runs."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent / ".envs"
_MARK = "requires.txt"


def programs(name: str) -> Path:
    """Return the folder of a client's programs."""
    return FOLDER / name / ("Scripts" if sys.platform == "win32" else "bin")


def prepare(name: str, requires: Sequence[str]) -> Path:
    """Install a client's packages unless they are there, and return its Python.

    Raises:
        CalledProcessError: the environment could not be made.
    """
    folder, python = FOLDER / name, programs(name) / "python"
    mark, wanted = folder / _MARK, "".join(f"{line}\n" for line in requires)
    if mark.exists() and mark.read_text() == wanted and python.exists():
        return python
    print(f"{name}: installing {', '.join(requires)}", file=sys.stderr)
    mark.unlink(missing_ok=True)
    uv = Path(sys.executable).parent / "uv"
    if uv.exists():
        _run(uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, folder)
        _run(uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *requires)
    else:
        _run(sys.executable, "-m", "venv", folder)
        _run(python, "-m", "pip", "install", "--quiet", *requires)
    mark.write_text(wanted)
    return python


def _run(*command: object) -> None:
    subprocess.run(list(map(str, command)), check=True)
