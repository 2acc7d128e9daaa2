"""How a home (``bucket/key``, any text) becomes the name of a blob's directory, and back.

A key's folders stay folders and readable characters stay as they are, so that an operator finds an object by looking.
The rest is escaped reversibly:

* ``%XX``, bytes of UTF-8: what is not printable, ``%`` and ``@`` anywhere, ``.`` at the start of a component, and each
  slash that follows another slash or begins the home (``a//b`` is ``a/%2Fb``), so that no component is empty.
* ``%+`` at the end of a component: the segment goes on in the next component, because it was longer than a file
  system allows.

Thus joining the components with slashes, dropping ``%+/`` and decoding ``%XX`` gives the home. The last component ends
in ``@`` and the blob's random token, which alone makes it unique; folders hold no ``@`` and so never meet a blob.
"""

import re
from typing import NamedTuple

MARK_BYTES = 5
"""The random bytes of a process's mark."""

_MARK_CHARACTERS, _MARKED_CHARACTERS = 8, 24
"""A token begins with the mark of the process that made it; shorter tokens are from processes that have none."""

PIECE_BYTES = 200
"""The longest component before its ``%+`` or its token, in bytes; with them it stays below 230, and NAME_MAX is 255."""

_PLAIN = re.compile(r"[ -$&-\-0-?A-~][ -$&-.0-?A-~]{0,199}")
_ESCAPED = re.compile(rb"%([0-9A-F]{2})")


def mint(home: str, token: str) -> str:
    """Return the id of a new blob: its directory below a volume's root.

    A home without a slash (a bucket) lives in its own folder, as if a slash followed it.
    """
    folders, _, name = (home if "/" in home else home + "/").rpartition("/")
    components = []
    slashes = ""
    for segment in folders.split("/"):
        if segment:
            components += escape(slashes + segment)
            slashes = ""
        else:
            slashes += "/"
    pieces = escape(slashes + name) or [""]
    return "/".join([*components, *pieces]) + "@" + token


def home_of(blob: str) -> str:
    """Return the home that a blob's id was minted for."""
    text = blob.rpartition("@")[0].replace("%+/", "").encode("utf-8", "surrogatepass")
    home = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), text).decode("utf-8", "surrogatepass")
    return home[:-1] if home.find("/") == len(home) - 1 else home


def maker_of(name: str) -> str:
    """Return the mark of the process that made a blob, or a temporary file of one, given its id or name; or ""."""
    token = re.split("[@.]", name)[-1]
    return token[:_MARK_CHARACTERS] if len(token) == _MARKED_CHARACTERS else ""


class Past(NamedTuple):
    """What no living process works on: what is older than a moment, or was made by a process that has died.

    ``before_ns`` is in nanoseconds since the epoch, ``dead`` are the marks of processes.
    """

    before_ns: int
    dead: frozenset[str] = frozenset()

    def holds(self, name: str, made_ns: int) -> bool:
        """Whether it holds a blob, or a temporary file of one, given its id or name."""
        return made_ns < self.before_ns or maker_of(name) in self.dead


def escape(segment: str) -> list[str]:
    """Return the components that a segment becomes: one, more if it is long, none if it is empty."""
    if _PLAIN.fullmatch(segment):
        return [segment]
    pieces: list[str] = []
    piece, size = "", 0
    for character in segment:
        unit = _unit(character, first=not piece)
        length = len(unit.encode())
        if size + length > PIECE_BYTES:
            pieces.append(piece + "%+")
            piece, size = "", 0
            unit = _unit(character, first=True)
            length = len(unit.encode())
        piece += unit
        size += length
    return [*pieces, piece] if piece else pieces


def _unit(character: str, *, first: bool) -> str:
    if character.isprintable() and character not in "%@/" and not (first and character == "."):
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
