"""Reads 1C: the records of clients by phone, new enquiries and sales, and the phones of the staff.

1C can process few requests, so one request covers as many clients as the web server lets through. 1C's columns
hold phones as people typed them, so its `like` only preselects rows, and the gateway compares the numbers itself.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date as calendar_day
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.onec_gateway.domain.model import Enquiry, Sale
from services.onec_gateway.domain.series import SeenEnquiry
from services.onec_gateway.onec import phones
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.mapping import Deals, Phones
from services.onec_gateway.onec.mapping import Mapping as Names
from services.onec_gateway.onec.marks import is_handed_over, made_for
from services.onec_gateway.onec.odata import OR, encoded, find_query, guid_literal, string_literal
from services.onec_gateway.onec.rows import day, instant, instant_or_day, line, money, string

_MOST_CLIENTS: Final = 100
_ROWS_AT_ONCE: Final = 200
_SAMPLE_PHONE: Final = "+79990000000"


@dataclass(frozen=True, slots=True)
class FoundDeal:
    """A sale in 1C. `card` is the reference of the client's card. `cancelled`: marked for deletion or not posted."""

    ref: str
    card: str
    number: str
    date: datetime
    amount: Decimal
    currency: str
    contract_number: str
    contract_date: calendar_day
    cancelled: bool

    def sale(self) -> Sale:
        """This sale as the domain's type, without its card and document number."""
        return Sale(self.ref, self.amount, self.currency, self.contract_number, self.contract_date, self.cancelled)


