"""Asking a server whether it is ready."""

import http.client
import ssl
from urllib.parse import urlsplit

from msgspec import Struct

from s3ish.clock import Clock

PATH = "/-/ready"


class Health(Struct, frozen=True):
    """What a server answered: the status, 0 if there was no answer, and why it is not ready, else an empty text."""

    ready: bool
    endpoint: str
    status: int
    seconds: float
    reason: str = ""


def ask(endpoint: str, timeout_seconds: float, clock: Clock) -> Health:
    """Ask the server at an address once. Raises ValueError: it is no address.

    The certificate of a server with TLS is not verified: it is for the names that clients use, and this asks by the
    address where the server listens, for nothing that is secret.
    """
    where = urlsplit(endpoint)
    if where.scheme not in ("http", "https") or not where.hostname:
        raise ValueError(f"{endpoint!r} is not of the form http[s]://HOST[:PORT]")
    connection: http.client.HTTPConnection
    if where.scheme == "https":
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            where.hostname, where.port or 443, timeout=timeout_seconds, context=trusting
        )
    else:
        connection = http.client.HTTPConnection(where.hostname, where.port or 80, timeout=timeout_seconds)
    begun = clock.monotonic()
    status, reason = 0, ""
    try:
        connection.request("GET", PATH)
        status = connection.getresponse().status
        reason = "" if status == 200 else f"{endpoint} is not ready: status {status}"
    except (OSError, http.client.HTTPException) as error:
        reason = f"{endpoint} does not answer: {error or type(error).__name__}"
    finally:
        connection.close()
    return Health(status == 200, endpoint, status, round(clock.monotonic() - begun, 6), reason)
