"""The watch of 1C: new and changed enquiries of held clients, sales, and the phones of the builder's staff.

1C sends no notifications, so it is read at an interval. 1C assigns document numbers in the order of entry, whatever
date a document gets, so a backdated document is found by its number. The last few numbers are read again each time,
because a transaction may be committed after one that began later. Numbering begins again with a new year or another
prefix, so documents dated since shortly before the last read are read too.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from chassis.decision import Cause
from chassis.service import Input, Runtime, is_transient
from services.onec_gateway.domain.evidence import is_later_number
from services.onec_gateway.domain.inputs import EnquirySeen, SaleSeen, Watermark
from services.onec_gateway.domain.model import Enquiry
from services.onec_gateway.onec.errors import OneCError
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.search import FoundDeal, Search, SeenEnquiry
from services.onec_gateway.store.sightings import SightingStore
from services.onec_gateway.unsealing import Unsealer

log = structlog.get_logger(__name__)

OVERLAP: Final = 50
STAFF_EVERY_S: Final = 600.0
LOOK_BACK: Final = timedelta(days=1)
PAGE: Final = 500
_ENQUIRIES: Final = "enquiries"
_SALES: Final = "sales"


class Watch:
    """Reads 1C at an interval of `every_s` seconds, and known documents at one of `reread_s`.

    `sales`, `staff`: whether the mapping names the sets of sales and of the staff's phones. `watermark` is how far
    enquiries were read; None before the first read.
    """

    def __init__(
        self, search: Search, unsealer: Unsealer, *, every_s: float, reread_s: float, sales: bool, staff: bool
    ) -> None:
        self._search = search
        self._unsealer = unsealer
        self._every_s = every_s
        self._reread_s = reread_s
        self._sales = sales
        self._staff = staff
        self._decided: set[tuple[str, datetime, bool]] = set()
        self._reread_at = self._staff_at = float("-inf")
        self.watermark: Watermark | None = None

    async def run(self, runtime: Runtime) -> None:
        """Read 1C at the interval, without end. After an error of 1C or a transient error of the database the read is
        repeated at the next interval; any other error is raised, in an ExceptionGroup."""
        store = SightingStore(runtime.database)
        while True:
            try:
                await self.read(runtime, store)
            except OneCError as error:
                log.info("watch_waits_for_onec", reason=error.reason)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("watch_waits_for_database", error=type(error).__name__)
            await asyncio.sleep(self._every_s)

    async def read(self, runtime: Runtime, store: SightingStore) -> None:
        """Read everything that is due, once.

        Raises OneCError and transient errors of the database at once. Other errors of one kind of documents are raised
        in an ExceptionGroup after the other kinds were read.
        """
        parts: list[Callable[[Runtime, SightingStore], Awaitable[None]]] = [self._read_new_enquiries]
        if self._staff and time.monotonic() - self._staff_at >= STAFF_EVERY_S:
            parts.insert(0, self._read_staff)
        if self._sales:
            parts.append(self._read_new_sales)
        if time.monotonic() - self._reread_at >= self._reread_s:
            parts.append(self._reread)
        errors: list[Exception] = []
        for part in parts:
            try:
                await part(runtime, store)
            except Exception as error:
                if isinstance(error, OneCError) or is_transient(error):
                    raise
                errors.append(error)
        if errors:
            raise ExceptionGroup("some documents could not be read", errors)

    async def _read_staff(self, _: Runtime, store: SightingStore) -> None:
        phones = await self._search.staff_phones(_call("staff"))
        await store.save_staff(sorted(self._unsealer.key_of(phone) for phone in phones))
        self._staff_at = time.monotonic()

    async def _reread(self, runtime: Runtime, store: SightingStore) -> None:
        await self._reread_enquiries(runtime, store)
        if self._sales:
            await self._reread_sales(runtime, store)
        self._reread_at = time.monotonic()

    async def _read_new_enquiries(self, runtime: Runtime, store: SightingStore) -> None:
        began = runtime.clock.now()
        watermark = await store.watermark(_ENQUIRIES)
        number, day = _read_from(watermark, began)
        found = await self._search.enquiries_since(_call("watch-enquiries"), number=number, date=day, limit=PAGE)
        fresh = [seen for seen in found if _version(seen) not in self._decided and not seen.ours]
        keys_by_card = await self._keys_by_card(fresh, store)
        for seen in fresh:
            is_after = watermark is not None and is_later_number(seen.number, watermark.number)
            not_there_at = watermark.at if watermark is not None and is_after else None
            for key in keys_by_card.get(seen.card, ()):
                await self._decide_enquiry(runtime, key, seen, not_there_at)
        self._decided = {_version(seen) for seen in found}
        if (after := _advanced(watermark, [seen.number for seen in found], began)) is not None:
            await store.save_watermark(_ENQUIRIES, after)
            self.watermark = after

    async def _read_new_sales(self, runtime: Runtime, store: SightingStore) -> None:
        began = runtime.clock.now()
        watermark = await store.watermark(_SALES)
        number, day = _read_from(watermark, began)
        found = await self._search.deals_since(_call("watch-sales"), number=number, date=day, limit=PAGE)
        await self._decide_sales(runtime, store, found, await self._keys_by_card(found, store))
        if (after := _advanced(watermark, [deal.number for deal in found], began)) is not None:
            await store.save_watermark(_SALES, after)

    async def _reread_enquiries(self, runtime: Runtime, store: SightingStore) -> None:
        """Find the known enquiries of held clients that got another date or were deleted."""
        known = await store.enquiries_of_held()
        if not known:
            return
        found = await self._search.enquiries_by_ref(_call("reread-enquiries"), list(known))
        by_ref = {seen.ref: seen for seen in found}
        for ref, key in known.items():
            if (seen := by_ref.get(ref)) is not None:
                await self._decide_enquiry(runtime, key, seen, None)
            else:
                now = runtime.clock.now()
                await _decide(
                    runtime, Input(key, EnquirySeen(Enquiry(ref, now), now, deleted=True), _cause("enquiry", ref))
                )

    async def _reread_sales(self, runtime: Runtime, store: SightingStore) -> None:
        """Find the linked sales that were cancelled."""
        known = await store.linked_sales()
        if known:
            found = await self._search.deals_by_ref(_call("reread-sales"), list(known))
            await self._decide_sales(runtime, store, found, {deal.card: [known[deal.ref]] for deal in found})

    async def _decide_enquiry(
        self, runtime: Runtime, key: str, seen: SeenEnquiry, not_there_at: datetime | None
    ) -> None:
        enquiry = Enquiry(seen.ref, seen.date, seen.number, seen.ours)
        body = EnquirySeen(enquiry, runtime.clock.now(), not_there_at, seen.deleted)
        await _decide(runtime, Input(key, body, _cause("enquiry", seen.ref)))

    async def _decide_sales(
        self,
        runtime: Runtime,
        store: SightingStore,
        found: Sequence[FoundDeal],
        keys_by_card: Mapping[str, Sequence[str]],
    ) -> None:
        """Decide the sales for the clients behind their cards, and save them with the links that follow."""
        sales: list[dict[str, Any]] = []
        for deal in found:
            link: tuple[str | None, UUID | None] = (None, None)
            for key in keys_by_card.get(deal.card, ()):
                body = SaleSeen(deal.sale(), runtime.clock.now())
                lead_id = await _decide(runtime, Input(key, body, _cause("sale", deal.ref)))
                if lead_id is not None:
                    link = (key, lead_id)
            sales.append(
                {
                    "ref": deal.ref,
                    "number": deal.number,
                    "amount": deal.amount,
                    "currency": deal.currency,
                    "contract_number": deal.contract_number,
                    "sold_on": deal.contract_date,
                    "cancelled": deal.cancelled,
                    "seen_at": runtime.clock.now(),
                    "client_key": link[0],
                    "lead_id": link[1],
                }
            )
        await store.save_sales(sales)

    async def _keys_by_card(
        self, found: Sequence[SeenEnquiry] | Sequence[FoundDeal], store: SightingStore
    ) -> dict[str, list[str]]:
        """The clients behind the documents' cards that have a hold or a lead under review: card → client keys."""
        cards = sorted({document.card for document in found})
        if not cards:
            return {}
        phones_by_card = await self._search.phones_of(_call("whose-card"), cards)
        keys = {card: [self._unsealer.key_of(phone) for phone in phones] for card, phones in phones_by_card.items()}
        relevant = await store.held_or_undecided(sorted({key for of_card in keys.values() for key in of_card}))
        return {card: [key for key in of_card if key in relevant] for card, of_card in keys.items()}


