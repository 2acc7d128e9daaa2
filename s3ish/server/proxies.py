"""Who is behind a proxy, and by which scheme they came: what forwarding headers say, of proxies that are trusted.

Anybody can send these headers. From a connection that is not one of a trusted proxy they mean nothing.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network

from msgspec import Struct

_ADDRESSES_KEPT = 1024
_OWN_PORTS = {"http": "80", "https": "443"}


_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


class Origin(Struct, frozen=True):
    """The address of a client, empty if it has none, and what it asked for, as far as that is not in the request.

    ``scheme`` is that of the URL. ``tls`` is the version of TLS, empty where it is not known: of a client behind a
    proxy, or without TLS. ``host`` and ``port`` are those that the client named, ``prefix`` what the proxy took off the
    path; empty where no proxy says so.
    """

    client: str
    scheme: str = "http"
    tls: str = ""
    host: str = ""
    port: str = ""
    prefix: str = ""


class Proxies:
    """The proxies that are trusted.

    Args:
        networks: their addresses, or networks in the form ``10.0.0.0/8``.
    """

    def __init__(self, networks: tuple[str, ...] = ()) -> None:
        self._networks = [ip_network(network, strict=False) for network in networks]
        self._trusts = lru_cache(_ADDRESSES_KEPT)(self._is_one)

    def origin(self, peer: Origin, headers: Mapping[str, str]) -> Origin:
        """Return where a request comes from.

        A proxy appends the address of its client to ``X-Forwarded-For``: from the end, the first one that is no trusted
        proxy is the client's; what stands before it was written by the client.

        Args:
            peer: the other end of the connection.
            headers: by lower-case name, the values of repeated ones joined by commas.
        """
        if not self._networks or not self._trusts(peer.client):
            return peer
        scheme = "https" if _said(headers, "x-forwarded-proto", peer.scheme).lower() == "https" else "http"
        host, port = _said(headers, "x-forwarded-host"), _said(headers, "x-forwarded-port")
        prefix = _said(headers, "x-forwarded-prefix").rstrip("/")
        client = peer.client
        for text in reversed(headers.get("x-forwarded-for", "").split(",")):
            address = text.strip()
            if not _is_address(address):
                break
            client = address
            if not self._trusts(address):
                break
        port = port if port.isdecimal() and port.isascii() and port != _OWN_PORTS[scheme] else ""
        return Origin(client, scheme, "", host, port, prefix if _PREFIX.fullmatch(prefix) else "")

    def _is_one(self, address: str) -> bool:
        if not _is_address(address):
            return False
        found = ip_address(address)
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._networks)


def _said(headers: Mapping[str, str], name: str, default: str = "") -> str:
    """Return what the nearest proxy says: the last value."""
    return headers.get(name, default).rpartition(",")[2].strip()


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
