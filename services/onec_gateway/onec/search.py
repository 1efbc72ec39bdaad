"""What 1C is asked: who knows these phones, what is new in its journals, whose phones its users have.

Calls are the currency: as many clients in one request as the web server lets through. What 1C answers is verified by
E.164 on our side, since its columns hold phones as people typed them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from services.onec_gateway.domain.model import Enquiry, Sale
from services.onec_gateway.onec import phones
from services.onec_gateway.onec.client import Call, OneC, find_query, guid, moment, text
from services.onec_gateway.onec.errors import NoAnswer
from services.onec_gateway.onec.mapping import Deals, Phones
from services.onec_gateway.onec.mapping import Mapping as Names

MARKER: Final = "truce:"
HISTORY: Final = "Клиента рекомендовал партнёр"
# What stands on an enquiry of the office whose client is reserved; the brackets are the mark's alone.
MARK: Final = re.compile(rf"\[[^\[\]]*; {MARKER}[^\[\]]*\] ?")
_EMPTY_DAY: Final = "0001-01-01T"
_OR: Final = " or "
_MOST_CLIENTS: Final = 100


@dataclass(frozen=True, slots=True)
class SeenEnquiry:
    """An enquiry as the watching meets it, the deleted ones too. `card` is the client's."""

    ref: str
    card: str
    number: str
    date: datetime
    ours: bool
    deleted: bool


@dataclass(frozen=True, slots=True)
class FoundDeal:
    """A sale. `cancelled`: marked for deletion, or not posted."""

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
class Known:
    """What 1C knows of one client."""

    cards: tuple[str, ...] = ()
    enquiries: tuple[Enquiry, ...] = ()
    deals: tuple[FoundDeal, ...] = ()


