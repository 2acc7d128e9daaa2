"""Connections that the server opens by itself: to the address that was checked, and to no other.

A name is looked up once, and each address is checked before it is connected to, so that a name whose answer changes in
between leads nowhere else. Loopback and private networks are where receivers are; what is refused is what no receiver
has: the metadata services of clouds, which hand out credentials to any caller, and addresses that are none.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterator
from functools import lru_cache
from ssl import SSLContext

from msgspec import Struct

from s3ish.outbound.tls import verifying

_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254")))
"""Metadata services beside those at link-local addresses."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""Addresses that a gateway translates to IPv4: the last 32 bits."""
_CONTEXTS_KEPT, _CONTEXT_SECONDS = 64, 300.0
"""To read the authorities takes 20 ms, for which all requests wait; for so long none is read again for a host."""
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(OSError):
    """An address to which the server opens no connection."""


class Place(Struct, frozen=True):
    """Where a connection goes: a host, a port, over TLS or not, and whether link-local addresses are allowed.

    ``ca_file`` has the authorities that are trusted there; empty for those of the system.
    """

    host: str
    port: int
    secure: bool
    link_local: bool = False
    ca_file: str = ""


def check_address(text: str, *, link_local: bool = False) -> None:
    """Raises Refused unless a connection to an address may be opened.

    Args:
        text: the address, as a look-up gives it.
        link_local: whether it may be one that only this link has, as metadata services have.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    for meant in (address, *_embedded(address)):
        if meant.is_unspecified or meant.is_multicast or (meant.version == 4 and meant.is_reserved):
            raise Refused(f"{text} is no address of a receiver")
        if not link_local and (meant.is_link_local or meant in _METADATA):
            raise Refused(f"{text} is link-local or of a metadata service, and allow_link_local is false")


def _embedded(address: _Address) -> Iterator[_Address]:
    """Yield the addresses of IPv4 that one of IPv6 stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        yield from (it for it in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())) if it is not None)
        if address in _TRANSLATED:
            yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)


async def numeric(place: Place) -> str:
    """Return the first address of a place to which a connection may be opened, for a library that opens it.

    Raises:
        Refused: the name has only addresses that are refused.
        OSError: the name cannot be looked up.
    """
    failure = Refused(f"{place.host} has no address")
    for address in await _look_up(place):
        try:
            check_address(address, link_local=place.link_local)
        except Refused as error:
            failure = error
        else:
            return address
    raise failure


async def _look_up(place: Place) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@lru_cache(_CONTEXTS_KEPT)
def _context(name: str, ca_file: str, _period: int) -> SSLContext:
    return verifying(name, ca_file)


async def connect(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection. The caller limits the time.

    Raises:
        Refused: the name has only addresses that are refused.
        OSError: no address can be connected to, or its certificate is not valid for the name.
    """
    period = int(asyncio.get_running_loop().time() / _CONTEXT_SECONDS)
    context = _context(place.host, place.ca_file, period) if place.secure else None
    failure: OSError = Refused(f"{place.host} has no address")
    for address in await _look_up(place):
        try:
            check_address(address, link_local=place.link_local)
            return await asyncio.open_connection(address, place.port, ssl=context)
        except OSError as error:
            failure = error
    raise failure
