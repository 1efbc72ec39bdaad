"""What operators' commands share: a question to the service's database, and its answer for people or machines."""

import asyncio
import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import typer
from rich.console import Console
from rich.table import Table

from chassis.database.sql import Database, Row, rows

Form = Literal["table", "csv", "json"]
_WIDE: Final = 240


def query(database_url: str, name: str, sql: str, *args: Any) -> Sequence[Row]:
    """The rows of one statement. `name` is whom the database sees asking."""

    async def asked() -> Sequence[Row]:
        database = Database(database_url, name=f"{name}-operator", pool_size=1)
        try:
            async with database.single() as tx:
                return await rows(tx, sql, *args)
        finally:
            await database.close()

    return asyncio.run(asked())


def print_rows(
    columns: Sequence[str],
    found: Sequence[Mapping[str, Any]],
    cells: Callable[[Any], Sequence[Any]],
    form: Form,
) -> None:
    """`found` for people, with `cells` of each under `columns`; for a spreadsheet the same; for machines whole, an
    object a line."""
    if form == "json":
        for row in found:
            typer.echo(json.dumps(dict(row), ensure_ascii=False, default=str))
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
    # What goes into a file or a pipe has no edge to be cut at.
    console = Console() if sys.stdout.isatty() else Console(width=_WIDE)
    console.print(table if found else "ничего нет")
