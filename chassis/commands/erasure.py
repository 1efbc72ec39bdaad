"""The commands `retention` and `erase`: sealed personal data is removed, decisions stay readable without it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final, TypeVar
from uuid import UUID

import structlog
import typer

from chassis.clock import Clock
from chassis.commands import typed
from chassis.database.pool import Connection, Database, rows
from chassis.settings import ServiceSettings, load

log = structlog.get_logger(__name__)

T = TypeVar("T")

_PEOPLE_AT_ONCE: Final = 500
_ENDED_BEFORE: Final = """
    SELECT {key} AS key FROM {table} GROUP BY {key}
    HAVING bool_and(coalesce({ended} < $1, false)) AND bool_or({column} <> '') LIMIT $2
"""
_KEYS_OF: Final = "SELECT DISTINCT {key} AS key FROM {table} WHERE {reference} = $1"
_NOT_ENDED: Final = "SELECT 1 FROM {table} WHERE {key} = ANY($1::text[]) AND ({ended}) IS NULL LIMIT 1"
_ERASE: Final = "UPDATE {table} SET {column} = '' WHERE {key} = ANY($1::text[]) AND {column} <> '' RETURNING 1"
# The payloads of finished work rows hold the sealed data, too. Waiting and parked rows still need theirs.
_ERASE_WORK: Final = """
    UPDATE work SET payload = payload - '{column}'
    WHERE key = ANY($1::text[]) AND state = 'done' AND payload ? '{column}'
"""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Where a service stores sealed personal data: in `column` of `table`; the column `key` identifies the person.

    `reference`: a column of UUIDs by which an operator names a row. `ended`: an SQL expression for the time at which a
    row's matter ended, null before.
    """

    table: str
    column: str
    key: str
    reference: str
    ended: str

    def sql(self, text: str) -> str:
        """A statement of this module for this table."""
        return text.format(**{name: getattr(self, name) for name in self.__dataclass_fields__})


def add_commands(app: typer.Typer, name: str, settings: type[ServiceSettings], sealed: Sealed) -> None:
    """Add `retention` and `erase` to the command line of service `name`."""

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
        who: Annotated[str, typer.Option(help="кто решил", parser=typed.who)],
        why: Annotated[str, typer.Option(help="почему: например, номер обращения", parser=typed.why)],
    ) -> None:
        """Стереть персональные данные одного человека сейчас."""
        refusal = asyncio.run(_with(load(settings), name, lambda database: _erase_one(database, sealed, reference)))
        if refusal is not None:
            typer.echo(f"{name}: {refusal}", err=True)
            raise typer.Exit(1)
        log.info("personal_data_erased", reference=str(reference), who=who, why=why)
        typer.echo(f"{name}: персональные данные по делу {reference} стёрты, решил {who}")


async def _with(settings: ServiceSettings, name: str, action: Callable[[Database], Awaitable[T]]) -> T:
    database = Database(settings.database_url.get_secret_value(), name=f"{name}-operator", pool_size=1)
    try:
        return await action(database)
    finally:
        await database.close()


async def _erase_old(database: Database, sealed: Sealed, before: datetime, dry_run: bool) -> int:
    """Erase everybody whose matters all ended before `before`. Returns how many people."""
    count = 0
    while True:
        async with database.single() as tx:
            limit = 1_000_000_000 if dry_run else _PEOPLE_AT_ONCE
            keys = [row.key for row in await rows(tx, sealed.sql(_ENDED_BEFORE), before, limit)]
            if not dry_run:
                await _erase(tx, sealed, keys)
        count += len(keys)
        if dry_run or len(keys) < _PEOPLE_AT_ONCE:
            return count


async def _erase_one(database: Database, sealed: Sealed, reference: UUID) -> str | None:
    """Erase one person. Returns why this is refused, or None."""
    async with database.single() as tx:
        keys = [row.key for row in await rows(tx, sealed.sql(_KEYS_OF), reference)]
        if not keys:
            return f"дело {reference} не найдено"
        if await rows(tx, sealed.sql(_NOT_ENDED), keys):
            return "ещё не всё закончено: стереть сейчас нельзя"
        await _erase(tx, sealed, keys)
    return None


async def _erase(tx: Connection, sealed: Sealed, keys: Sequence[str]) -> None:
    await rows(tx, sealed.sql(_ERASE), keys)
    await rows(tx, sealed.sql(_ERASE_WORK), keys)
