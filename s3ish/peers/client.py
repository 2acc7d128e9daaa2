"""A client of S3: signed requests to one bucket of another server, over connections that are used again.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Self
from urllib.parse import quote
from xml.sax.saxutils import unescape

from msgspec import Struct
from msgspec.structs import replace

from s3ish.auth.sign_request import sign_request
from s3ish.auth.sigv4 import canonical_query
from s3ish.clock import Clock
from s3ish.jobs.destination import REASONS, Forbidden, Refused, Unreachable
from s3ish.outbound.http import Answer, Body, Connection, Unsendable, read_url

_MOST_IDLE = 16
_FORBIDDEN_CODES = frozenset(("AuthorizationHeaderMalformed", "InvalidAccessKeyId", "NoSuchBucket"))
"""What every request to the bucket is answered, beside the statuses 401 and 403."""
_LATER_CODES = frozenset(("ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "SlowDown"))
_LATER = frozenset((408, 425, 429))
_MOST_TOLD = 200


class Address(Struct, frozen=True):
    """A bucket of another server, and how it is reached.

    ``endpoint`` is the address of the server, ``keys`` are access key and secret key. In ``virtual`` style the bucket
    is a part of the host's name. A request that comes no further for ``timeout_seconds`` has failed. ``ca_file`` has
    the authorities that are trusted for TLS.
    """

    endpoint: str
    bucket: str
    region: str
    keys: tuple[str, str]
    virtual: bool = False
    timeout_seconds: float = 60.0
    link_local: bool = False
    ca_file: str = ""

    def __repr__(self) -> str:
        return f"Address({self.endpoint!r}, {self.bucket!r}, …)"  # without the keys


class Content(Struct, frozen=True):
    """What a request carries: its size in bytes, its SHA-256 in hexadecimal, and the bytes or what opens them."""

    size: int
    sha256: str
    body: Body

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return bytes as content."""
        return cls(len(data), hashlib.sha256(data).hexdigest(), data)


NOTHING = Content.of(b"")


class Client:
    """Requests to one bucket.

    Args:
        clock: tells when a request is signed.
        address: the bucket.
    """

    def __init__(self, clock: Clock, address: Address) -> None:
        self._clock, self._address = clock, address
        url = read_url(address.endpoint, link_local=address.link_local, ca_file=address.ca_file)
        path = url.path.rstrip("/")
        if address.virtual:
            place = replace(url.place, host=f"{address.bucket}.{url.place.host}")
            url = url._replace(place=place, host=f"{address.bucket}.{url.host}")
        else:
            path += f"/{quote(address.bucket)}"
        self._url, self._path = url, path
        self._idle: list[Connection] = []

    async def call(
        self,
        method: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content: Content = NOTHING,
    ) -> Answer:
        """Send a request on a key and return what is answered, if that is about this request.

        Args:
            headers: by lower-case name; all are signed.
            query: its parameters.
            content: what it carries.

        Raises:
            Unreachable: there is no answer, or one that is worth another try.
            Forbidden: the keys have no right, or there is no such bucket.
            Refused: a header cannot be sent.
        """
        path = f"{self._path}/{quote(key, safe='/-_.~')}"
        signed = sign_request(
            self._address.keys,
            method,
            self._url.host,
            path,
            content.sha256,
            now=self._clock.now(),
            region=self._address.region,
            query=query,
            also=headers,
        )
        if method in ("PUT", "POST"):
            signed["content-length"] = str(content.size)
        target = f"{path}?{canonical_query(query.items())}" if query else path
        answer = await self._send(method, target, signed, content.body)
        code = element(answer, "Code")
        if answer.status in (401, 403) or code in _FORBIDDEN_CODES:
            raise Forbidden(told(answer), REASONS.get(code, ""))
        if (
            answer.status in _LATER
            or code in _LATER_CODES
            or not 200 <= answer.status < 500
            or 300 <= answer.status < 400
        ):
            raise Unreachable(told(answer))
        return answer

    async def _send(self, method: str, target: str, headers: Mapping[str, str], body: Body) -> Answer:
        connection = self._idle.pop() if self._idle else Connection(self._url, self._address.timeout_seconds)
        try:
            answer = await connection.request(method, target, headers, body)
        except Unsendable as error:
            connection.close()
            raise Refused(str(error)) from error
        except TimeoutError as error:
            connection.close()
            raise Unreachable(f"no answer within {self._address.timeout_seconds:g} seconds") from error
        except OSError as error:
            connection.close()
            raise Unreachable(str(error) or type(error).__name__) from error
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """End the connections."""
        while self._idle:
            self._idle.pop().close()


def md5_of(data: bytes) -> str:
    """Return the value of the header Content-MD5, which requests on lists and locks must have."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def element(answer: Answer, name: str) -> str:
    """Return the text of an element of an answer that is XML, empty if it has none."""
    found = re.search(f"<{name}>([^<]*)</{name}>", answer.body.decode("utf-8", "replace"))
    return unescape(found[1], {"&quot;": '"', "&#34;": '"', "&apos;": "'"}) if found else ""


def told(answer: Answer) -> str:
    """Return what an answer says is wrong, for a log: in one line."""
    code, message = element(answer, "Code"), element(answer, "Message")
    text = f"{answer.status} {code}: {message}" if code else f"status {answer.status}"
    return "".join(it if it.isprintable() else " " for it in text)[:_MOST_TOLD]


def check(answer: Answer) -> Answer:
    """Return an answer that is a success. Raises Refused; Unreachable where an upload did not become an object."""
    if answer.status >= 300:
        raise Refused(told(answer), REASONS.get(element(answer, "Code"), ""))
    if element(answer, "Code"):  # the status was sent before the outcome was known
        raise Unreachable(told(answer))
    return answer
