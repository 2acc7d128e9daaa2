"""A bare S3 client: one connection, one request at a time, no retries, and the answer as it came.

An SDK hides what these tests look at: a cut connection, a body that is no XML, a second attempt.
"""

import http.client
import re
import socket
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEY = "s3ishadmin"
CUT = (OSError, http.client.HTTPException)
"""What is raised when the connection ends without an answer: whether the request was done is unknown."""


class Answer(NamedTuple):
    """What the server said."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def ok(self):
        return 200 <= self.status < 300 and b"<Error>" not in self.body[:200]

    @property
    def code(self):
        """The code of an S3 error; empty if the body is none."""
        found = re.match(rb"<\?xml[^>]*\?>\s*<Error><Code>(\w+)</Code>", self.body)
        return found[1].decode() if found else ""

    @property
    def etag(self):
        return self.headers.get("ETag", "").strip('"')

    def element(self, name):
        """The text of the first element of that name."""
        return re.search(rf"<{name}>([^<]*)</{name}>".encode(), self.body)[1].decode()


class _Signer(S3SigV4Auth):
    """Signs headers alone, so that a body can follow later."""

    def payload(self, request):
        return "UNSIGNED-PAYLOAD"


class Client:
    """One connection to a server, opened anew after it was cut.

    Args:
        endpoint: the server's URL.
        timeout_seconds: how long to wait for anything on the connection.
    """

    def __init__(self, endpoint, timeout_seconds=15):
        self.endpoint = endpoint
        place = urlsplit(endpoint)
        self._connection = http.client.HTTPConnection(place.hostname, place.port, timeout=timeout_seconds)
        self._signer = _Signer(Credentials(KEY, KEY), "s3", "us-east-1")

    def request(self, method, path, body=b"", **headers):
        """Send one request. ``path`` is not yet encoded and may have a query. Raises one of CUT."""
        target, signed = self._signed(method, path, {name.replace("_", "-"): text for name, text in headers.items()})
        try:
            self._connect()
            self._connection.request(method, target, body=body, headers=signed)
            response = self._connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except CUT:
            self._connection.close()
            raise

    def forge(self, choose):
        """Sign what follows with a key that is not the user's, now and then as a user that there is not."""
        access_key = KEY if choose.random() < 0.5 else choose.randbytes(10).hex()
        self._signer = _Signer(Credentials(access_key, choose.randbytes(20).hex()), "s3", "us-east-1")

    def head(self, method, path, length):
        """Return the bytes of a request up to its body, for a connection of the caller's own."""
        target, signed = self._signed(method, path, {"Content-Length": str(length)})
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in signed.items())]
        lines.append(f"Host: {urlsplit(self.endpoint).netloc}")
        return "\r\n".join([*lines, "", ""]).encode()

    def begin(self, method, path, length):
        """Send only the headers of a request with a body of ``length`` bytes; return the socket for the rest."""
        target, signed = self._signed(method, path, {"Content-Length": str(length)})
        self._connect()
        self._connection.putrequest(method, target, skip_accept_encoding=True)
        for name, text in signed.items():
            self._connection.putheader(name, text)
        self._connection.endheaders()
        return self._connection.sock

    def finish(self):
        """Return the answer to what ``begin`` began. Raises one of CUT."""
        response = http.client.HTTPResponse(self._connection.sock, method="PUT")
        response.begin()
        return Answer(response.status, response.headers, response.read())

    def close(self):
        self._connection.close()

    def _connect(self):
        if self._connection.sock is None:
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _signed(self, method, path, headers):
        """Return the request target and the headers."""
        plain, mark, query = path.partition("?")
        target = f"{quote(plain)}{mark}{query}"
        request = AWSRequest(method, f"{self.endpoint}{target}", headers=headers)
        self._signer.add_auth(request)
        return target, dict(request.headers.items())
