"""PostgreSQL by the batch: one statement for many rows, and which errors pass by themselves."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlmodel import SQLModel

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 30
IDLE_IN_TRANSACTION_S = 15

# Connection lost, deadlock or serialization, out of resources, operator's intervention, lock not available.
_TRANSIENT_CLASSES = ("08", "40", "53", "57", "55P03", "25006")
_INTEGRITY_CLASS = "23"


def connect(url: str, *, name: str, pool_size: int = 12) -> AsyncEngine:
    """An engine for `postgresql://…`. Parameters never reach an error's text."""
    return create_async_engine(
        async_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=STATEMENT_TIMEOUT_S,
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": STATEMENT_TIMEOUT_S,
            "server_settings": {
                "application_name": name,
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
        },
    )


def async_url(url: str) -> str:
    """SQLAlchemy's spelling of a plain `postgresql://` URL."""
    return "postgresql+asyncpg://" + url.split("://", 1)[1]


def driver_url(url: str) -> str:
    """asyncpg's spelling of the same."""
    return "postgresql://" + url.split("://", 1)[1]


@asynccontextmanager
async def single(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """For statements that are transactions of their own: none of the two round trips that begin and end one."""
    async with engine.connect() as connection:
        yield await connection.execution_options(isolation_level="AUTOCOMMIT")


async def rows(tx: AsyncConnection, sql: str, *args: Any) -> Sequence[Any]:
    """Run one statement with `$1…` parameters and return its rows."""
    result = await tx.exec_driver_sql(sql, args)
    return result.all()


async def execute(tx: AsyncConnection, sql: str, *args: Any) -> None:
    """Run one statement with `$1…` parameters."""
    await tx.exec_driver_sql(sql, args)


async def upsert(
    tx: AsyncConnection,
    model: type[SQLModel],
    values: Sequence[Mapping[str, Any]],
    *,
    keep: Iterable[str] = (),
) -> None:
    """Write rows of one table in one statement; a row whose primary key exists is updated, but for `keep`.

    Every mapping names the same columns. JSON columns take JSON text.
    """
    if values:
        columns = tuple(values[0])
        sql = _upsert_sql(table_of(model), columns, tuple(keep))
        await execute(tx, sql, *([row[column] for row in values] for column in columns))


async def fetch(
    tx: AsyncConnection,
    model: type[SQLModel],
    column: str,
    keys: Sequence[Any],
    *,
    order_by: str | None = None,
) -> list[dict[str, Any]]:
    """The rows of one table whose `column` is among `keys`; JSON columns come as Python values."""
    table = table_of(model)
    kind = _pg_type(table, column)
    order = f' ORDER BY "{order_by}"' if order_by else ""
    found = await tx.exec_driver_sql(
        f'SELECT {_names(table)} FROM "{table.name}" WHERE "{column}" = ANY(CAST($1 AS {kind}[])){order}',
        (list(keys),),
    )
    return [dict(row) for row in found.mappings()]


def row_of(record: Any) -> dict[str, Any]:
    """The fields of a flat dataclass by name. (`dataclasses.asdict` copies every value deeply: ten times the cost.)"""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def table_of(model: type[SQLModel]) -> Table:
    table = model.__dict__["__table__"]
    assert isinstance(table, Table)
    return table


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's five-character code behind an error, where there is one."""
    original = getattr(error, "orig", error)
    code = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    return code if isinstance(code, str) else None


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed later without anybody's help."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    code = sqlstate(error)
    if code is not None:
        return code.startswith(_TRANSIENT_CLASSES)
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, (OSError, asyncio.TimeoutError, PoolTimeoutError)):
        return True
    # asyncpg reports a closed connection as InterfaceError, without a code.
    return isinstance(error, DBAPIError) and "InterfaceError" in type(cause).__name__


def is_conflict(error: BaseException) -> bool:
    """A constraint fired: another transaction was first."""
    return (sqlstate(error) or "").startswith(_INTEGRITY_CLASS)


@cache
def _upsert_sql(table: Table, columns: tuple[str, ...], keep: tuple[str, ...]) -> str:
    primary = [column.name for column in table.primary_key]
    arrays = ", ".join(
        f"CAST(${index} AS {_pg_type(table, column)}[])" for index, column in enumerate(columns, start=1)
    )
    changed = [column for column in columns if column not in primary and column not in keep]
    action = (
        "UPDATE SET " + ", ".join(f'"{column}" = excluded."{column}"' for column in changed) if changed else "NOTHING"
    )
    names = ", ".join(f'"{column}"' for column in columns)
    key = ", ".join(f'"{column}"' for column in primary)
    return f'INSERT INTO "{table.name}" ({names}) SELECT * FROM unnest({arrays}) ON CONFLICT ({key}) DO {action}'


@cache
def _pg_type(table: Table, column: str) -> str:
    return str(table.c[column].type.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


@cache
def _names(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns)
