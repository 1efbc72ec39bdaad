"""Reads 1C: the records of clients by phone, new enquiries and sales, and the phones of the staff.

1C can process few requests, so one request covers as many clients as the web server lets through. 1C's columns
hold phones as people typed them, so its `like` only preselects rows, and the gateway compares the numbers itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from services.onec_gateway.domain.model import Enquiry, Sale
from services.onec_gateway.onec import phones
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.mapping import Deals, Phones
from services.onec_gateway.onec.mapping import Mapping as Names
from services.onec_gateway.onec.marks import is_handed_over
from services.onec_gateway.onec.odata import OR, datetime_literal, encoded, find_query, guid_literal, string_literal
from services.onec_gateway.onec.rows import day, instant, line, money, string

_MOST_CLIENTS: Final = 100
_SAMPLE_PHONE: Final = "+79990000000"


@dataclass(frozen=True, slots=True)
class SeenEnquiry:
    """An enquiry in 1C, also a deleted one (`deleted`: marked for deletion).

    `card` is the reference of the client's card. `ours`: the gateway created the enquiry after a reservation expired.
    """

    ref: str
    card: str
    number: str
    date: datetime
    ours: bool
    deleted: bool


@dataclass(frozen=True, slots=True)
class FoundDeal:
    """A sale in 1C. `card` is the reference of the client's card. `cancelled`: marked for deletion or not posted."""

    ref: str
    card: str
    number: str
    amount: Decimal
    currency: str
    contract_number: str
    contract_date: date
    cancelled: bool

    def sale(self) -> Sale:
        """This sale as the domain's type, without its card and document number."""
        return Sale(self.ref, self.amount, self.currency, self.contract_number, self.contract_date, self.cancelled)


@dataclass(frozen=True, slots=True)
class ClientRecords:
    """The records of one client in 1C: references of cards, enquiries not marked for deletion, and sales."""

    cards: tuple[str, ...] = ()
    enquiries: tuple[Enquiry, ...] = ()
    deals: tuple[FoundDeal, ...] = ()


