"""A request as far as signatures are concerned."""

from collections.abc import Mapping

from msgspec import Struct


class HttpRequest(Struct, frozen=True):
    """Method, raw path and query exactly as sent, and the headers.

    ``headers`` has lower-case names and trimmed values, the values of a repeated header joined by commas; ``repeated``
    names those.
    """

    method: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]
    repeated: frozenset[str] = frozenset()