async def _decide(runtime: Runtime, item: Input) -> Any:
    """The rule's reply; None after a permanent error, which is logged: one document must not stop the watch."""
    try:
        return await runtime.decide(item)
    except Exception as error:
        if is_transient(error):
            raise
        log.error("finding_not_decided", cause=item.cause.id, exc_info=error, message="Найденное в 1С не учтено")
        return None


def _version(seen: SeenEnquiry) -> tuple[str, datetime, bool]:
    return seen.ref, seen.date, seen.deleted


def _read_from(watermark: Watermark | None, began: datetime) -> tuple[str | None, datetime]:
    """The number and the date from which documents are read; a document that is at or after either of them is read."""
    if watermark is None:
        return None, began - LOOK_BACK
    return earlier_number(watermark.number, OVERLAP), watermark.at - LOOK_BACK


def earlier_number(number: str, by: int) -> str:
    """The document number `by` before `number` in the same series, not below its zero."""
    prefix = number.rstrip("0123456789")
    digits = number[len(prefix) :]
    return f"{prefix}{max(int(digits or 0) - by, 0):0{len(digits)}d}" if digits else number


def _advanced(watermark: Watermark | None, numbers: Sequence[str], began: datetime) -> Watermark | None:
    """The watermark after a read that began at `began` and found these numbers; None if no number was ever found."""
    highest = ""
    for number in [*numbers, *([watermark.number] if watermark is not None else [])]:
        if not highest or is_later_number(number, highest):
            highest = number
    return Watermark(highest, began) if highest else None


def _call(operation: str) -> Call:
    return Call(operation, ())


def _cause(what: str, ref: str) -> Cause:
    return Cause(f"onec/{what}/{ref}", f"onec/{what}/{ref}")