class Search:
    """Reads one infobase. Dates in 1C are local times in `zone`. All methods that send requests raise OneCError."""

    def __init__(self, onec: OneC, names: Names, zone: ZoneInfo) -> None:
        self._onec = onec
        self._names = names
        self._zone = zone

    def clients_per_request(self) -> int:
        """How many clients one request can search for before its address is too long for the web server."""
        names = self._names.phones
        condition = _has_phone(names, _SAMPLE_PHONE)
        packed = self._packed(names.set, [condition] * _MOST_CLIENTS, _phone_fields(names))
        return next(packed).count(condition)

    async def clients(self, call: Call, wanted: Sequence[str]) -> dict[str, ClientRecords]:
        """The records of the clients with these phones (E.164), by phone."""
        cards = await self.cards(call, wanted)
        every = sorted({card for of_phone in cards.values() for card in of_phone})
        enquiries: dict[str, list[Enquiry]] = {}
        deals: dict[str, list[FoundDeal]] = {}
        if every:
            names = self._names.general_journal
            conditions = [f"{names.client} eq {guid_literal(card)}" for card in every]
            for seen in await self._enquiries(call, conditions):
                if not seen.deleted:
                    enquiry = Enquiry(seen.ref, seen.date, seen.number, seen.ours)
                    enquiries.setdefault(seen.card, []).append(enquiry)
            if (deal_names := self._names.deals) is not None:
                conditions = [f"{deal_names.client} eq {guid_literal(card)}" for card in every]
                for deal in await self._deals(call, deal_names, conditions):
                    deals.setdefault(deal.card, []).append(deal)
        return {
            phone: ClientRecords(
                tuple(sorted(cards[phone])),
                tuple(enquiry for card in sorted(cards[phone]) for enquiry in enquiries.get(card, ())),
                tuple(deal for card in sorted(cards[phone]) for deal in deals.get(card, ())),
            )
            for phone in wanted
        }

    async def cards(self, call: Call, wanted: Sequence[str]) -> dict[str, set[str]]:
        """The references of the cards that hold each of these phones (E.164), by phone."""
        names = self._names.phones
        fields = _phone_fields(names)
        conditions = {phone: _has_phone(names, phone) for phone in wanted}
        cards: dict[str, set[str]] = {phone: set() for phone in wanted}
        for condition in self._packed(names.set, conditions.values(), fields):
            rows = await self._onec.find(call, names.set, condition, fields)
            for phone in wanted:
                last = phones.last_digits(phone)
                for row in rows:
                    columns = [string(row, name) for name in fields[1:]]
                    # The cheap test first: nearly every row of an answer belongs to another client.
                    if _may_hold(columns, last) and phones.same(phone, columns):
                        cards[phone].add(string(row, names.client))
        return cards

    async def phones_of(self, call: Call, cards: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The phones of these cards that are written in full, as E.164, by the card's reference."""
        names = self._names.phones
        fields = _phone_fields(names)
        conditions = [f"{names.client} eq {guid_literal(card)}" for card in cards]
        numbers: dict[str, set[str]] = {card: set() for card in cards}
        for condition in self._packed(names.set, conditions, fields):
            for row in await self._onec.find(call, names.set, condition, fields):
                full = {number for name in fields[1:] for number in phones.parsed(string(row, name))}
                numbers.setdefault(string(row, names.client), set()).update(full)
        return {card: tuple(sorted(of_card)) for card, of_card in numbers.items()}

    async def enquiries_since(
        self, call: Call, *, number: str | None, date: datetime | None, limit: int
    ) -> list[SeenEnquiry]:
        """Enquiries with a number above `number` or dated at or after `date`, ordered by number.

        They are read in portions of `limit`. With a new year or another prefix numbers start again from the
        beginning: then only the date finds the new enquiries.
        """
        names = self._names.general_journal
        since = self._since(names.number, names.date, number, date)
        condition = since
        enquiries: list[SeenEnquiry] = []
        while True:
            portion = await self._enquiries(call, [condition], order_by=names.number, top=limit)
            enquiries.extend(portion)
            if len(portion) < limit:
                return enquiries
            condition = f"({since}) and {names.number} gt {string_literal(portion[-1].number)}"

    async def enquiries_by_ref(self, call: Call, refs: Sequence[str]) -> list[SeenEnquiry]:
        """The enquiries with these references. Enquiries that were physically deleted are missing in the result."""
        names = self._names.general_journal
        return await self._enquiries(call, [f"{names.ref} eq {guid_literal(ref)}" for ref in refs])

    async def deals_since(
        self, call: Call, *, number: str | None, date: datetime | None, limit: int
    ) -> list[FoundDeal]:
        """Sales with a number above `number` or dated at or after `date`, ordered by number. Both are needed: numbers
        restart each year. All of them are returned; each request to 1C reads at most `limit`. Empty if the mapping has
        no section for sales."""
        names = self._names.deals
        if names is None:
            return []
        since = self._since(names.number, names.date, number, date)
        condition = since
        deals: list[FoundDeal] = []
        while True:
            portion = await self._deals(call, names, [condition], order_by=names.number, top=limit)
            deals.extend(portion)
            if len(portion) < limit:
                return deals
            condition = f"({since}) and {names.number} gt {string_literal(portion[-1].number)}"

    async def deals_by_ref(self, call: Call, refs: Sequence[str]) -> list[FoundDeal]:
        """The sales with these references. Sales that were physically deleted are missing in the result."""
        names = self._names.deals
        if names is None:
            return []
        return await self._deals(call, names, [f"{names.ref} eq {guid_literal(ref)}" for ref in refs])

    async def staff_phones(self, call: Call) -> frozenset[str]:
        """The phones of the builder's staff, as E.164. Empty if the mapping has no section for the staff."""
        names = self._names.staff_phones
        if names is None:
            return frozenset()
        fields = (names.presentation, names.number, names.number_without_codes)
        is_phone = f"{names.type} eq {string_literal(names.type_phone)}"
        rows = await self._onec.find(call, names.set, is_phone, fields)
        return frozenset(number for row in rows for name in fields for number in phones.parsed(string(row, name)))

    async def _enquiries(
        self, call: Call, conditions: Sequence[str], *, order_by: str = "", top: int | None = None
    ) -> list[SeenEnquiry]:
        names = self._names.general_journal
        fields = (names.ref, names.number, names.date, names.client, names.deletion_mark, names.comment)
        return [
            SeenEnquiry(
                ref=line(row, names.ref),
                card=string(row, names.client),
                number=line(row, names.number),
                date=instant(row, names.date, self._zone),
                ours=is_handed_over(string(row, names.comment)),
                deleted=row.get(names.deletion_mark) is True,
            )
            for condition in self._packed(names.set, conditions, fields)
            for row in await self._onec.find(call, names.set, condition, fields, order_by=order_by, top=top)
        ]

    async def _deals(
        self, call: Call, names: Deals, conditions: Sequence[str], *, order_by: str = "", top: int | None = None
    ) -> list[FoundDeal]:
        fields = [
            names.ref,
            names.client,
            names.date,
            names.number,
            names.amount,
            names.contract_number,
            names.contract_date,
            names.posted,
            names.deletion_mark,
            *([names.currency] if names.currency else []),
        ]
        return [
            FoundDeal(
                ref=line(row, names.ref),
                card=string(row, names.client),
                number=line(row, names.number),
                amount=money(row, names.amount),
                currency=line(row, names.currency) if names.currency else names.currency_code,
                contract_number=line(row, names.contract_number),
                contract_date=day(row, names.contract_date, names.date),
                cancelled=row.get(names.deletion_mark) is True or row.get(names.posted) is not True,
            )
            for condition in self._packed(names.set, conditions, fields)
            for row in await self._onec.find(call, names.set, condition, fields, order_by=order_by, top=top)
        ]

    def _packed(self, entity: str, conditions: Iterable[str], fields: Sequence[str]) -> Iterator[str]:
        """Join the conditions by `or` into as few conditions as fit into an address. A condition that is too long by
        itself is not joined with others."""
        longest = self._onec.longest_query(entity)
        # The length of a query with every option that a search may have besides its condition.
        empty = len(find_query("0", fields, order_by=fields[0], top=9999))
        joined: list[str] = []
        length = empty
        for condition in conditions:
            size = len(encoded(OR + condition))
            if joined and length + size > longest:
                yield OR.join(joined)
                joined, length = [], empty
            joined.append(condition)
            length += size
        if joined:
            yield OR.join(joined)

    def _since(self, number_field: str, date_field: str, number: str | None, date: datetime | None) -> str:
        either = [] if number is None else [f"{number_field} gt {string_literal(number)}"]
        if date is not None:
            either.append(f"{date_field} ge {datetime_literal(date, self._zone)}")
        return OR.join(either)


def _phone_fields(names: Phones) -> tuple[str, str, str, str]:
    """The card's reference, then the three columns that may hold a phone."""
    return names.client, names.presentation, names.number, names.number_without_codes


def _has_phone(names: Phones, phone: str) -> str:
    pattern = string_literal(phones.loose_pattern(phone))
    return OR.join(
        f"like({column},{pattern})" for column in (names.number, names.number_without_codes, names.presentation)
    )


def _may_hold(columns: Sequence[str], last: str) -> bool:
    for column in columns:
        digits = "".join(character for character in column if character.isascii() and character.isdigit())
        if last in digits:
            return True
    return False