@dataclass(frozen=True, slots=True)
class FoundCard:
    """A client's card in 1C that is not marked for deletion, with all numbers on it.

    `made_for`: the marker in the comment of a card that the gateway created, else empty; people copy cards with their
    comments. `created`: when a person created the card, by the mapped field, or None; if the field has no time of day,
    that is the beginning of the day, and `created_before` its exclusive end.
    """

    ref: str
    numbers: phones.Numbers
    made_for: str = ""
    created: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClientRecords:
    """The records of one client in 1C: references of cards, enquiries not marked for deletion, and sales.

    `read`: all its enquiries, also those marked for deletion. `held`: its cards that are not marked for deletion.
    """

    cards: tuple[str, ...] = ()
    enquiries: tuple[Enquiry, ...] = ()
    deals: tuple[FoundDeal, ...] = ()
    read: tuple[SeenEnquiry, ...] = ()
    held: tuple[FoundCard, ...] = ()


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
        packed = self.packed(names.set, [condition] * _MOST_CLIENTS, _phone_fields(names))
        return next(packed).count(condition)

    async def clients(self, call: Call, wanted: Sequence[str]) -> dict[str, ClientRecords]:
        """The records of the clients with these phones (E.164), by phone."""
        cards = await self.cards(call, wanted)
        every = sorted({card for of_phone in cards.values() for card in of_phone})
        enquiries: dict[str, list[SeenEnquiry]] = {}
        deals: dict[str, list[FoundDeal]] = {}
        held: dict[str, FoundCard] = {}
        if every:
            held = await self.cards_by_ref(call, every)
            names = self._names.general_journal
            conditions = [f"{names.client} eq {guid_literal(card)}" for card in every]
            for seen in await self._enquiries_of(call, conditions):
                enquiries.setdefault(seen.card, []).append(seen)
            if (deal_names := self._names.deals) is not None:
                conditions = [f"{deal_names.client} eq {guid_literal(card)}" for card in every]
                for deal in await self._deals_of(call, deal_names, conditions):
                    deals.setdefault(deal.card, []).append(deal)
        found: dict[str, ClientRecords] = {}
        for phone in wanted:
            own = sorted(cards[phone])
            read = tuple(seen for card in own for seen in enquiries.get(card, ()))
            found[phone] = ClientRecords(
                tuple(own),
                tuple(seen.enquiry() for seen in read if not seen.deleted),
                tuple(deal for card in own for deal in deals.get(card, ())),
                read,
                tuple(held[card] for card in own if card in held),
            )
        return found

    async def cards(self, call: Call, wanted: Sequence[str]) -> dict[str, set[str]]:
        """The references of the cards that hold each of these phones (E.164), by phone."""
        names = self._names.phones
        fields = _phone_fields(names)
        conditions = {phone: _has_phone(names, phone) for phone in wanted}
        cards: dict[str, set[str]] = {phone: set() for phone in wanted}
        for condition in self.packed(names.set, conditions.values(), fields):
            rows = await self._onec.find(call, names.set, condition, fields)
            for phone in wanted:
                last = phones.last_digits(phone)
                for row in rows:
                    columns = [string(row, name) for name in fields[1:]]
                    # The cheap test first: nearly every row of an answer belongs to another client.
                    if _may_hold(columns, last) and phones.same(phone, columns):
                        cards[phone].add(line(row, names.client))
        return cards

    async def cards_by_ref(self, call: Call, refs: Sequence[str]) -> dict[str, FoundCard]:
        """The cards with these references and the numbers on each, by reference. Cards that are marked for deletion are
        left out."""
        names = self._names.clients
        fields = (
            names.ref,
            names.deletion_mark,
            names.comment,
            names.phones,
            *([names.created] if names.created else []),
        )
        conditions = [f"{names.ref} eq {guid_literal(ref)}" for ref in refs]
        rows = [
            row
            for condition in self.packed(names.set, conditions, fields)
            for row in await self._onec.find(call, names.set, condition, fields)
            if row.get(names.deletion_mark) is not True
        ]
        # A publication may leave tabular parts out of the answer.
        bare = [line(row, names.ref) for row in rows if not isinstance(row.get(names.phones), list)]
        read = await self.numbers_of(call, bare) if bare else {}
        return {(ref := line(row, names.ref)): self._card(row, read.get(ref)) for row in rows}

    def _card(self, row: Mapping[str, Any], numbers: phones.Numbers | None) -> FoundCard:
        names = self._names.clients
        columns = _phone_fields(self._names.phones)[1:]
        if numbers is None:
            numbers = phones.NO_NUMBERS
            for contact in row[names.phones]:
                numbers |= phones.read([string(contact, name) for name in columns])
        created, before = (instant_or_day(row, names.created, self._zone) if names.created else None) or (None, None)
        return FoundCard(line(row, names.ref), numbers, made_for(string(row, names.comment)), created, before)

    async def numbers_of(self, call: Call, cards: Sequence[str]) -> dict[str, phones.Numbers]:
        """The numbers on each of these cards, by the card's reference; a card without phones has none."""
        fields = _phone_fields(self._names.phones)
        conditions = [f"{self._names.phones.client} eq {guid_literal(card)}" for card in cards]
        found = dict.fromkeys(cards, phones.NO_NUMBERS)
        for condition in self.packed(self._names.phones.set, conditions, fields):
            found |= await self.numbers_where(call, condition)
        return found

    async def numbers_where(self, call: Call, condition: str) -> dict[str, phones.Numbers]:
        """The numbers on the cards whose rows with phones meet an OData condition, by the card's reference."""
        names = self._names.phones
        fields = _phone_fields(names)
        numbers: dict[str, phones.Numbers] = {}
        for n, row in enumerate(await self._onec.find(call, names.set, condition, fields)):
            if n % _ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let the service go on with other work
            card = line(row, names.client)
            of_row = phones.read([string(row, name) for name in fields[1:]])
            numbers[card] = numbers.get(card, phones.NO_NUMBERS) | of_row
        return numbers

    async def enquiries_by_ref(self, call: Call, refs: Sequence[str]) -> list[SeenEnquiry]:
        """The enquiries with these references. Enquiries that were physically deleted are missing in the result."""
        names = self._names.general_journal
        return await self._enquiries_of(call, [f"{names.ref} eq {guid_literal(ref)}" for ref in refs])

    async def deals_by_ref(self, call: Call, refs: Sequence[str]) -> list[FoundDeal]:
        """The sales with these references. Sales that were physically deleted are missing in the result."""
        names = self._names.deals
        if names is None:
            return []
        return await self._deals_of(call, names, [f"{names.ref} eq {guid_literal(ref)}" for ref in refs])

    async def staff_phones(self, call: Call) -> frozenset[str]:
        """The phones of the builder's staff, as E.164. Empty if the mapping has no section for the staff."""
        names = self._names.staff_phones
        if names is None:
            return frozenset()
        fields = (names.presentation, names.number, names.number_without_codes)
        is_phone = f"{names.type} eq {string_literal(names.type_phone)}"
        rows = await self._onec.find(call, names.set, is_phone, fields)
        return frozenset(number for row in rows for name in fields for number in phones.parsed(string(row, name)))

    async def enquiries_where(
        self, call: Call, condition: str, *, order_by: str = "", top: int | None = None
    ) -> list[SeenEnquiry]:
        """The enquiries that meet an OData condition, also deleted ones; at most `top` of them."""
        names = self._names.general_journal
        fields = self.enquiry_fields()
        return [
            SeenEnquiry(
                ref=line(row, names.ref),
                card=line(row, names.client),
                number=line(row, names.number),
                date=instant(row, names.date, self._zone),
                ours=is_handed_over(string(row, names.comment)),
                deleted=row.get(names.deletion_mark) is True,
            )
            for row in await self._onec.find(call, names.set, condition, fields, order_by=order_by, top=top)
        ]

    async def deals_where(
        self, call: Call, names: Deals, condition: str, *, order_by: str = "", top: int | None = None
    ) -> list[FoundDeal]:
        """The sales that meet an OData condition, also cancelled ones; at most `top` of them."""
        fields = self.deal_fields(names)
        return [
            FoundDeal(
                ref=line(row, names.ref),
                card=line(row, names.client),
                number=line(row, names.number),
                date=instant(row, names.date, self._zone),
                amount=money(row, names.amount),
                currency=line(row, names.currency) if names.currency else names.currency_code,
                contract_number=line(row, names.contract_number),
                contract_date=day(row, names.contract_date, names.date),
                cancelled=row.get(names.deletion_mark) is True or row.get(names.posted) is not True,
            )
            for row in await self._onec.find(call, names.set, condition, fields, order_by=order_by, top=top)
        ]

    def enquiry_fields(self) -> tuple[str, ...]:
        """The fields of an enquiry that are read."""
        names = self._names.general_journal
        return names.ref, names.number, names.date, names.client, names.deletion_mark, names.comment

    def deal_fields(self, names: Deals) -> tuple[str, ...]:
        """The fields of a sale that are read."""
        return (
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
        )

    async def _enquiries_of(self, call: Call, conditions: Sequence[str]) -> list[SeenEnquiry]:
        packed = self.packed(self._names.general_journal.set, conditions, self.enquiry_fields())
        return [seen for condition in packed for seen in await self.enquiries_where(call, condition)]

    async def _deals_of(self, call: Call, names: Deals, conditions: Sequence[str]) -> list[FoundDeal]:
        packed = self.packed(names.set, conditions, self.deal_fields(names))
        return [deal for condition in packed for deal in await self.deals_where(call, names, condition)]

    def packed(
        self, entity: str, conditions: Iterable[str], fields: Sequence[str], *, reserve: int = 0
    ) -> Iterator[str]:
        """Join the conditions by `or` into as few conditions as fit into an address. A condition that is too long by
        itself is not joined with others. `reserve`: bytes that the caller adds to a condition afterwards."""
        longest = self._onec.longest_query(entity) - reserve
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
