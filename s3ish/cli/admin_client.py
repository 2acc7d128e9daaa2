"""A client of the admin API of a running server."""

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from s3ish.auth.sign_request import sign_request
from s3ish.clock import Clock
from s3ish.outbound.tls import as_clients_of_aws

_TIMEOUT_SECONDS = 30
_PREFIX = "/-/admin"


class Refused(Exception):
    """The server refused a call, or cannot be asked; the text says why."""


class Credentials(NamedTuple):
    """Who calls: access key, secret key, and the token of a session, empty if it is none."""

    access_key: str
    secret_key: str
    token: str = ""


class AdminClient:
    """Makes calls.

    Args:
        endpoint: scheme, host and port of the server.
        region: that of the server.
    """

    def __init__(self, endpoint: str, credentials: Credentials, region: str) -> None:
        where = urlsplit(endpoint)
        if where.scheme not in ("http", "https") or not where.netloc or where.path not in ("", "/"):
            raise Refused(f"{endpoint} is not of the form http://HOST:PORT")
        self._endpoint, self._where = endpoint, where
        self._credentials, self._region = credentials, region

    def call(
        self, method: str, *parts: str, body: object = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Make a call, and return what the answer says; nothing if it has no body.

        Args:
            parts: those of the path behind ``/-/admin``.
            body: a text that is sent as it is, or what becomes JSON; None for none.

        Raises:
            Refused: the server says no, or does not answer.
        """
        path = "/".join((_PREFIX, *(quote(part, safe="") for part in parts)))
        data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        access_key, secret_key, token = self._credentials
        headers = sign_request(
            (access_key, secret_key),
            method,
            self._where.netloc,
            path,
            data,
            now=Clock().now(),
            region=self._region,
            query=query,
            token=token,
        )
        connection = self._connection()
        try:
            connection.request(method, f"{path}?{urlencode(query)}" if query else path, data, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Refused(f"{self._endpoint} does not answer: {error}") from error
        finally:
            connection.close()
        return _read(answer.status, content)

    def _connection(self) -> http.client.HTTPConnection:
        """Return a connection. Raises Refused."""
        host, port = self._where.hostname or "", self._where.port
        if self._where.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
        try:
            trust = as_clients_of_aws()
        except OSError as error:
            raise Refused(str(error)) from error
        return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=trust)

    def every(self, folder: str) -> Iterator[dict[str, Any]]:
        """Yield all of a folder, page by page. Raises Refused."""
        after = ""
        while True:
            page = self.call("GET", folder, query={"after": after} if after else None)
            yield from page[folder]
            after = page.get("next", "")
            if not after:
                return


def _read(status: int, content: bytes) -> dict[str, Any]:
    try:
        result = json.loads(content) if content else {}
        if status < 300:
            return dict(result)
        error = result["error"]
        raise Refused(f"{error['code']}: {error['message']}")
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"the server answered with status {status}, and not as s3ish does") from error
