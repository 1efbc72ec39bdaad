"""Tables and columns, as SQLModel declares them."""

from functools import cache

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel


def table_of(model: type[SQLModel]) -> Table:
    """The SQLAlchemy table of a model."""
    table = model.__dict__["__table__"]
    assert isinstance(table, Table)
    return table


@cache
def pg_type(table: Table, column: str) -> str:
    """PostgreSQL's name of a column's type."""
    return str(table.c[column].type.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


@cache
def column_names(table: Table) -> tuple[str, ...]:
    """All columns of a table, in the order of their declaration."""
    return tuple(column.name for column in table.columns)
