"""TLS to others: certificates are verified for the name that was configured, not for the address that is connected to.

Addresses are looked up and checked before they are connected to (``guard.py``), so a library that is handed one knows
no name to verify; the context knows it.
"""

import os
import ssl
from typing import Any


class _Named(ssl.SSLContext):
    """A context for connections to one name."""

    name = ""

    def wrap_bio(self, incoming: Any, outgoing: Any, *others: Any, **named: Any) -> ssl.SSLObject:
        """See ``ssl.SSLContext.wrap_bio``."""
        return super().wrap_bio(incoming, outgoing, *others, **(named | {"server_hostname": self.name}))

    def wrap_socket(self, sock: Any, *others: Any, **named: Any) -> ssl.SSLSocket:
        """See ``ssl.SSLContext.wrap_socket``."""
        return super().wrap_socket(sock, *others, **(named | {"server_hostname": self.name}))


def verifying(name: str = "", ca_file: str = "") -> ssl.SSLContext:
    """Return a context for a client: TLS 1.2 or newer.

    Args:
        name: that the certificate must be valid for, a host or an address; empty: that which is connected to.
        ca_file: a PEM file with the authorities that are trusted; empty for those of the system.

    Raises:
        OSError: the file cannot be read, or holds no certificate.
    """
    context = _Named(ssl.PROTOCOL_TLS_CLIENT) if name else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if isinstance(context, _Named):
        context.name = name
    if ca_file:
        context.load_verify_locations(ca_file)
    else:
        context.load_default_certs()
    return context


def as_clients_of_aws() -> ssl.SSLContext:
    """Return a context that trusts whom AWS's clients trust: the authorities that ``AWS_CA_BUNDLE`` names, if it does.

    Raises OSError: the file cannot be read, or holds no certificate; the text names the variable.
    """
    authorities = os.environ.get("AWS_CA_BUNDLE", "")
    try:
        return verifying(ca_file=authorities)
    except OSError as error:
        raise OSError(f"AWS_CA_BUNDLE: cannot read {authorities}: {error.strerror or error}") from error
