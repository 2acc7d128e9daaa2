"""Where a broker is, and how to log in there: what all targets that a library delivers to have in common."""

import ssl
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from s3ish.outbound.guard import Place, numeric
from s3ish.outbound.tls import verifying

PORTS: Mapping[str, tuple[int, bool]] = {
    "redis": (6379, False),
    "rediss": (6379, True),
    "nats": (4222, False),
    "tls": (4222, True),
    "mqtt": (1883, False),
    "mqtts": (8883, True),
    "kafka": (9092, False),
    "kafka+tls": (9093, True),
    "amqp": (5672, False),
    "amqps": (5671, True),
    "postgresql": (5432, False),
    "postgresql+tls": (5432, True),
}
"""By the scheme of an address: the port if it names none, and whether it is spoken to over TLS."""


class Broker(Struct, frozen=True):
    """A broker.

    ``user`` and ``password`` are empty where it asks for none; ``path`` and ``query`` are what its address ends with.
    """

    place: Place
    user: str
    password: str
    path: str
    timeout_seconds: float
    query: str = ""

    async def address(self) -> str:
        """Return the address to connect to. Raises OSError: there is none, or none that may be connected to."""
        return await numeric(self.place)

    def tls(self) -> ssl.SSLContext | None:
        """Return what verifies its certificate; None if it is spoken to in the clear. Raises OSError."""
        return verifying(self.place.host, self.place.ca_file) if self.place.secure else None


def read_broker(
    url: str, *, password: str = "", ca_file: str = "", timeout_seconds: float = 10.0, link_local: bool = False
) -> Broker:
    """Return the broker of an address of the form ``SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/PATH][?QUERY]``.

    Args:
        url: the address; its scheme is one of ``PORTS``.
        password: in place of that in the address.
        ca_file: authorities that are trusted, as ``verifying`` takes them.
        timeout_seconds: how long a delivery may take.
        link_local: whether it may be at a link-local address.
    """
    parts = urlsplit(url)
    port, secure = PORTS[parts.scheme]
    place = Place(parts.hostname or "", parts.port or port, secure, link_local, ca_file)
    user, given = unquote(parts.username or ""), unquote(parts.password or "")
    path = unquote(parts.path.removeprefix("/"))
    return Broker(place, user, password or given, path, timeout_seconds, parts.query)
