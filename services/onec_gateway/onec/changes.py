"""Reads what is new in 1C, by the series of its numbers and by date, and whole sets by portions.

1C reports no changes: a plan for the exchange of data would, but the customer's administrator must create one, and its
answers are Atom. `DataVersion` shows only whether one object changed. So the new documents of each series are read
often, and the sets are read whole, slowly, by portions in the order of their references.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from services.onec_gateway.domain.series import OVERLAP, Places, SeenEnquiry, Series
from services.onec_gateway.onec import phones
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.mapping import Mapping as Names
from services.onec_gateway.onec.odata import datetime_literal, encoded, guid_literal, string_literal
from services.onec_gateway.onec.rows import line
from services.onec_gateway.onec.search import FoundDeal, Search

PAGE: Final = 500
PORTION: Final = 2000
"""Rows of one request in a complete read. Their fields are few and short."""
NEW_CARDS: Final = 25
"""If more cards of a portion are new or changed, the phones of the whole portion are read by one request."""
VERSION: Final = "DataVersion"
"""The platform's own field: it changes with every write of the object, also of its tabular parts."""
_FIRST: Final = "00000000-0000-0000-0000-000000000000"

Document = TypeVar("Document", SeenEnquiry, FoundDeal)
ReadPage = Callable[[str, str], Awaitable[list[Document]]]
"""Condition, order → the documents of one page."""


class Changes:
    """Reads one infobase. Dates in 1C are local times in `zone`. All methods raise OneCError.

    `page`: how many documents one request for new ones reads; `portion`: how many rows one of a complete read.
    """

    def __init__(
        self, onec: OneC, search: Search, names: Names, zone: ZoneInfo, *, page: int = PAGE, portion: int = PORTION
    ) -> None:
        self._onec = onec
        self._search = search
        self._names = names
        self._zone = zone
        self._page = page
        self.portion = portion

    async def new_enquiries(self, call: Call, places: Places, since: datetime, now: datetime) -> list[SeenEnquiry]:
        """The enquiries beyond the places of their series, those just before, and those dated at or after `since`."""
        names = self._names.general_journal

        async def read(condition: str, order_by: str) -> list[SeenEnquiry]:
            return await self._search.enquiries_where(call, condition, order_by=order_by, top=self._page)

        fields = (names.set, names.number, names.date, names.ref)
        return await self._new(read, fields, self._search.enquiry_fields(), places, since, now)

    async def new_sales(self, call: Call, places: Places, since: datetime, now: datetime) -> list[FoundDeal]:
        """The same of sales. Empty if the mapping has no section for sales."""
        names = self._names.deals
        if names is None:
            return []

        async def read(condition: str, order_by: str) -> list[FoundDeal]:
            return await self._search.deals_where(call, names, condition, order_by=order_by, top=self._page)

        fields = (names.set, names.number, names.date, names.ref)
        return await self._new(read, fields, self._search.deal_fields(names), places, since, now)

    async def enquiries_after(self, call: Call, ref: str) -> list[SeenEnquiry]:
        """The next portion of all enquiries, in the order of their references; fewer than `portion` at the end."""
        name = self._names.general_journal.ref
        condition = f"{name} gt {guid_literal(ref or _FIRST)}"
        return await self._search.enquiries_where(call, condition, order_by=name, top=self.portion)

    async def cards_after(self, call: Call, ref: str) -> dict[str, str]:
        """The next portion of all cards: reference → version, in the order of their references."""
        names = self._names.clients
        condition = f"{names.ref} gt {guid_literal(ref or _FIRST)}"
        rows = await self._onec.find(
            call, names.set, condition, (names.ref, VERSION), order_by=names.ref, top=self.portion
        )
        return {line(row, names.ref): line(row, VERSION) for row in rows}

    async def numbers_of(self, call: Call, cards: Sequence[str], after: str, through: str) -> dict[str, phones.Numbers]:
        """The numbers on these cards, which stand between the references `after` and `through` in 1C's order."""
        if len(cards) <= NEW_CARDS:
            return await self._search.numbers_of(call, cards)
        name = self._names.phones.client
        condition = f"{name} gt {guid_literal(after or _FIRST)} and {name} le {guid_literal(through)}"
        found = await self._search.numbers_where(call, condition)
        return {card: found.get(card, phones.NO_NUMBERS) for card in cards}

    async def _new(
        self,
        read: ReadPage[Document],
        fields: tuple[str, str, str, str],
        shown: Sequence[str],
        places: Places,
        since: datetime,
        now: datetime,
    ) -> list[Document]:
        number: str = fields[1]
        date: str = fields[2]
        by_date = f"{date} ge {datetime_literal(since, self._zone)}"
        conditions = [by_date, *(self._beyond(series, places, number, date) for series in places.recent(now))]
        found = await self._pages(read, fields, shown, conditions)
        # A series that only its date revealed is read beyond its last number at once. So it has a place that was read
        # to its end, and a later document with a higher number is known to be new.
        known = set(places.by_series)
        places.advance(((one.number, one.date) for one in found.values()), now)
        if revealed := [series for series in places.recent(now) if series not in known]:
            conditions = [self._beyond(series, places, number, date) for series in revealed]
            found |= await self._pages(read, fields, shown, conditions)
            places.advance(((one.number, one.date) for one in found.values()), now)
        return list(found.values())

    def _beyond(self, series: Series, places: Places, number: str, date: str) -> str:
        last = places.by_series[series].position
        prefix = f"startswith({number},{string_literal(series.prefix)}) and " if series.prefix else ""
        start, end = (datetime(year, 1, 1, tzinfo=self._zone) for year in (series.year, series.year + 1))
        return (
            f"({prefix}{number} gt {string_literal(series.number(last - OVERLAP))}"
            f" and {date} ge {datetime_literal(start, self._zone)} and {date} lt {datetime_literal(end, self._zone)})"
        )

    async def _pages(
        self,
        read: ReadPage[Document],
        fields: tuple[str, str, str, str],
        shown: Sequence[str],
        conditions: Sequence[str],
    ) -> dict[str, Document]:
        """The documents that meet one of the conditions, by reference.

        The next page begins after the last document of a page, not after its number: numbers need not be unique.
        """
        entity, number, _, ref = fields
        found: dict[str, Document] = {}
        for condition in self._packed(entity, conditions, shown, number, ref):
            page = await read(condition, f"{number},{ref}")
            while True:
                found |= {one.ref: one for one in page}
                if len(page) < self._page:
                    break
                page = await read(f"({condition}) and {_after(number, ref, page[-1])}", f"{number},{ref}")
        return found

    def _packed(
        self, entity: str, conditions: Sequence[str], shown: Sequence[str], number: str, ref: str
    ) -> Iterator[str]:
        reserve = len(encoded(f"() and {_after_text(number, ref, 'Ж' * 11, _FIRST)},{ref}"))
        return self._search.packed(entity, conditions, shown, reserve=reserve)


def _after(number: str, ref: str, last: SeenEnquiry | FoundDeal) -> str:
    return _after_text(number, ref, last.number, last.ref)


def _after_text(number: str, ref: str, last_number: str, last_ref: str) -> str:
    literal = string_literal(last_number)
    return f"({number} gt {literal} or ({number} eq {literal} and {ref} gt {guid_literal(last_ref)}))"
