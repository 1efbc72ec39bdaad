"""Commands about histories: `explain` shows the history of a lead, `verify-history` proves all histories."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from chassis.commands.console import Form, print_rows
from chassis.service import Database, Row, rows
from chassis.settings import load
from services.reservations.app import NAME
from services.reservations.domain.history import Entry, Head, flaws
from services.reservations.domain.wording import describe, renamed
from services.reservations.operator.shared import AsJson, builder_zone, format_moment, select
from services.reservations.settings import Settings

CLIENTS_AT_ONCE: Final = 1000

_KEY: Final = """
    SELECT client_key FROM reservations WHERE lead_id = $1::uuid
    UNION SELECT client_key FROM facts WHERE kind = 'rejected' AND ref = $1::uuid::text
"""
_HISTORY: Final = "SELECT number, entry FROM history WHERE client_key = $1 ORDER BY number"
# At most $2 client keys after $1, of all clients that have any row.
_CLIENTS: Final = """
    SELECT k.client_key, h.count, h.hash, h.seal FROM (
        SELECT client_key FROM heads WHERE client_key > $1
        UNION SELECT client_key FROM history WHERE client_key > $1
        UNION SELECT client_key FROM reservations WHERE client_key > $1
        ORDER BY client_key LIMIT $2
    ) k LEFT JOIN heads h USING (client_key) ORDER BY k.client_key
"""
_ENTRIES: Final = """
    SELECT client_key, number, entry, hash FROM history WHERE client_key = ANY($1) ORDER BY client_key, number
"""


def add_commands(app: typer.Typer) -> None:
    """Add the commands about histories to the service's command line."""
    app.command(name="explain")(_explain)
    app.command(name="verify-history")(_verify_history)


def _explain(lead: Annotated[UUID, typer.Option(help="номер лида")], as_json: AsJson = False) -> None:
    """Показать по порядку, что было с лидом, и правило, по которому решён каждый шаг."""
    keys = select(_KEY, lead)
    if not keys:
        typer.echo(f"лид {lead} не найден: решения по нему ещё нет, или он подан не в эту систему", err=True)
        raise typer.Exit(1)
    zone = builder_zone()
    # All entries of the client are shown, because the reason may be another lead of the same client.
    entries = [renamed(json.loads(row.entry)) for row in select(_HISTORY, keys[0].client_key)]
    if as_json:
        print_rows((), entries, list, "json")
        return
    for entry in entries:
        other = "" if entry["lead"] == str(lead) else f" (лид {entry['lead']})"
        typer.echo(f"{format_moment(datetime.fromisoformat(entry['at']), zone)}  {describe(entry)}{other}")


def _verify_history(as_json: AsJson = False) -> None:
    """Проверить, что ни одна запись историй не изменена, не удалена и не переставлена."""
    count, found = asyncio.run(_verify(load(Settings)))
    if found or as_json:
        form: Form = "json" if as_json else "table"
        print_rows(("ключ клиента", "что не так"), found, lambda row: (row["client_key"], row["flaw"]), form)
    if not as_json:
        typer.echo(f"историй проверено: {count}, с нарушениями: {len({row['client_key'] for row in found})}")
    if found:
        raise typer.Exit(1)


async def _verify(settings: Settings) -> tuple[int, list[dict[str, Any]]]:
    """Return the number of clients, and a (client_key, flaw) object for each flaw of their histories."""
    database = Database(settings.database_url.get_secret_value(), name=f"{NAME}-operator", pool_size=1)
    count, found = 0, []
    try:
        async for portion in _clients(database):
            count += len(portion)
            found.extend(await _flaws_of(database, settings.history_secret, portion))
    finally:
        await database.close()
    return count, found


async def _clients(database: Database) -> AsyncIterator[Sequence[Row]]:
    """Yield all clients with their heads, at most `CLIENTS_AT_ONCE` at a time."""
    last = ""
    while True:
        async with database.single() as tx:
            portion = await rows(tx, _CLIENTS, last, CLIENTS_AT_ONCE)
        if not portion:
            return
        yield portion
        last = portion[-1].client_key


async def _flaws_of(database: Database, key: bytes, clients: Sequence[Row]) -> list[dict[str, Any]]:
    async with database.single() as tx:
        entries: dict[str, list[Entry]] = {}
        for row in await rows(tx, _ENTRIES, [client.client_key for client in clients]):
            entries.setdefault(row.client_key, []).append(Entry(row.number, row.entry, _bytes(row.hash)))
    return [
        {"client_key": client.client_key, "flaw": flaw}
        for client in clients
        for flaw in flaws(
            key,
            client.client_key,
            entries.get(client.client_key, ()),
            Head(client.count, _bytes(client.hash)) if client.hash is not None else None,
            _bytes(client.seal) if client.seal is not None else None,
        )
    ]


def _bytes(text: str) -> bytes:
    """Decode a stored hash. A text that is not hex is returned as it is: it equals no hash."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode()
