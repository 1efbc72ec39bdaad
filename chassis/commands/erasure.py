"""Personal data ends: what is sealed goes, and everything that was decided stays readable without it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import structlog
import typer

from chassis.clock import Clock
from chassis.database.sql import Connection, Database, rows
from chassis.settings import ServiceSettings, load

log = structlog.get_logger(__name__)

AT_ONCE: Final = 500
_OLD: Final = """
    SELECT {key} AS key FROM {table} GROUP BY {key}
    HAVING bool_and(coalesce({ended} < $1, false)) AND bool_or({column} <> '') LIMIT $2
"""
_OF_ONE: Final = "SELECT DISTINCT {key} AS key FROM {table} WHERE {reference} = $1"
_OPEN: Final = "SELECT 1 FROM {table} WHERE {key} = ANY($1::text[]) AND ({ended}) IS NULL LIMIT 1"
_ERASE: Final = "UPDATE {table} SET {column} = '' WHERE {key} = ANY($1::text[]) AND {column} <> '' RETURNING 1"
# Calls that were made carry it too; those that wait cannot do without.
_ERASE_WORK: Final = """
    UPDATE work SET payload = payload - '{column}'
    WHERE key = ANY($1::text[]) AND state = 'done' AND payload ? '{column}'
"""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Where a service keeps people's sealed data: `column` of a table whose `key` says whose they are.

    `reference`: the column of UUIDs by which people name a row. `ended`: SQL for when a row's matter was over, null
    while it is not.
    """

    table: str
    column: str
    key: str
    reference: str
    ended: str

    def sql(self, text: str) -> str:
        return text.format(**{name: getattr(self, name) for name in self.__dataclass_fields__})


def add_commands(app: typer.Typer, name: str, settings: type[ServiceSettings], sealed: Sealed) -> None:
    """`retention` and `erase` of one service."""

    @app.command()
    def retention(
        dry_run: Annotated[bool, typer.Option("--dry-run", help="только сосчитать")] = False,
    ) -> None:
        """Стереть персональные данные тех, с кем всё закончено давно (настройка …_PERSONAL_KEPT_FOR)."""
        loaded = load(settings)
        before = Clock().now() - loaded.personal_kept_for
        count = asyncio.run(_with(loaded, name, lambda database: _erase_old(database, sealed, before, dry_run)))
        days = loaded.personal_kept_for // timedelta(days=1)
        typer.echo(f"{name}: людей, с которыми всё закончено больше {days} дней назад: {count}")
        typer.echo("ничего не стёрто, это проба" if dry_run else "имена и телефоны стёрты, история и счета остались")

    @app.command()
    def erase(
        reference: Annotated[UUID, typer.Argument(help="номер любого дела этого человека")],
        who: Annotated[str, typer.Option(help="кто решил")],
        why: Annotated[str, typer.Option(help="почему: например, номер обращения")],
    ) -> None:
        """Стереть персональные данные одного человека сейчас."""
        problem = asyncio.run(_with(load(settings), name, lambda database: _erase_one(database, sealed, reference)))
        if problem is not None:
            typer.echo(f"{name}: {problem}", err=True)
            raise typer.Exit(1)
        log.info("erased", reference=str(reference), who=who, why=why)
        typer.echo(f"{name}: персональные данные по делу {reference} стёрты, решил {who}")


async def _with(settings: ServiceSettings, name: str, work: Any) -> Any:
    database = Database(settings.database_url.get_secret_value(), name=f"{name}-operator", pool_size=1)
    try:
        return await work(database)
    finally:
        await database.close()


async def _erase_old(database: Database, sealed: Sealed, before: datetime, dry_run: bool) -> int:
    count = 0
    while True:
        async with database.single() as tx:
            limit = 1_000_000_000 if dry_run else AT_ONCE
            keys = [row.key for row in await rows(tx, sealed.sql(_OLD), before, limit)]
            if not dry_run:
                await _erase(tx, sealed, keys)
        count += len(keys)
        if dry_run or len(keys) < AT_ONCE:
            return count


async def _erase_one(database: Database, sealed: Sealed, reference: UUID) -> str | None:
    """What is in the way, if anything is."""
    async with database.single() as tx:
        keys = [row.key for row in await rows(tx, sealed.sql(_OF_ONE), reference)]
        if not keys:
            return f"{reference} здесь не знают"
        if await rows(tx, sealed.sql(_OPEN), keys):
            return "ещё не всё закончено: стереть сейчас нельзя"
        await _erase(tx, sealed, keys)
    return None


async def _erase(tx: Connection, sealed: Sealed, keys: Sequence[str]) -> None:
    await rows(tx, sealed.sql(_ERASE), keys)
    await rows(tx, sealed.sql(_ERASE_WORK), keys)