class Search:
    """Reading one infobase. All methods raise OneCError."""

    def __init__(self, onec: OneC, names: Names, zone: ZoneInfo) -> None:
        self._onec = onec
        self._names = names
        self._zone = zone

    def in_one_request(self) -> int:
        """How many clients can be asked about in one request."""
        names = self._names.phones
        fields = (names.client, names.presentation, names.number, names.number_without_codes)
        packed = self._packed(names.set, [_of_phone(names, "+79990000000")] * _MOST_CLIENTS, fields)
        return next(packed).count(_of_phone(names, "+79990000000"))

    async def clients(self, call: Call, wanted: Sequence[str]) -> dict[str, Known]:
        """Every card, enquiry and sale of the clients with these E.164 phones."""
        cards = await self.cards(call, wanted)
        every = sorted({card for found in cards.values() for card in found})
        enquiries: dict[str, list[Enquiry]] = {}
        deals: dict[str, list[FoundDeal]] = {}
        if every:
            names = self._names.general_journal
            conditions = [f"{names.client} eq {guid(card)}" for card in every]
            for one in await self._enquiries(call, conditions):
                if not one.deleted:
                    enquiries.setdefault(one.card, []).append(Enquiry(one.ref, one.date, one.number, one.ours))
            if (deal_names := self._names.deals) is not None:
                conditions = [f"{deal_names.client} eq {guid(card)}" for card in every]
                for deal in await self._deals(call, deal_names, conditions):
                    deals.setdefault(deal.card, []).append(deal)
        return {
            phone: Known(
                tuple(sorted(cards[phone])),
                tuple(one for card in sorted(cards[phone]) for one in enquiries.get(card, ())),
                tuple(one for card in sorted(cards[phone]) for one in deals.get(card, ())),
            )
            for phone in wanted
        }

    async def cards(self, call: Call, wanted: Sequence[str]) -> dict[str, set[str]]:
        """The cards that hold each of these phones."""
        names = self._names.phones
        fields = (names.client, names.presentation, names.number, names.number_without_codes)
        conditions = {phone: _of_phone(names, phone) for phone in wanted}
        found: dict[str, set[str]] = {phone: set() for phone in wanted}
        for condition in self._packed(names.set, conditions.values(), fields):
            rows = await self._onec.find(call, names.set, condition, fields)
            for phone in wanted:
                last = phones.last_digits(phone)
                for row in rows:
                    columns = [string(row, name) for name in fields[1:]]
                    # Cheap first: nearly every row of an answer is another client's.
                    if _may_hold(columns, last) and phones.same(phone, columns):
                        found[phone].add(string(row, names.client))
        return found

    async def phones_of(self, call: Call, cards: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Every phone of these cards that is written in full, as E.164."""
        names = self._names.phones
        fields = (names.client, names.presentation, names.number, names.number_without_codes)
        conditions = [f"{names.client} eq {guid(card)}" for card in cards]
        found: dict[str, set[str]] = {card: set() for card in cards}
        for condition in self._packed(names.set, conditions, fields):
            for row in await self._onec.find(call, names.set, condition, fields):
                full = {number for name in fields[1:] for number in phones.parsed(string(row, name))}
                found.setdefault(string(row, names.client), set()).update(full)
        return {card: tuple(sorted(numbers)) for card, numbers in found.items()}

    async def enquiries_since(
        self, call: Call, *, number: str | None, date: datetime | None, limit: int
    ) -> list[SeenEnquiry]:
        """Enquiries with a number above `number` or dated at or after `date`, in portions of `limit`, by number.

        Numbers begin again with a year or another prefix: then only the date finds what is new.
        """
        names = self._names.general_journal
        since = self._since(names.number, names.date, number, date)
        condition = since
        found: list[SeenEnquiry] = []
        while True:
            portion = await self._enquiries(call, [condition], order_by=names.number, top=limit)
            found.extend(portion)
            if len(portion) < limit:
                return found
            condition = f"({since}) and {names.number} gt {text(portion[-1].number)}"

    async def enquiries_by_ref(self, call: Call, refs: Sequence[str]) -> list[SeenEnquiry]:
        """Those of these enquiries that are still there."""
        return await self._enquiries(call, [f"{self._names.general_journal.ref} eq {guid(ref)}" for ref in refs])

    async def deals_since(
        self, call: Call, *, number: str | None, date: datetime | None, limit: int
    ) -> list[FoundDeal]:
        """Sales likewise; none where sales are not mapped."""
        names = self._names.deals
        if names is None:
            return []
        since = self._since(names.number, names.date, number, date)
        condition = since
        found: list[FoundDeal] = []
        while True:
            portion = await self._deals(call, names, [condition], order_by=names.number, top=limit)
            found.extend(portion)
            if len(portion) < limit:
                return found
            condition = f"({since}) and {names.number} gt {text(portion[-1].number)}"

    async def deals_by_ref(self, call: Call, refs: Sequence[str]) -> list[FoundDeal]:
        """Those of these sales that are still there."""
        names = self._names.deals
        if names is None:
            return []
        return await self._deals(call, names, [f"{names.ref} eq {guid(ref)}" for ref in refs])

    async def staff_phones(self, call: Call) -> frozenset[str]:
        """The phones of the builder's people, as E.164; none where they are not mapped."""
        names = self._names.staff_phones
        if names is None:
            return frozenset()
        fields = (names.presentation, names.number, names.number_without_codes)
        rows = await self._onec.find(call, names.set, f"{names.type} eq {text(names.type_phone)}", fields)
        return frozenset(number for row in rows for name in fields for number in phones.parsed(string(row, name)))

    async def _enquiries(
        self, call: Call, conditions: Sequence[str], *, order_by: str = "", top: int | None = None
    ) -> list[SeenEnquiry]:
        names = self._names.general_journal
        fields = (names.ref, names.number, names.date, names.client, names.deletion_mark, names.comment)
        return [
            SeenEnquiry(
                ref=string(row, names.ref),
                card=string(row, names.client),
                number=string(row, names.number),
                date=self._aware(string(row, names.date)),
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
                ref=string(row, names.ref),
                card=string(row, names.client),
                number=string(row, names.number),
                amount=_money(row, names.amount),
                currency=string(row, names.currency) if names.currency else names.currency_code,
                contract_number=string(row, names.contract_number),
                contract_date=self._day(string(row, names.contract_date), string(row, names.date)),
                cancelled=row.get(names.deletion_mark) is True or row.get(names.posted) is not True,
            )
            for condition in self._packed(names.set, conditions, fields)
            for row in await self._onec.find(call, names.set, condition, fields, order_by=order_by, top=top)
        ]

    def _packed(self, entity: str, conditions: Iterable[str], fields: Sequence[str]) -> Iterator[str]:
        """The conditions joined by `or` into as few as fit a URL; one that is too long by itself goes alone."""
        room = self._onec.room(entity)
        # With all options that a search may have besides its condition.
        empty = len(find_query("0", fields, order_by=fields[0], top=9999))
        joined: list[str] = []
        taken = empty
        for condition in conditions:
            size = len(quote(_OR + condition, safe="(),"))
            if joined and taken + size > room:
                yield _OR.join(joined)
                joined, taken = [], empty
            joined.append(condition)
            taken += size
        if joined:
            yield _OR.join(joined)

    def _since(self, number_field: str, date_field: str, number: str | None, date: datetime | None) -> str:
        either = [] if number is None else [f"{number_field} gt {text(number)}"]
        if date is not None:
            either.append(f"{date_field} ge {moment(date.astimezone(self._zone).replace(tzinfo=None))}")
        return _OR.join(either)

    def _aware(self, naive: str) -> datetime:
        if naive.startswith(_EMPTY_DAY):
            # An enquiry without a date counts as the oldest there can be; of a mere time of day 1C makes this day too.
            return datetime.min.replace(tzinfo=UTC)
        try:
            return datetime.fromisoformat(naive).replace(tzinfo=self._zone).astimezone(UTC)
        except ValueError:
            raise NoAnswer("not-1c", 200) from None

    def _day(self, naive: str, otherwise: str) -> date:
        try:
            return datetime.fromisoformat(otherwise if naive.startswith(_EMPTY_DAY) else naive).date()
        except ValueError:
            raise NoAnswer("not-1c", 200) from None


def string(row: Mapping[str, Any], name: str) -> str:
    """A text field of an answer. Raises NoAnswer without it: not an answer to build on."""
    value = row.get(name)
    if not isinstance(value, str):
        raise NoAnswer("not-1c", 200)
    return value


def is_handed_over(comment: str, marker: str = MARKER) -> bool:
    """Whether the gateway wrote the enquiry with this comment, of any lead or of the one with this marker.

    The mark of a reserved client names a lead too, but stands on enquiries of the office; and what a manager wrote
    around our history does not make it the office's.
    """
    return marker in MARK.sub("", comment).partition(HISTORY)[2]


def _money(row: Mapping[str, Any], name: str) -> Decimal:
    # Edm.Double on the wire: by way of its shortest text, then to the cent.
    try:
        return Decimal(str(row[name])).quantize(Decimal("0.01"))
    except (KeyError, InvalidOperation):
        raise NoAnswer("not-1c", 200) from None


def _of_phone(names: Phones, phone: str) -> str:
    pattern = text(phones.loose_pattern(phone))
    return _OR.join(
        f"like({column},{pattern})" for column in (names.number, names.number_without_codes, names.presentation)
    )


def _may_hold(columns: Sequence[str], last: str) -> bool:
    for column in columns:
        digits = "".join(character for character in column if character.isascii() and character.isdigit())
        if last in digits:
            return True
    return False
