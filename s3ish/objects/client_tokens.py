"""Tokens by which clients repeat a request that must not be done twice.

What a token stood for is written in the commit of the request itself, and kept for one to two days. It stands in the
index alone: a rebuild forgets it.
"""

import hashlib

from s3ish.errors import IdempotencyParameterMismatch, InvalidArgument
from s3ish.index.protocol import Change, RowIs
from s3ish.objects.store import Store
from s3ish.tables.state import TOKENS, Mark

MAX_TOKEN = 64

_DAY_NS = 86_400 * 10**9
_FORGOTTEN_AT_ONCE = 100


class ClientToken:
    """A token of a request.

    Args:
        principal: the id of who sends it: the tokens of others are other tokens.
        token: as the client sent it.
        request: all parameters of the request.

    Raises:
        InvalidArgument: it is empty, longer than 64 characters, or has others than visible ones of ASCII.
    """

    def __init__(self, principal: str, token: str, request: object) -> None:
        if not 1 <= len(token) <= MAX_TOKEN or not all("!" <= character <= "~" for character in token):
            raise InvalidArgument(
                "A client token has 1 to 64 visible characters of ASCII.", ArgumentName="x-amz-client-token"
            )
        self._name = hashlib.sha256(f"{principal}\0{token}".encode()).hexdigest().encode()
        self._request = hashlib.sha256(repr(request).encode()).digest()

    async def was_used(self, store: Store) -> bool:
        """Tell whether the request was done before.

        Raises:
            IdempotencyParameterMismatch: another request was done with this token.
        """
        day = _day(store)
        for row in (self._row(day), self._row(day - 1)):
            value = await row.value(store.index)
            if value is not None:
                if value != self._request:
                    raise IdempotencyParameterMismatch
                return True
        return False

    async def use(self, store: Store) -> tuple[list[Change], list[RowIs]]:
        """Return what a commit does to note that the token is used, and what it expects: that it was not.

        Tokens of earlier days are forgotten with it, some at a time.
        """
        day = _day(store)
        kept, row = _of_day(day - 1), self._row(day)
        oldest = await TOKENS.family(store.index, _FORGOTTEN_AT_ONCE)
        changes: list[Change] = [TOKENS.of(name).drop() for name, _ in oldest if name < kept]
        return [*changes, row.put(self._request)], [row.expect(None)]

    def _row(self, day: int) -> Mark:
        return TOKENS.of(_of_day(day) + self._name)


def _of_day(day: int) -> bytes:
    return b"%08d/" % day


def _day(store: Store) -> int:
    return store.clock.now_ns() // _DAY_NS
