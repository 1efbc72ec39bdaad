"""Comparing the gateway, the reservations service and 1C: ordering a list, reading the journal, looking twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from chassis.clock import Clock
from chassis.commands.operations import NotOrdered, ordered
from chassis.service import Database, Performed, Refused
from contracts.operations import ListReservations
from services.onec_gateway.app import OPERATIONS
from services.onec_gateway.assembly import NAME, connect, unsealer
from services.onec_gateway.domain.reconciliation import Books, Difference, Entry, Side, compare
from services.onec_gateway.exchanges import ExchangeJournal
from services.onec_gateway.onec import mapping
from services.onec_gateway.onec.errors import NoRights, OneCError, Paused
from services.onec_gateway.onec.errors import Refused as RefusedByOneC
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.gate import Gate
from services.onec_gateway.onec.journal_reading import JournalReader
from services.onec_gateway.onec.maintenance import Maintenance, parse_calendar
from services.onec_gateway.onec.throttle import Throttle
from services.onec_gateway.settings import Settings
from services.onec_gateway.store.reconciliation import newest_list, read_books, read_listed, submitted

RESERVATIONS: Final = "reservations"
LOOK_EVERY_S: Final = 0.25
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 15.0


class NotCompared(Exception):
    """One side could not be read. The message, in Russian, is for the person who runs the command."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The differences, and how much was compared; `in_flight`: leads left out, since writes for them are waiting."""

    differences: Sequence[Difference]
    holds: int
    reservations: int
    entries: int
    in_flight: int


class Reconciliation:
    """One comparison. Every wait for a side ends after `wait_s` seconds."""

    def __init__(self, settings: Settings, who: str, why: str, wait_s: float) -> None:
        self._settings = settings
        self._order = ListReservations(service=RESERVATIONS, who=who, why=why)
        self._wait_s = wait_s
        self._clock = Clock()

    async def compare(self) -> Compared:
        """Compare the three sides. Raises NotCompared.

        The gateway is looked at before and after 1C, and the list is ordered twice if it differs. Only what differs in
        both looks counts: everything else was on its way.
        """
        url = self._settings.database_url.get_secret_value()
        database = Database(url, name=f"{NAME}-operator", pool_size=1)
        try:
            listed = await self._fresh_list(database)
            books = await self._books(database)
            looked_at = time.monotonic()
            differs = bool(compare(replace(books, known={}), listed, {}))
            journal = await self._journal(database)
            first, in_first = books, listed
            if differs:
                settled_at = looked_at + self._settings.reconcile_settle.total_seconds()
                await asyncio.sleep(max(settled_at - time.monotonic(), 0.0))
                listed = await self._fresh_list(database)
            books = await self._books(database)
            async with database.single() as tx:
                leads = await submitted(tx, journal.keys() - books.known.keys())
        finally:
            await database.close()
        again = set(compare(replace(books, leads=leads), listed, journal))
        differences = [one for one in compare(replace(first, leads=leads), in_first, journal) if one in again]
        entries = sum(map(len, journal.values()))
        return Compared(differences, len(books.held), len(listed), entries, len(first.in_flight | books.in_flight))

    async def _books(self, database: Database) -> Books:
        async with database.single() as tx:
            return await read_books(tx)

    async def _fresh_list(self, database: Database) -> dict[str, Side]:
        """Order a list, and wait until the gateway has it or a newer one."""
        ordered_at, deadline = self._clock.now(), time.monotonic() + self._wait_s
        try:
            outcome = await ordered(OPERATIONS, self._order, self._wait_s)
        except NotOrdered as error:
            raise NotCompared(f"список закреплений не заказан: {error}") from None
        if isinstance(outcome, Refused):
            raise NotCompared(f"служба {RESERVATIONS} отказала в списке закреплений: {outcome.reason}")
        if not isinstance(outcome, Performed):
            raise NotCompared(f"служба {RESERVATIONS} не ответила за {self._wait_s:g} с: работает ли она?")
        while True:
            async with database.single() as tx:
                newest = await newest_list(tx)
                if newest is not None and _is_ours(newest, outcome.result, ordered_at):
                    return await read_listed(tx)
            if time.monotonic() > deadline:
                raise NotCompared(
                    f"список закреплений {outcome.result} не дошёл до шлюза за {self._wait_s:g} с: работает ли шлюз?"
                )
            await asyncio.sleep(LOOK_EVERY_S)

    async def _journal(self, database: Database) -> dict[str, list[Entry]]:
        """The entries of 1C's partner journal by lead id. After an error the reading goes on from the last page."""
        found: dict[str, list[Entry]] = {}
        deadline, pause_s, after = time.monotonic() + self._wait_s, FIRST_PAUSE_S, ""
        async with self._onec(database) as reader:
            while True:
                try:
                    page = await reader.read(Call("reconcile"), after)
                except OneCError as error:
                    pause_s = max(pause_s, error.after_s) if isinstance(error, Paused) else pause_s
                    is_final = isinstance(error, (RefusedByOneC, NoRights))
                    if is_final or time.monotonic() + pause_s > deadline:
                        raise NotCompared(f"журнал партнёров в 1С не прочитан: {error.reason}") from None
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                    continue
                for entry in page.entries:
                    found.setdefault(entry.side.lead_id, []).append(entry)
                if page.last is None:
                    return found
                # Each page has the whole time anew.
                deadline, pause_s, after = time.monotonic() + self._wait_s, FIRST_PAUSE_S, page.last

    @asynccontextmanager
    async def _onec(self, database: Database) -> AsyncIterator[JournalReader]:
        """Reads 1C as the gateway does, by one request at a time; the exchanges are recorded."""
        settings = self._settings
        zone = ZoneInfo(settings.time_zone)
        try:
            names = mapping.load(settings.mapping_file)
        except (mapping.MappingError, OSError) as error:
            raise NotCompared(f"файл соответствия: {error}") from None
        probe_s = settings.probe_every.total_seconds()
        maintenance = Maintenance(parse_calendar(settings.maintenance), probe_s, lambda: datetime.now(zone))
        gate = Gate(Throttle(1, settings.per_second), maintenance=maintenance)
        exchanges = ExchangeJournal(settings.exchanges_kept_for)
        onec = connect(settings, names, gate, exchanges)
        probing = asyncio.create_task(gate.run(onec.probe))
        try:
            yield JournalReader(onec, names, unsealer(settings).key_of)
        finally:
            probing.cancel()
            await onec.close()
            await exchanges.write(database)


def _is_ours(newest: tuple[object, datetime], list_id: str, ordered_at: datetime) -> bool:
    return str(newest[0]) == list_id or newest[1] > ordered_at
