"""A request as far as signatures are concerned."""

from collections.abc import Mapping

from msgspec import Struct


class HttpRequest(Struct, frozen=True):
    """Method, raw path and query exactly as sent, and the headers.

    ``headers`` has lower-case names and trimmed values, the values of a repeated header joined by commas; ``repeated``
    names those. ``host_bucket`` is the bucket that the Host header names, empty where the path does; ``service`` is
    the service that answers, which the scope of a signature must name.
    """

    method: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]
    repeated: frozenset[str] = frozenset()
    host_bucket: str = ""
    service: str = "s3"
