"""Writing many rows with one statement, and several statements in one round trip."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Table
from sqlmodel import SQLModel

from chassis.database.columns import pg_type, table_of
from chassis.database.pool import Connection

_PARAMETER = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table to write. Every mapping names the same columns; a JSON column takes any JSON value.

    By default a row is an upsert by its primary key; the columns in `keep` are not updated. With `new` an existing
    key is a conflict. With `known` every row exists already, and columns that the mappings do not name stay unchanged.
    """

    model: type[SQLModel]
    values: Sequence[Mapping[str, Any]]
    keep: tuple[str, ...] = ()
    new: bool = False
    known: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """An INSERT, UPDATE or DELETE with parameters `$1…`, and the names of the columns it returns."""

    sql: str
    args: Sequence[Any]
    returning: tuple[str, ...] = ()


def write(rows: Rows) -> Statement:
    """The statement that writes `rows`, in their order."""
    columns = tuple(rows.values[0])
    if rows.known:
        return Statement(_update_sql(table_of(rows.model), columns), [as_json(rows.values)])
    sql = _insert_sql(table_of(rows.model), columns, rows.keep, rows.new)
    return Statement(sql, [as_json(rows.values)])


async def write_rows(tx: Connection, rows: Rows) -> None:
    """Write rows of one table now. Inside a batch the processor writes them: see `Store.save`."""
    statement = write(rows)
    await tx.execute(statement.sql, *statement.args)


async def execute_together(tx: Connection, statements: Mapping[str, Statement]) -> dict[str, Sequence[Any]]:
    """Run named statements on different tables in one round trip, in no particular order.

    Returns the rows of each statement by its name, as tuples of the `returning` columns, in no particular order.
    """
    if not statements:
        return {}
    shape = tuple((name, one.sql, len(one.args), one.returning) for name, one in statements.items())
    found = await tx.fetchrow(_together_sql(shape), *(arg for one in statements.values() for arg in one.args))
    assert found is not None
    returned = {name: found[name] or () for name, one in statements.items() if one.returning}
    return {name: returned.get(name, ()) for name in statements}


def as_json(values: Sequence[Any]) -> str:
    """Rows as one JSON parameter: a quarter of the price of one array parameter for each column."""
    return orjson.dumps(values, default=_plain).decode()


def row_of(record: Any) -> dict[str, Any]:
    """The fields of a flat dataclass by name. `dataclasses.asdict` copies every value deeply, at ten times the cost."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _plain(value: Any) -> str:
    # asyncpg's UUID is a class of its own, which orjson does not serialize; a Decimal must stay exact.
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    raise TypeError(f"no column holds a {type(value).__name__}")


@cache
def _insert_sql(table: Table, columns: tuple[str, ...], keep: tuple[str, ...], new: bool) -> str:
    typed = ", ".join(f'"{column}" {pg_type(table, column)}' for column in columns)
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
    typed = ", ".join(f'"{column}" {pg_type(table, column)}' for column in columns)
    primary = [column.name for column in table.primary_key]
    changed = ", ".join(f'"{name}" = u."{name}"' for name in columns if name not in primary)
    key = " AND ".join(f't."{name}" = u."{name}"' for name in primary)
    return f'UPDATE "{table.name}" t SET {changed} FROM json_to_recordset($1::json) AS u ({typed}) WHERE {key}'


@cache
def _together_sql(statements: tuple[tuple[str, str, int, tuple[str, ...]], ...]) -> str:
    """One statement of CTEs, and a column of returned rows for each statement that returns some."""
    parts, returned, before = [], [], 0
    for name, sql, args, returning in statements:
        # The prefix keeps a name from hiding a table that another statement reads.
        parts.append(f'"s_{name}" AS ({_PARAMETER.sub(partial(_renumber, before), sql)})')
        if returning:
            returned.append(f'(SELECT array_agg(ROW({", ".join(returning)})) FROM "s_{name}") AS "{name}"')
        before += args
    return f"WITH {', '.join(parts)} SELECT {', '.join(returned) or '1'}"


def _renumber(by: int, parameter: re.Match[str]) -> str:
    return f"${int(parameter[1]) + by}"
