"""PostgreSQL by the batch: one statement for many rows, and which errors pass by themselves.

Tables are declared with SQLModel, for migrations and for their columns' types; statements go straight to the driver,
since each round trip and each row is paid for a hundred thousand times a day.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from typing import Any, TypeAlias, cast
from uuid import UUID

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 30
IDLE_IN_TRANSACTION_S = 15
FEW_KEYS = 20

# Connection lost, deadlock or serialization, out of resources, operator's intervention, lock not available.
_TRANSIENT_CLASSES = ("08", "40", "53", "57", "55P03", "25006")
_INTEGRITY_CLASS = "23"
_PARAMETER = re.compile(r"\$(\d+)")


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
    """Rows of one table to be written. Every mapping names the same columns; JSON columns take what JSON can say.

    A row whose primary key exists is updated, but for the columns in `keep`; with `new` it is a conflict instead. With
    `known` all of them exist, and the columns that are not named stay as they are.
    """

    model: type[SQLModel]
    values: Sequence[Mapping[str, Any]]
    keep: tuple[str, ...] = ()
    new: bool = False
    known: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """An INSERT, UPDATE or DELETE with `$1…` parameters, and the columns it returns."""

    sql: str
    args: Sequence[Any]
    returning: tuple[str, ...] = ()


def insert(rows: Rows) -> Statement:
    """Write rows, in the order given."""
    columns = tuple(rows.values[0])
    if rows.known:
        return Statement(_update_sql(table_of(rows.model), columns), [as_json(rows.values)])
    sql = _insert_sql(table_of(rows.model), columns, rows.keep, rows.new)
    return Statement(sql, [as_json(rows.values)])


def as_json(values: Sequence[Any]) -> str:
    """Rows as one parameter, a quarter of the price of an array for each column, and the same for the server."""
    return orjson.dumps(values, default=_plain).decode()


def _plain(value: Any) -> str:
    # The driver's own UUIDs are of a class of its own, which orjson does not take for one; a Decimal stays exact.
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    raise TypeError(f"{type(value).__name__} is nothing a column holds")


async def together(tx: Connection, statements: Sequence[Statement]) -> list[Sequence[Any]]:
    """Run statements on different tables in one round trip; returns the rows of each, as tuples, in no order."""
    if not statements:
        return []
    sql = _together_sql(tuple((one.sql, len(one.args), one.returning) for one in statements))
    found = await tx.fetchrow(sql, *(arg for one in statements for arg in one.args))
    assert found is not None
    returned = iter(found)
    return [(next(returned) or ()) if one.returning else () for one in statements]


async def fetch(
    tx: Connection, model: type[SQLModel], column: str, keys: Sequence[Any], *, order_by: str | None = None
) -> Sequence[Mapping[str, Any]]:
    """The rows of one table whose `column` is among `keys`; JSON columns come as Python values."""
    return (await fetch_each(tx, column, keys, (model, order_by)))[0]


async def fetch_each(
    tx: Connection, column: str, keys: Sequence[Any], *tables: tuple[type[SQLModel], str | None]
) -> Sequence[Sequence[Mapping[str, Any]]]:
    """The same from several tables, by a column that all of them have: (model, order by) → its rows.

    Few rows cost less than a round trip, and come together in one; many cost twice as much that way.
    """
    named = tuple((table_of(model), order_by) for model, order_by in tables)
    if len(named) == 1 or len(keys) > FEW_KEYS:
        return [
            # The driver's rows are read by name, which is all that is asked of a mapping here.
            cast("Sequence[Mapping[str, Any]]", await tx.fetch(_select_sql(table, column, order_by), list(keys)))
            for table, order_by in named
        ]
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
def _insert_sql(table: Table, columns: tuple[str, ...], keep: tuple[str, ...], new: bool) -> str:
    typed = ", ".join(f'"{column}" {_pg_type(table, column)}' for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    sql = f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM json_to_recordset($1::json) AS t ({typed})'
    if new:
        return sql
    primary = [column.name for column in table.primary_key]
    changed = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in (*primary, *keep))
    key = ", ".join(f'"{column}"' for column in primary)
    return f"{sql} ON CONFLICT ({key}) DO {f'UPDATE SET {changed}' if changed else 'NOTHING'}"


@cache
def _update_sql(table: Table, columns: tuple[str, ...]) -> str:
    typed = ", ".join(f'"{column}" {_pg_type(table, column)}' for column in columns)
    primary = [column.name for column in table.primary_key]
    changed = ", ".join(f'"{name}" = u."{name}"' for name in columns if name not in primary)
    key = " AND ".join(f't."{name}" = u."{name}"' for name in primary)
    return f'UPDATE "{table.name}" t SET {changed} FROM json_to_recordset($1::json) AS u ({typed}) WHERE {key}'


@cache
def _together_sql(statements: tuple[tuple[str, int, tuple[str, ...]], ...]) -> str:
    parts, returned, before = [], [], 0
    for n, (sql, args, returning) in enumerate(statements):
        parts.append(f"s{n} AS ({_PARAMETER.sub(partial(_later, before), sql)})")
        if returning:
            returned.append(f"(SELECT array_agg(ROW({', '.join(returning)})) FROM s{n})")
        before += args
    return f"WITH {', '.join(parts)} SELECT {', '.join(returned) or '1'}"


@cache
def _select_sql(table: Table, column: str, order_by: str | None) -> str:
    names = ", ".join(f'"{name}"' for name in _columns(table))
    order = f' ORDER BY "{order_by}"' if order_by else ""
    return f'SELECT {names} FROM "{table.name}" WHERE "{column}" = ANY(CAST($1 AS {_pg_type(table, column)}[])){order}'


@cache
def _fetch_sql(column: str, tables: tuple[tuple[Table, str | None], ...]) -> str:
    parts = []
    for table, order_by in tables:
        order = f' ORDER BY "{order_by}"' if order_by else ""
        names = ", ".join(f'"{name}"' for name in _columns(table))
        keys = f"CAST($1 AS {_pg_type(table, column)}[])"
        parts.append(f'(SELECT array_agg(ROW({names}){order}) FROM "{table.name}" WHERE "{column}" = ANY({keys}))')
    return f"SELECT {', '.join(parts)}"


def _later(by: int, parameter: re.Match[str]) -> str:
    return f"${int(parameter[1]) + by}"


@cache
def _pg_type(table: Table, column: str) -> str:
    return str(table.c[column].type.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


@cache
def _columns(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)
