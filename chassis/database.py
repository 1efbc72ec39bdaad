"""PostgreSQL by the batch: one statement for many rows, and which errors pass by themselves.

Tables are declared with SQLModel, for migrations and for their columns' types; statements go straight to the driver,
since each round trip and each row is paid for a hundred thousand times a day.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 30
IDLE_IN_TRANSACTION_S = 15

# Connection lost, deadlock or serialization, out of resources, operator's intervention, lock not available.
_TRANSIENT_CLASSES = ("08", "40", "53", "57", "55P03", "25006")
_INTEGRITY_CLASS = "23"


class Row(asyncpg.Record):
    """A row whose columns are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


Connection: TypeAlias = "PoolConnectionProxy[Row]"


class Database:
    """At most `pool_size` connections to `postgresql://…`, made when they are needed."""

    def __init__(self, url: str, *, name: str, pool_size: int = 12) -> None:
        self._url = driver_url(url)
        self._name = name
        self._pool_size = pool_size
        self._pool: asyncpg.Pool[Row] | None = None

    @asynccontextmanager
    async def single(self) -> AsyncIterator[Connection]:
        """For statements that are transactions of their own: none of the two round trips that begin and end one."""
        if self._pool is None:
            self._pool = await self._open()
        async with asyncio.timeout(STATEMENT_TIMEOUT_S):
            connection: Connection = await self._pool.acquire()
        try:
            yield connection
        except BaseException as error:
            # Whatever was under way is over with the connection; only what the server refused leaves it usable.
            if not isinstance(error, Exception) or is_transient(error):
                connection.terminate()
            raise
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Committed at the end, undone by any exception. Raised by the commit itself, it may have been either."""
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
        pool, self._pool = self._pool, None
        if pool is not None:
            with suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await pool.close()
            pool.terminate()

    async def _open(self) -> "asyncpg.Pool[Row]":
        # Without connections to begin with, this waits for nothing, so two who come at once do not meet in it.
        return await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._pool_size,
            record_class=Row,
            init=_speak_json,
            reset=_nothing_to_reset,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S,
            server_settings={
                "application_name": self._name,
                "jit": "off",
                "TimeZone": "UTC",
                # Rows are found by keys, a batch of them at a time. Planned for the batch at hand, on tables that were
                # not analysed yet, some statements read whole tables; and planning each time costs as well. So plans
                # are made once, and the statements are put so that they can only go by the key: lookups of other rows
                # are subqueries of one value, which no planner turns into a join.
                "plan_cache_mode": "force_generic_plan",
                "enable_seqscan": "off",
                # A process that is frozen inside a transaction must not keep its clients' rows locked.
                "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S}s",
            },
        )


def driver_url(url: str) -> str:
    """asyncpg's spelling of a `postgresql://` URL that may name another driver."""
    return "postgresql://" + url.split("://", 1)[1]


async def rows(tx: Connection, sql: str, *args: Any) -> Sequence[Any]:
    """Run one statement with `$1…` parameters and return its rows."""
    return await tx.fetch(sql, *args)


async def execute(tx: Connection, sql: str, *args: Any) -> None:
    """Run one statement with `$1…` parameters."""
    await tx.execute(sql, *args)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table to be written. Every mapping names the same columns; JSON columns take JSON text.

    A row whose primary key exists is updated, but for the columns in `keep`; with `new` it is a conflict instead.
    """

    model: type[SQLModel]
    values: Sequence[Mapping[str, Any]]
    keep: tuple[str, ...] = ()
    new: bool = False


async def write(tx: Connection, *tables: Rows) -> None:
    """Write rows of different tables in one statement, each table's in the order given."""
    written = [rows for rows in tables if rows.values]
    if written:
        shape = tuple((table_of(rows.model), tuple(rows.values[0]), rows.keep, rows.new) for rows in written)
        columns = ([row[column] for row in rows.values] for rows in written for column in rows.values[0])
        await execute(tx, _write_sql(shape), *columns)


