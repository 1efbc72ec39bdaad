"""The watching of 1C: walk-ins of held clients, sales, and whose phones the builder's staff have.

1C tells nobody anything, so it is asked again and again. Document numbers grow in the order of entry whatever date
a document is given, so a backdated one is found by its number; a few numbers are read again each time, since a
transaction may be committed after one that began later. Numbers begin again with a year or another prefix, so what is
dated since shortly before the last look is read too.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from chassis.decision import Cause
from chassis.service import Input, Runtime, is_transient
from contracts.person import client_key
from services.onec_gateway.domain import EnquirySeen, SaleSeen
from services.onec_gateway.evidence import Watched, is_later_number
from services.onec_gateway.facts import Enquiry
from services.onec_gateway.handlers import sale_of
from services.onec_gateway.onec.errors import OneCError
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.search import FoundDeal, Search, SeenEnquiry
from services.onec_gateway.store import Sightings

log = structlog.get_logger(__name__)

OVERLAP: Final = 50
STAFF_EVERY_S: Final = 600.0
LOOK_BACK: Final = timedelta(days=1)
PORTION: Final = 500
_ENQUIRIES: Final = "enquiries"
_SALES: Final = "sales"


class Watch:
    """`watched` is how far it has come with enquiries; None before the first look."""

    def __init__(
        self, search: Search, key_secret: bytes, *, every_s: float, reread_s: float, sales: bool, staff: bool
    ) -> None:
        self._search = search
        self._key_secret = key_secret
        self._every_s = every_s
        self._reread_s = reread_s
        self._sales = sales
        self._staff = staff
        self._done: set[tuple[str, datetime, bool]] = set()
        self._reread_at = self._staff_at = float("-inf")
        self.watched: Watched | None = None

    async def run(self, runtime: Runtime) -> None:
        """Look, for as long as the service runs. What fails is tried again at the next look."""
        sightings = Sightings(runtime.database)
        while True:
            try:
                await self.look(runtime, sightings)
            except OneCError as error:
                log.info("watching waits for 1C", reason=error.reason)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("watching waits for the database", error=type(error).__name__)
            await asyncio.sleep(self._every_s)

    async def look(self, runtime: Runtime, sightings: Sightings) -> None:
        """One look at all that is due. Raises OneCError and what the database raises."""
        if self._staff and time.monotonic() - self._staff_at >= STAFF_EVERY_S:
            phones = await self._search.staff_phones(_call("staff"))
            await sightings.keep_staff(sorted(client_key(self._key_secret, phone) for phone in phones))
            self._staff_at = time.monotonic()
        await self._new_enquiries(runtime, sightings)
        if self._sales:
            await self._new_sales(runtime, sightings)
        if time.monotonic() - self._reread_at >= self._reread_s:
            await self._again(runtime, sightings)
            self._reread_at = time.monotonic()

    async def _new_enquiries(self, runtime: Runtime, sightings: Sightings) -> None:
        began = runtime.clock.now()
        mark = await sightings.mark(_ENQUIRIES)
        number, day = _since(mark, began)
        found = await self._search.enquiries_since(_call("watch-enquiries"), number=number, date=day, limit=PORTION)
        fresh = [one for one in found if (one.ref, one.date, one.deleted) not in self._done and not one.ours]
        by_key = await self._keys(fresh, sightings)
        for one in fresh:
            absent = mark[1] if mark is not None and is_later_number(one.number, mark[0]) else None
            for key in by_key.get(one.card, ()):
                await self._tell(runtime, key, one, absent)
        self._done = {(one.ref, one.date, one.deleted) for one in found}
        highest = _highest([*(one.number for one in found), *([mark[0]] if mark is not None else [])])
        if highest:
            await sightings.keep_mark(_ENQUIRIES, highest, began)
            self.watched = Watched(highest, began)

    async def _new_sales(self, runtime: Runtime, sightings: Sightings) -> None:
        began = runtime.clock.now()
        mark = await sightings.mark(_SALES)
        number, day = _since(mark, began)
        found = await self._search.deals_since(_call("watch-sales"), number=number, date=day, limit=PORTION)
        by_key = await self._keys(found, sightings)
        await self._keep_sales(runtime, sightings, found, by_key)
        highest = _highest([*(one.number for one in found), *([mark[0]] if mark is not None else [])])
        if highest:
            await sightings.keep_mark(_SALES, highest, began)

    async def _again(self, runtime: Runtime, sightings: Sightings) -> None:
        """Enquiries that were redated or deleted, sales that were cancelled."""
        known = await sightings.enquiries()
        if known:
            now = {one.ref: one for one in await self._search.enquiries_by_ref(_call("reread-enquiries"), list(known))}
            for ref, key in known.items():
                if (one := now.get(ref)) is not None:
                    await self._tell(runtime, key, one, None)
                else:
                    gone = EnquirySeen(Enquiry(ref, runtime.clock.now()), runtime.clock.now(), deleted=True)
                    await _decided(runtime, Input(key, gone, _cause("enquiry", ref)))
        tied = await sightings.tied_sales() if self._sales else {}
        if tied:
            found = await self._search.deals_by_ref(_call("reread-sales"), list(tied))
            keys = {one.card: [tied[one.ref]] for one in found}
            await self._keep_sales(runtime, sightings, found, keys)

    async def _tell(self, runtime: Runtime, key: str, one: SeenEnquiry, absent: datetime | None) -> None:
        enquiry = Enquiry(one.ref, one.date, one.number, one.ours)
        seen = EnquirySeen(enquiry, runtime.clock.now(), absent, one.deleted)
        await _decided(runtime, Input(key, seen, _cause("enquiry", one.ref)))

    async def _keep_sales(
        self,
        runtime: Runtime,
        sightings: Sightings,
        found: Sequence[FoundDeal],
        by_card: Mapping[str, Sequence[str]],
    ) -> None:
        kept: list[dict[str, Any]] = []
        for deal in found:
            tied: tuple[str | None, UUID | None] = (None, None)
            for key in by_card.get(deal.card, ()):
                seen = SaleSeen(sale_of(deal), runtime.clock.now())
                lead_id = await _decided(runtime, Input(key, seen, _cause("sale", deal.ref)))
                if lead_id is not None:
                    tied = (key, lead_id)
            kept.append(
                {
                    "ref": deal.ref,
                    "number": deal.number,
                    "amount": deal.amount,
                    "currency": deal.currency,
                    "contract_number": deal.contract_number,
                    "sold_on": deal.contract_date,
                    "cancelled": deal.cancelled,
                    "seen_at": runtime.clock.now(),
                    "client_key": tied[0],
                    "lead_id": tied[1],
                }
            )
        await sightings.keep_sales(kept)

    async def _keys(
        self, found: Sequence[SeenEnquiry] | Sequence[FoundDeal], sightings: Sightings
    ) -> dict[str, list[str]]:
        """The clients of ours behind the cards: card → client keys."""
        cards = sorted({one.card for one in found})
        if not cards:
            return {}
        phones = await self._search.phones_of(_call("whose-card"), cards)
        keys = {
            card: [client_key(self._key_secret, phone) for phone in phones_of_card]
            for card, phones_of_card in phones.items()
        }
        ours = await sightings.ours(sorted({key for of_card in keys.values() for key in of_card}))
        return {card: [key for key in of_card if key in ours] for card, of_card in keys.items()}


async def _decided(runtime: Runtime, item: Input) -> Any:
    """The rule's reply. One thing that cannot be decided must not end the watching of all others."""
    try:
        return await runtime.decide(item)
    except Exception as error:
        if is_transient(error):
            raise
        log.error("cannot be decided", cause=item.cause.id, exc_info=error, message="Найденное в 1С не учтено")
        return None


def _since(mark: tuple[str, datetime] | None, began: datetime) -> tuple[str | None, datetime]:
    """The number and the date either of which makes a document one to look at."""
    if mark is None:
        return None, began - LOOK_BACK
    return earlier_number(mark[0], OVERLAP), mark[1] - LOOK_BACK


def earlier_number(number: str, by: int) -> str:
    """The document number that many before; the first of its series at the least."""
    head = number.rstrip("0123456789")
    digits = number[len(head) :]
    return f"{head}{max(int(digits or 0) - by, 0):0{len(digits)}d}" if digits else number


def _highest(numbers: Sequence[str]) -> str:
    highest = ""
    for number in numbers:
        if not highest or is_later_number(number, highest):
            highest = number
    return highest


def _call(operation: str) -> Call:
    return Call(operation, ())


def _cause(what: str, ref: str) -> Cause:
    return Cause(f"onec/{what}/{ref}", f"onec/{what}/{ref}")
