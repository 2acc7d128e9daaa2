"""The query string, as S3 reads it: a plus is a space, a key without ``=`` has an empty value."""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from s3ish.errors import InvalidArgument, InvalidURI

MAX_PARAMETERS = 100
_REPEATED_LENGTH, _REPEATED_KEPT = 1024, 256
"""So many queries of at most so many characters are remembered: they come again with the next request."""


def read_query(raw: str) -> Mapping[str, str]:
    """Return the parameters of a query string.

    Raises:
        InvalidURI: escapes that are not UTF-8, or more than 100 parameters.
        InvalidArgument: a key appears twice, so that it is not clear which one is meant.
    """
    return _read_repeated(raw) if len(raw) <= _REPEATED_LENGTH else _read(raw)


def _read(raw: str) -> dict[str, str]:
    pairs = raw.split("&")
    if len(pairs) > MAX_PARAMETERS:
        raise InvalidURI
    query: dict[str, str] = {}
    for pair in pairs:
        if not pair:
            continue
        name, _, value = pair.partition("=")
        name = _decode(name)
        if name in query:
            raise InvalidArgument("A query parameter must not be repeated.", ArgumentName=name[:64])
        query[name] = _decode(value)
    return query


def _decode(text: str) -> str:
    if "%" not in text:
        return text.replace("+", " ")
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError as error:
        raise InvalidURI from error


_read_repeated = lru_cache(_REPEATED_KEPT)(_read)
