"""Addresses to which the server opens no connection by itself."""

import asyncio
from contextlib import suppress

import pytest

from s3ish.outbound import guard, tls
from s3ish.outbound.guard import Refused, check_address


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "93.184.216.34", "fd00::1", "64:ff9b::5db8:d822"]
)
def test_receivers_are_on_this_machine_in_private_networks_and_anywhere(address):
    check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "100.100.100.200",
        "fd00:ec2::254",
    ],
)
def test_link_local_addresses_and_metadata_services_are_refused_unless_allowed(address):  # case 139
    with pytest.raises(Refused, match="link-local"):
        check_address(address)
    check_address(address, link_local=True)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0", "240.0.0.1"]
)
def test_what_is_no_address_of_a_receiver_is_always_refused(address):  # case 139
    with pytest.raises(Refused, match="no address of a receiver"):
        check_address(address, link_local=True)


async def test_authorities_are_not_read_for_each_connection(monkeypatch):
    read = []

    def verifying(name, ca_file):
        read.append((name, ca_file))
        return tls.verifying(name, ca_file)

    monkeypatch.setattr(guard, "verifying", verifying)
    guard._context.cache_clear()
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for _ in range(6):
        with suppress(OSError):  # it is no TLS that answers
            await guard.connect(guard.Place("127.0.0.1", port, secure=True))
    server.close()
    assert 1 <= len(read) <= 2
