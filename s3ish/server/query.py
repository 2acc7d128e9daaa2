"""The query string, as S3 reads it: a plus is a space, a key without ``=`` has an empty value."""

from urllib.parse import unquote_to_bytes

from s3ish.errors import InvalidArgument, InvalidURI

MAX_PARAMETERS = 100


def read_query(raw: str) -> dict[str, str]:
    """Return the parameters of a query string.

    Raises:
        InvalidURI: escapes that are not UTF-8, or more than 100 parameters.
        InvalidArgument: a key appears twice, so that it is not clear which one is meant.
    """
    if not raw:
        return {}
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