async def fetch(
    tx: Connection, model: type[SQLModel], column: str, keys: Sequence[Any], *, order_by: str | None = None
) -> list[dict[str, Any]]:
    """The rows of one table whose `column` is among `keys`; JSON columns come as Python values."""
    return (await fetch_each(tx, column, keys, (model, order_by)))[0]


async def fetch_each(
    tx: Connection, column: str, keys: Sequence[Any], *tables: tuple[type[SQLModel], str | None]
) -> list[list[dict[str, Any]]]:
    """The same from several tables at once, by a column that all of them have: (model, order by) → its rows."""
    named = tuple((table_of(model), order_by) for model, order_by in tables)
    found = await tx.fetchrow(_fetch_sql(column, named), list(keys))
    assert found is not None
    return [
        [dict(zip(_columns(table), row, strict=True)) for row in rows or ()]
        for (table, _), rows in zip(named, found, strict=True)
    ]


def row_of(record: Any) -> dict[str, Any]:
    """The fields of a flat dataclass by name. (`dataclasses.asdict` copies every value deeply: ten times the cost.)"""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def table_of(model: type[SQLModel]) -> Table:
    table = model.__dict__["__table__"]
    assert isinstance(table, Table)
    return table


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed later without anybody's help."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "08").startswith(_TRANSIENT_CLASSES)
    # A closed or confused connection is the driver's own error, without a code.
    return isinstance(error, (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError))


def is_conflict(error: BaseException) -> bool:
    """A constraint fired: another transaction was first."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(_INTEGRITY_CLASS)


async def _speak_json(connection: Any) -> None:
    # On the wire jsonb is its text behind a version number.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda text: b"\x01" + text.encode(),
        decoder=lambda data: orjson.loads(data[1:]),
    )


async def _nothing_to_reset(_: Any) -> None:
    """Sessions keep no state between uses: saves the round trip that would clear it."""


@cache
def _write_sql(shape: tuple[tuple[Table, tuple[str, ...], tuple[str, ...], bool], ...]) -> str:
    number, statements = 0, []
    for table, columns, keep, new in shape:
        arrays = []
        for column in columns:
            number += 1
            arrays.append(f"CAST(${number} AS {_pg_type(table, column)}[])")
        names = ", ".join(f'"{column}"' for column in columns)
        statement = f'INSERT INTO "{table.name}" ({names}) SELECT * FROM unnest({", ".join(arrays)})'
        statements.append(statement if new else f"{statement} {_on_conflict(table, columns, keep)}")
    *first, last = statements
    together = ", ".join(f"w{n} AS ({statement})" for n, statement in enumerate(first))
    return f"WITH {together} {last}" if together else last


def _on_conflict(table: Table, columns: Iterable[str], keep: Iterable[str]) -> str:
    primary = [column.name for column in table.primary_key]
    kept = {*primary, *keep}
    changed = ", ".join(f'"{column}" = excluded."{column}"' for column in columns if column not in kept)
    key = ", ".join(f'"{column}"' for column in primary)
    return f"ON CONFLICT ({key}) DO {f'UPDATE SET {changed}' if changed else 'NOTHING'}"


@cache
def _fetch_sql(column: str, tables: tuple[tuple[Table, str | None], ...]) -> str:
    parts = []
    for table, order_by in tables:
        order = f' ORDER BY "{order_by}"' if order_by else ""
        names = ", ".join(f'"{name}"' for name in _columns(table))
        keys = f"CAST($1 AS {_pg_type(table, column)}[])"
        parts.append(f'(SELECT array_agg(ROW({names}){order}) FROM "{table.name}" WHERE "{column}" = ANY({keys}))')
    return f"SELECT {', '.join(parts)}"


@cache
def _pg_type(table: Table, column: str) -> str:
    return str(table.c[column].type.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


@cache
def _columns(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)
