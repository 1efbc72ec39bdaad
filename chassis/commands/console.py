"""Shared by operators' commands: a query of the service's database, and its rows as a table, CSV or JSON."""

import asyncio
import csv
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal

import structlog
import typer
from rich.console import Console
from rich.table import Table

from chassis.database.pool import Database, Row, rows

Form = Literal["table", "csv", "json"]
_PIPE_WIDTH: Final = 240


def log_to_stderr() -> None:
    """Send warnings and errors of the log to standard error, so that a command prints its result only."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def query(database_url: str, name: str, sql: str, *args: Any) -> Sequence[Row]:
    """The rows of one statement. PostgreSQL shows the session as `<name>-operator`."""

    async def run() -> Sequence[Row]:
        database = Database(database_url, name=f"{name}-operator", pool_size=1)
        try:
            async with database.single() as tx:
                return await rows(tx, sql, *args)
        finally:
            await database.close()

    return asyncio.run(run())


def print_rows(
    columns: Sequence[str],
    found: Sequence[Mapping[str, Any]],
    cells: Callable[[Any], Sequence[Any]],
    form: Form,
    *,
    empty: str = "ничего нет",
) -> None:
    """Print rows as a table, as CSV, or as JSON with one whole object a line; times in JSON are RFC 3339.

    Table and CSV show `cells(row)` under `columns`. `empty` is printed instead of a table without rows.
    """
    if form == "json":
        for row in found:
            typer.echo(json.dumps(dict(row), ensure_ascii=False, default=_as_text))
        return
    if form == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows(["" if cell is None else cell for cell in cells(row)] for row in found)
        return
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in found:
        table.add_row(*("" if cell is None else str(cell) for cell in cells(row)))
    # A file or a pipe has no width that cells must fit into.
    console = Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)
    console.print(table if found else empty)


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
