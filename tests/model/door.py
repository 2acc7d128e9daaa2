"""A server without its sockets: requests go straight into the application, and are the root user's without a signature.

What a request's headers mean is the product's matter, as is everything below; only HTTP and signatures are left out.
"""

import hashlib
from urllib.parse import quote, urlencode

from s3ish.api.catalogue import catalogue
from s3ish.auth.authenticator import Authentication
from s3ish.auth.credentials import User
from s3ish.auth.payload import Payload, PayloadMode
from s3ish.auth.sigv4 import ALGORITHM
from s3ish.model import Owner
from s3ish.observe.observer import Observer
from s3ish.server.pipeline import S3Application
from s3ish.server.router import Router
from tests.documents import read_document
from tests.model.state import digest

ROOT = User("root", "secret", Owner("owner-id", "owner"), root=True)


class Trusting:
    """Believes that everybody is the root user."""

    def identify(self, request, *_):
        """See ``Authenticator.identify``."""
        payload = Payload(PayloadMode.SIGNED, request.headers["x-amz-content-sha256"])
        return Authentication(ROOT, payload, signature=ALGORITHM)


class Answer:
    """What came back: ``status``, ``headers``, ``body``, and ``code``, which is that of an error or empty."""

    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {name.decode(): value.decode() for name, value in headers}
        self.code = self.xml.findtext("Code") if status >= 400 and body else "" if status < 400 else str(status)

    @property
    def xml(self):
        """The body as an element whose names are without namespace."""
        return read_document(self.body)

    @property
    def etag(self):
        """The entity tag in the headers, without its quotes."""
        return self.headers["etag"].strip('"')


class Door:
    """What answers for a store.

    Args:
        store: the engines.
    """

    def __init__(self, store):
        self._s3 = S3Application(store, Router(catalogue()), Trusting(), Observer(), domains=())

    async def ask(self, method, bucket, key="", body=b"", headers=None, **query):
        """Send a request.

        Args:
            bucket, key: what it is about.
            headers: those whose value is None are left out; as are the parameters of the query, whose names have
                hyphens for underscores.
        """
        fields = {
            "host": "h",
            "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
            "content-length": len(body),
            "content-md5": digest(body),
        }
        fields |= {name: value for name, value in (headers or {}).items() if value is not None}
        asked = {name.replace("_", "-"): value for name, value in query.items() if value is not None}
        path = f"/{bucket}/{quote(key)}" if key else f"/{bucket}"
        scope = {
            "type": "http",
            "method": method,
            "raw_path": path.encode(),
            "query_string": urlencode(asked).encode(),
            "headers": [(name.encode(), str(value).encode()) for name, value in fields.items()],
            "client": ("192.0.2.1", 1),
            "scheme": "https",
        }
        told, pieces = {}, []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            told.update(message)
            pieces.append(bytes(message.get("body", b"")))

        await self._s3(scope, receive, send)
        return Answer(told["status"], told["headers"], b"".join(pieces))
