"""The watch of 1C: new and changed enquiries of held clients, sales, and the phones of the builder's staff.

1C sends no notifications, so it is read at an interval. Each time the new documents of each series of numbers are read,
and those dated lately. That is prompt, but misses what people do to older documents and to cards. So all cards and all
enquiries are read as well, slowly: at most LOOK_REQUESTS portions of each at an interval, from the beginning again
after the end. What was read is kept in the mirror, and what differs there from the clients' facts is decided.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from chassis.decision import Cause
from chassis.service import Input, Runtime, is_transient
from contracts.sealing import Unsealable
from services.onec_gateway.domain.inputs import SaleSeen
from services.onec_gateway.domain.model import Enquiry
from services.onec_gateway.domain.series import Places, SeenEnquiry, Series, highest
from services.onec_gateway.onec import phones
from services.onec_gateway.onec.changes import Changes
from services.onec_gateway.onec.errors import OneCError
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.search import FoundDeal, Search
from services.onec_gateway.store.mirror import CARDS, ENQUIRIES, SALES, Mirror
from services.onec_gateway.store.sales import SaleStore
from services.onec_gateway.unsealing import Unsealer

log = structlog.get_logger(__name__)

STAFF_EVERY_S: Final = 600.0
LOOK_BACK: Final = timedelta(days=1)
LOOK_REQUESTS: Final = 2
TAILS_AT_ONCE: Final = 1000
UNSEEN_AT_ONCE: Final = 200
_FAILED: Final = object()


@dataclass(slots=True)
class Look:
    """A complete read of the cards or of the enquiries, by portions, over several intervals.

    `after`: the last reference that was read. `refs` and `highest`: the enquiries that were found, and the highest
    position in each series. `is_baseline`: it is the first one of all cards, and its place is stored.
    """

    began: datetime
    after: str = ""
    refs: list[str] = field(default_factory=list)
    highest: dict[Series, int] = field(default_factory=dict)
    is_baseline: bool = False

    def note(self, found: Iterable[SeenEnquiry], zone: ZoneInfo) -> None:
        """Take note of the positions of enquiries that were found meanwhile."""
        for series, position in highest(((seen.number, seen.date) for seen in found), zone).items():
            self.highest[series] = max(self.highest.get(series, 0), position)


class Watch:
    """Reads 1C at an interval of `every_s` seconds, and linked sales at one of `reread_s`.

    `sales`, `staff`: whether the mapping names the sets of sales and of the staff's phones. `places`: how far the
    enquiries of each series were read. `zone` is the zone of 1C's dates.
    """

    def __init__(
        self,
        search: Search,
        changes: Changes,
        unsealer: Unsealer,
        zone: ZoneInfo,
        *,
        every_s: float,
        reread_s: float,
        sales: bool,
        staff: bool,
    ) -> None:
        self._search = search
        self._changes = changes
        self._unsealer = unsealer
        self._zone = zone
        self._every_s = every_s
        self._reread_s = reread_s
        self._sales = sales
        self._staff = staff
        self._reread_at = self._staff_at = float("-inf")
        self._not_decided: set[tuple[str, Enquiry, bool]] = set()
        self._cards_look: Look | None = None
        self._enquiries_look: Look | None = None
        self.places = Places(zone)

    async def run(self, runtime: Runtime) -> None:
        """Read 1C at the interval, without end. After an error of 1C or a transient error of the database the read is
        repeated at the next interval; any other error is raised, in an ExceptionGroup."""
        store, mirror = SaleStore(runtime.database), Mirror(runtime.database, self._zone)
        while True:
            try:
                await self.read(runtime, store, mirror)
            except OneCError as error:
                log.info("watch_waits_for_onec", reason=error.reason)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("watch_waits_for_database", error=type(error).__name__)
            await asyncio.sleep(self._every_s)

    async def read(self, runtime: Runtime, store: SaleStore, mirror: Mirror) -> None:
        """Read everything that is due, once.

        Raises OneCError and transient errors of the database at once. Other errors of one kind of documents are raised
        in an ExceptionGroup after the other kinds were read.
        """
        parts: list[Callable[[Runtime, SaleStore, Mirror], Awaitable[None]]] = [self._read_enquiries]
        if self._staff and time.monotonic() - self._staff_at >= STAFF_EVERY_S:
            parts.insert(0, self._read_staff)
        if self._sales:
            parts.append(self._read_sales)
        parts.append(self._look_at_all)
        errors: list[Exception] = []
        for part in parts:
            try:
                await part(runtime, store, mirror)
            except Exception as error:
                if isinstance(error, OneCError) or is_transient(error):
                    raise
                errors.append(error)
        if errors:
            raise ExceptionGroup("some documents could not be read", errors)

    async def _read_staff(self, _: Runtime, store: SaleStore, __: Mirror) -> None:
        numbers = await self._search.staff_phones(_call("staff"))
        await store.save_staff(sorted(self._unsealer.key_of(phone) for phone in numbers))
        self._staff_at = time.monotonic()

    async def _read_enquiries(self, runtime: Runtime, _: SaleStore, mirror: Mirror) -> None:
        await self._keep_tails(mirror)
        await self._read_new_enquiries(runtime, mirror)
        await self._decide_changes(runtime, mirror)

    async def _read_sales(self, runtime: Runtime, store: SaleStore, mirror: Mirror) -> None:
        await self._read_new_sales(runtime, store, mirror)
        if time.monotonic() - self._reread_at >= self._reread_s:
            await self._reread_sales(runtime, store)
            self._reread_at = time.monotonic()

    async def _look_at_all(self, runtime: Runtime, _: SaleStore, mirror: Mirror) -> None:
        await self._look_at_cards(runtime, mirror)
        await self._look_at_enquiries(runtime, mirror)
        await self._decide_changes(runtime, mirror)

    # --- what is new

    async def _read_new_enquiries(self, runtime: Runtime, mirror: Mirror) -> None:
        began = runtime.clock.now()
        before = await mirror.places(ENQUIRIES)
        self.places, after = before, before.copy()
        since = _dated_since(before, began)
        found = await self._changes.new_enquiries(_call("watch-enquiries"), after, since, began)
        await self._keep_cards(mirror, await mirror.save_enquiries(found, before, began), began)
        if self._enquiries_look is not None:
            self._enquiries_look.note(found, self._zone)
        after.read_again(after.recent(began), began)
        await mirror.save_places(ENQUIRIES, after)
        self.places = after

    async def _read_new_sales(self, runtime: Runtime, store: SaleStore, mirror: Mirror) -> None:
        began = runtime.clock.now()
        places = await mirror.places(SALES)
        found = await self._changes.new_sales(_call("watch-sales"), places, _dated_since(places, began), began)
        cards = sorted({deal.card for deal in found})
        await self._keep_cards(mirror, cards, began)
        await self._decide_sales(runtime, store, found, await mirror.clients_of(cards))
        places.read_again(places.recent(began), began)
        await mirror.save_places(SALES, places)

    async def _reread_sales(self, runtime: Runtime, store: SaleStore) -> None:
        """Find the linked sales that were cancelled."""
        known = await store.linked_sales()
        if known:
            found = await self._search.deals_by_ref(_call("reread-sales"), list(known))
            await self._decide_sales(runtime, store, found, {deal.card: [known[deal.ref]] for deal in found})

    # --- everything, slowly

    async def _look_at_cards(self, runtime: Runtime, mirror: Mirror) -> None:
        """Read the next portions of all cards, and the phones of those that are new or changed."""
        look = self._cards_look = self._cards_look or await self._cards_from(runtime, mirror)
        for _ in range(LOOK_REQUESTS):
            read_at = runtime.clock.now()
            versions = await self._changes.cards_after(_call("look-cards"), look.after)
            through = next(reversed(versions), look.after)
            if changed := await mirror.changed_cards(versions):
                numbers = await self._changes.numbers_of(_call("look-phones"), changed, look.after, through)
                await mirror.save_cards(versions, self._keys_of(numbers), read_at)
            look.after = through
            if len(versions) < self._changes.portion:
                await mirror.save_complete(CARDS, look.began)
                self._cards_look = None
                return
            if look.is_baseline:
                await mirror.save_baseline(look.began, look.after)

    async def _cards_from(self, runtime: Runtime, mirror: Mirror) -> Look:
        """Where to begin a complete read of all cards. The first, the baseline, is resumed after a restart."""
        if await mirror.complete_at(CARDS) is not None:
            return Look(runtime.clock.now())
        began, after = await mirror.baseline() or (runtime.clock.now(), "")
        await mirror.save_baseline(began, after)
        return Look(began, after, is_baseline=True)

    async def _look_at_enquiries(self, runtime: Runtime, mirror: Mirror) -> None:
        """Read the next portions of all enquiries; after the last one, those that were not found are gone."""
        look = self._enquiries_look = self._enquiries_look or Look(runtime.clock.now())
        for _ in range(LOOK_REQUESTS):
            read_at = runtime.clock.now()
            found = await self._changes.enquiries_after(_call("look-enquiries"), look.after)
            await mirror.save_enquiries(found, self.places, read_at)
            look.note(found, self._zone)
            look.refs.extend(seen.ref for seen in found)
            look.after = found[-1].ref if found else look.after
            if len(found) < self._changes.portion:
                await self._confirm_gone(runtime, mirror, look)
                self.places.settle(look.highest, look.began)
                await mirror.save_places(ENQUIRIES, self.places)
                await mirror.save_complete(ENQUIRIES, look.began)
                self._enquiries_look = None
                return

    async def _confirm_gone(self, runtime: Runtime, mirror: Mirror, look: Look) -> None:
        """Read the enquiries that a complete read did not find by their references, before they count as deleted."""
        unseen, read_at = await mirror.unseen(look.refs, look.began, UNSEEN_AT_ONCE), runtime.clock.now()
        if unseen:
            found = await self._search.enquiries_by_ref(_call("look-enquiries"), unseen)
            await mirror.save_enquiries(found, self.places, read_at)
            await mirror.mark_missing(sorted({*unseen} - {seen.ref for seen in found}), read_at)

    # --- whose it is

    async def _keep_tails(self, mirror: Mirror) -> None:
        """Store the keys of the last digits of watched clients' phones, each of which is opened once for it."""
        tails: dict[str, str] = {}
        for client in await mirror.without_tail(TAILS_AT_ONCE):
            try:
                phone = self._unsealer.phone_of(client.client, client.lead_id)
            except Unsealable:
                log.error("client_unsealable", lead_id=client.lead_id, message="Проверьте ONEC_SEALING_KEYS")
                break
            tails[client.key] = self._unsealer.keys_of(phone)[1]
        await mirror.save_tails(tails)

    async def _keep_cards(self, mirror: Mirror, cards: Sequence[str], read_at: datetime) -> None:
        """Read the phones of these cards, and store their keys."""
        if cards:
            numbers = await self._search.numbers_of(_call("whose-card"), cards)
            await mirror.save_cards({}, self._keys_of(numbers), read_at)

    def _keys_of(self, numbers: Mapping[str, phones.Numbers]) -> dict[str, Collection[str]]:
        key_of = self._unsealer.key_of
        return {card: {key_of(one) for one in (*held.full, *held.tails)} for card, held in numbers.items()}

    # --- decisions

    async def _decide_changes(self, runtime: Runtime, mirror: Mirror) -> None:
        for key, seen in await mirror.changes(runtime.clock.now()):
            version = (key, seen.enquiry, seen.deleted)
            if version in self._not_decided:
                continue
            if await _decide(runtime, Input(key, seen, _cause("enquiry", seen.enquiry.ref))) is _FAILED:
                self._not_decided.add(version)
        for key, shared in await mirror.shared_cards():
            await _decide(runtime, Input(key, shared, _cause("card", shared.card), related=(shared.other,)))

    async def _decide_sales(
        self,
        runtime: Runtime,
        store: SaleStore,
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
                if lead_id is not None and lead_id is not _FAILED:
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


async def _decide(runtime: Runtime, item: Input) -> Any:
    """The rule's reply; _FAILED after a permanent error, which is logged: one document must not stop the watch."""
    try:
        return await runtime.decide(item)
    except Exception as error:
        if is_transient(error):
            raise
        log.error("finding_not_decided", cause=item.cause.id, exc_info=error, message="Найденное в 1С не учтено")
        return _FAILED


def _dated_since(places: Places, began: datetime) -> datetime:
    """From when dated documents are read: shortly before the last read, or before this one if it is the first."""
    return max((place.at for place in places.by_series.values()), default=began) - LOOK_BACK


def _call(operation: str) -> Call:
    return Call(operation, ())


def _cause(what: str, ref: str) -> Cause:
    return Cause(f"onec/{what}/{ref}", f"onec/{what}/{ref}")
