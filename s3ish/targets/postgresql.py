"""A table of PostgreSQL: each message is a row of ``id`` and ``event``, taken when the transaction has committed.

A primary key on ``id`` drops what comes twice, because a repeated message has the same id.
"""

from collections.abc import Sequence

import asyncpg

from s3ish.targets.broker import Broker
from s3ish.targets.protocol import Message, Undelivered


class PostgreSQL:
    """A table that messages are inserted into.

    Args:
        broker: where it is; its path is the name of the database.
        table: its name, or that of its schema, a full stop and its name.
    """

    batch = 100
    in_flight = 1

    def __init__(self, broker: Broker, table: str) -> None:
        self._broker = broker
        name = ".".join(f'"{part}"' for part in table.split("."))
        self._insert = f"INSERT INTO {name} (id, event) VALUES ($1, $2) ON CONFLICT DO NOTHING"
        self._connection: asyncpg.Connection | None = None

    async def send(self, messages: Sequence[Message]) -> None:
        """See ``Target.send``."""
        rows = [(message.id, message.body.decode()) for message in messages]
        try:
            if self._connection is None:
                self._connection = await self._open()
            await self._connection.executemany(self._insert, rows, timeout=self._broker.timeout_seconds)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            await self.close()
            raise Undelivered(str(error) or type(error).__name__) from error

    async def _open(self) -> asyncpg.Connection:
        broker = self._broker
        return await asyncpg.connect(
            host=await broker.address(),
            port=broker.place.port,
            user=broker.user,
            password=broker.password,
            database=broker.path or broker.user,
            ssl=broker.tls() or False,
            timeout=broker.timeout_seconds,
            statement_cache_size=0,  # a pool between may give each statement another session
        )

    async def close(self) -> None:
        """See ``Target.close``."""
        if self._connection is not None:
            opened, self._connection = self._connection, None
            opened.terminate()
