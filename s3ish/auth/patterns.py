"""The texts of policies: wildcards, and variables that stand for values of the request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

Values = Callable[[str], tuple[str, ...]]
"""Returns the values of a condition key in a request, none if the request has none."""

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_LITERALS = frozenset("*?$")
_ANY = "\0*"
_ONE = "\0?"
"""Tokens that no text of a request is: wildcards."""


class Pattern:
    """A text with wildcards and variables.

    ``*`` stands for any number of characters, ``?`` for one. A variable ``${key}`` stands for the value of a condition
    key and never for a wildcard; ``${key, 'text'}`` has a default; ``${*}``, ``${?}`` and ``${$}`` are the characters.

    Args:
        text: the pattern.
        variables: whether ``${`` begins a variable: it does from version 2012-10-17 of the language on.
        wildcards: whether ``*`` and ``?`` are wildcards.
        ignore_case: whether case does not matter.
    """

    __slots__ = ("_ignore_case", "_matcher", "_tokens", "is_fixed", "text")

    def __init__(self, text: str, *, variables: bool, wildcards: bool = True, ignore_case: bool = False) -> None:
        self.text = text
        self._ignore_case = ignore_case
        self._tokens: list[str | tuple[str, str | None]] = []
        start = 0
        for found in _VARIABLE.finditer(text) if variables else ():
            self._tokens += _split(text[start : found.start()], wildcards)
            self._tokens.append(_variable(found[1]))
            start = found.end()
        self._tokens += _split(text[start:], wildcards)
        self.is_fixed = all(isinstance(token, str) and token not in (_ANY, _ONE) for token in self._tokens)
        self._matcher: Callable[[str], bool] | None = None  # where it has no variables, once it was asked

    @property
    def head(self) -> str:
        """What every value that matches begins with, as far as that can be said of all requests."""
        first = self._tokens[0] if self._tokens else ""
        return first if isinstance(first, str) and first not in (_ANY, _ONE) and not self._ignore_case else ""

    def matches(self, value: str, values: Values) -> bool:
        """Tell whether a value matches; a pattern with a variable that the request has no value for matches nothing."""
        if self._matcher is not None:
            return self._matcher(value)
        tokens = self._filled(values)
        if tokens is None:
            return False
        matcher = _segments(tokens, self._ignore_case)
        if all(isinstance(token, str) for token in self._tokens):
            self._matcher = matcher
        return matcher(value)

    def matches_all_below(self, prefix: str, values: Values) -> bool:
        """Tell whether all values match that begin with a text."""
        tokens = self._filled(values)
        return tokens is not None and tokens[-1:] == (_ANY,) and _segments(tokens, self._ignore_case)(prefix)

    def matches_some_below(self, prefix: str, values: Values) -> bool:
        """Tell whether a value may match that begins with a text; case matters."""
        tokens = self._filled(values)
        if tokens is None:
            return False
        for token in tokens:
            if token == _ANY or not prefix:
                return True
            length = 1 if token == _ONE else min(len(token), len(prefix))
            if token != _ONE and token[:length] != prefix[:length]:
                return False
            prefix = prefix[length:]
        return not prefix

    def _filled(self, values: Values) -> tuple[str, ...] | None:
        """Return its tokens with the values of its variables; None where there is none."""
        tokens: list[str] = []
        for token in self._tokens:
            if isinstance(token, str):
                tokens.append(token)
                continue
            name, default = token
            found = (name,) if name in _LITERALS else values(name)
            if len(found) != 1 and default is None:
                return None
            text = found[0] if len(found) == 1 else default or ""
            tokens += (text[:1], text[1:]) if text in (_ANY, _ONE) else (text,)  # a value is no wildcard
        return tuple(tokens)


def _split(text: str, wildcards: bool) -> list[str]:
    """Split a text into what stands for itself and its wildcards."""
    if not wildcards:
        return [text] if text else []
    return [{"*": _ANY, "?": _ONE}.get(part, part) for part in re.split(r"([*?])", text) if part]


def _variable(text: str) -> tuple[str, str | None]:
    """Split what stands between the braces into a key and its default."""
    name, comma, default = text.partition(",")
    default = default.strip()
    if comma and len(default) >= 2 and default[0] == default[-1] == "'":
        return name.strip(), default[1:-1]
    return name.strip(), None


@lru_cache(1024)
def _segments(tokens: tuple[str, ...], ignore_case: bool) -> Callable[[str], bool]:
    """Return what matches a value with a pattern.

    A regular expression of the whole could take exponential time. Between stars all lengths are fixed, so each segment
    may take the first place where it fits.
    """
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    segments, parts = [], [""]
    for token in tokens:
        if token == _ANY:
            parts.append("")
        else:
            parts[-1] += "." if token == _ONE else re.escape(token)
    segments = [re.compile(part, flags) for part in parts]
    if len(segments) == 1:
        return lambda value: segments[0].fullmatch(value) is not None
    first, *middle, last = segments
    length = sum(len(token) if token != _ONE else 1 for token in _after_last_star(tokens))

    def matches(value: str) -> bool:
        begun = first.match(value)
        if begun is None:
            return False
        position = begun.end()
        for segment in middle:
            found = segment.search(value, position)
            if found is None:
                return False
            position = found.end()
        return len(value) - length >= position and last.fullmatch(value, len(value) - length) is not None

    return matches


def _after_last_star(tokens: Sequence[str]) -> Sequence[str]:
    positions = [index for index, token in enumerate(tokens) if token == _ANY]
    return tokens[positions[-1] + 1 :] if positions else tokens
