"""Reading rows of tables by a batch of keys, with one statement."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import Table
from sqlmodel import SQLModel

from chassis.database.columns import column_names, pg_type, table_of
from chassis.database.pool import Connection

FEW_KEYS = 20


async def fetch(
    tx: Connection, model: type[SQLModel], column: str, keys: Sequence[Any], *, order_by: str | None = None
) -> Sequence[Mapping[str, Any]]:
    """The rows of one table whose `column` is among `keys`, as mappings. JSON columns are Python values."""
    return (await fetch_each(tx, column, keys, (model, order_by)))[0]


async def fetch_each(
    tx: Connection, column: str, keys: Sequence[Any], *tables: tuple[type[SQLModel], str | None]
) -> Sequence[Sequence[Mapping[str, Any]]]:
    """The rows of several tables whose `column` is among `keys`. Each table is (model, column to order by or None).

    Returns the rows of each table, in the order of `tables`. For at most 20 keys one round trip reads all tables;
    above that a round trip for each table is cheaper, because PostgreSQL then need not build arrays of rows.
    """
    named = tuple((table_of(model), order_by) for model, order_by in tables)
    if len(named) == 1 or len(keys) > FEW_KEYS:
        return [
            # asyncpg's rows are read by column name, which is all that callers do with a mapping.
            cast("Sequence[Mapping[str, Any]]", await tx.fetch(_select_sql(table, column, order_by), list(keys)))
            for table, order_by in named
        ]
    found = await tx.fetchrow(_fetch_sql(column, named), list(keys))
    assert found is not None
    return [
        [dict(zip(column_names(table), row, strict=True)) for row in rows or ()]
        for (table, _), rows in zip(named, found, strict=True)
    ]


@cache
def _select_sql(table: Table, column: str, order_by: str | None) -> str:
    names = ", ".join(f'"{name}"' for name in column_names(table))
    order = f' ORDER BY "{order_by}"' if order_by else ""
    return f'SELECT {names} FROM "{table.name}" WHERE "{column}" = ANY(CAST($1 AS {pg_type(table, column)}[])){order}'


@cache
def _fetch_sql(column: str, tables: tuple[tuple[Table, str | None], ...]) -> str:
    parts = []
    for table, order_by in tables:
        order = f' ORDER BY "{order_by}"' if order_by else ""
        names = ", ".join(f'"{name}"' for name in column_names(table))
        keys = f"CAST($1 AS {pg_type(table, column)}[])"
        parts.append(f'(SELECT array_agg(ROW({names}){order}) FROM "{table.name}" WHERE "{column}" = ANY({keys}))')
    return f"SELECT {', '.join(parts)}"
