"""A webhook: each message is the body of a POST, signed where there is a secret.

``x-s3ish-signature`` is ``sha256=`` and the HMAC-SHA256, in hexadecimal, of the time in ``x-s3ish-timestamp``, a full
stop and the body: a receiver that refuses old times cannot be sent a recorded message again. ``x-s3ish-delivery`` is
the same in each attempt to deliver one event. An answer of 2xx takes the message; any other, a redirect too, is a
failure.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Sequence

from s3ish.clock import Clock
from s3ish.outbound.http import Connection, read_url
from s3ish.targets.protocol import Message, Undelivered


class Webhook:
    """An address that messages are posted to.

    Args:
        clock: tells when a message is sent.
        url: the address.
        secret, token: sign the message, and are its bearer token; empty for none.
        timeout_seconds: how long a delivery may take.
        link_local: whether it may be at a link-local address.
        ca_file: authorities that are trusted; empty for those of the system.
    """

    batch = 1
    in_flight = 8

    def __init__(
        self,
        clock: Clock,
        url: str,
        *,
        secret: str,
        token: str,
        timeout_seconds: float,
        link_local: bool,
        ca_file: str = "",
    ) -> None:
        self._clock, self._url = clock, read_url(url, link_local=link_local, ca_file=ca_file)
        self._secret, self._token, self._timeout = secret.encode(), token, timeout_seconds
        self._idle: list[Connection] = []

    async def send(self, messages: Sequence[Message]) -> None:
        """See ``Target.send``."""
        for message in messages:
            await self._post(message)

    async def _post(self, message: Message) -> None:
        connection = self._idle.pop() if self._idle else Connection(self._url)
        try:
            async with asyncio.timeout(self._timeout):
                status = await connection.post(self._headers(message), message.body)
        except TimeoutError as error:
            connection.close()
            raise Undelivered(f"no answer within {self._timeout:g} seconds") from error
        except OSError as error:
            connection.close()
            raise Undelivered(str(error) or type(error).__name__) from error
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        if not 200 <= status < 300:
            raise Undelivered(f"it answered {status}")

    def _headers(self, message: Message) -> dict[str, str]:
        sent = str(self._clock.now_ns() // 1_000_000_000)
        headers = {
            "content-type": "application/json",
            "user-agent": "s3ish",
            "x-s3ish-delivery": message.id,
            "x-s3ish-timestamp": sent,
        }
        if self._secret:
            signed = hmac.new(self._secret, f"{sent}.".encode() + message.body, hashlib.sha256)
            headers["x-s3ish-signature"] = f"sha256={signed.hexdigest()}"
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        return headers

    async def close(self) -> None:
        """See ``Target.close``."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()
