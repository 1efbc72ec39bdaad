"""Connections to PostgreSQL: a pool, single statements, transactions.

SQLModel declares the tables, for migrations and for the columns' types. Statements go straight to asyncpg, because
every round trip and every row is paid for a hundred thousand times a day.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from chassis.database.errors import is_transient
from chassis.limits import CONNECT_TIMEOUT_S, IDLE_IN_TRANSACTION_S, STATEMENT_TIMEOUT_S


class Row(asyncpg.Record):
    """A row of a result. Its columns are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


Connection: TypeAlias = "PoolConnectionProxy[Row]"

SERVER_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "jit": "off",
        "TimeZone": "UTC",
        # Rows are found by keys, a batch of keys at a time. Custom plans read whole tables when the tables were not
        # analysed yet, and planning each execution costs as well. So plans are made once, and statements are written so
        # that a plan can only use the index on the key: lookups of other rows are scalar subqueries, which no planner
        # turns into a join.
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        # A process that is frozen inside a transaction must not keep its clients' rows locked.
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S}s",
    }
)


class Database:
    """A pool of at most `pool_size` connections to `postgresql://…`, opened on demand.

    `name` is the `application_name` that PostgreSQL shows for the connections.
    """

    def __init__(self, url: str, *, name: str, pool_size: int = 12) -> None:
        self._url = driver_url(url)
        self._name = name
        self._pool_size = pool_size
        self._pool: asyncpg.Pool[Row] | None = None

    @asynccontextmanager
    async def single(self) -> AsyncIterator[Connection]:
        """A connection for statements that are transactions of their own: no round trips for BEGIN and COMMIT."""
        if self._pool is None:
            self._pool = await self._open()
        async with asyncio.timeout(STATEMENT_TIMEOUT_S):
            connection: Connection = await self._pool.acquire()
        try:
            yield connection
        except BaseException as error:
            # After a cancellation or a transient error the state of the connection is unknown. Only a statement that
            # the server refused leaves the connection usable.
            if not isinstance(error, Exception) or is_transient(error):
                connection.terminate()
            raise
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction: COMMIT at the end of the block, ROLLBACK on any exception.

        If COMMIT itself fails, the outcome is unknown: the transaction may or may not be committed.
        """
        async with self.single() as connection:
            await connection.execute("BEGIN")
            try:
                yield connection
            except Exception as error:
                if not is_transient(error):
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")

    async def close(self) -> None:
        """Close all connections; after `CONNECT_TIMEOUT_S` seconds they are cut."""
        pool, self._pool = self._pool, None
        if pool is not None:
            with suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await pool.close()
            pool.terminate()

    async def _open(self) -> "asyncpg.Pool[Row]":
        # With min_size=0 creating a pool awaits nothing, so two tasks cannot both create it.
        return await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._pool_size,
            record_class=Row,
            init=_use_json_codec,
            reset=_skip_reset,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S,
            server_settings={"application_name": self._name, **SERVER_SETTINGS},
        )


def driver_url(url: str) -> str:
    """The URL as asyncpg spells it: `postgresql://…`, whatever driver `url` names."""
    return "postgresql://" + url.split("://", 1)[1]


async def rows(tx: Connection, sql: str, *args: Any) -> Sequence[Any]:
    """Run one statement with parameters `$1…` and return its rows."""
    return await tx.fetch(sql, *args)


async def execute(tx: Connection, sql: str, *args: Any) -> None:
    """Run one statement with parameters `$1…`."""
    await tx.execute(sql, *args)


async def _use_json_codec(connection: Any) -> None:
    # On the wire jsonb is its text behind a version number.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda text: b"\x01" + text.encode(),
        decoder=lambda data: orjson.loads(data[1:]),
    )


async def _skip_reset(_: Any) -> None:
    """Sessions keep no state between uses, so the round trip that would reset them is saved."""
