"""What the gateway does in 1C, in the builder's words: look for enquiries, keep the two journals."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.onec_gateway.onec import phones
from services.onec_gateway.onec.client import MAX_QUERY_BYTES, Call, OneC, find_query, guid, text
from services.onec_gateway.onec.errors import Exists, NoAnswer, Refused
from services.onec_gateway.onec.mapping import Mapping as Names

_EMPTY_DATE: Final = "0001-01-01T00:00:00"
_NOT_FOUND: Final = "9"
_OR: Final = " or "


@dataclass(frozen=True, slots=True)
class FoundEnquiry:
    """An enquiry that is not marked for deletion; one without a date counts as the oldest there can be."""

    ref: str
    date: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A reserved client as the journals show it. Lives only while 1C is being called."""

    lead_id: str
    full_name: str
    phone: str
    partner_id: str
    partner: str
    agreement: str
    confirmed_at: datetime
    reserved_through: date

    @property
    def marker(self) -> str:
        """By which a card or an enquiry of ours is known again. The sign of a search, never of an `eq`."""
        return f"truce:{self.lead_id}"


class Journals:
    """The clients, the partner journal and the general journal of one infobase. All methods raise OneCError."""

    def __init__(self, onec: OneC, names: Names, zone: ZoneInfo) -> None:
        self._onec = onec
        self._names = names
        self._zone = zone
        self._phone_kind: str | None = None

    async def enquiries(self, call: Call, wanted: Sequence[str]) -> dict[str, tuple[FoundEnquiry, ...]]:
        """Every enquiry of the clients with these E.164 phones."""
        cards = await self._cards(call, wanted)
        by_card = await self._enquiries_of(call, sorted({card for found in cards.values() for card in found}))
        return {
            phone: tuple(enquiry for card in sorted(cards[phone]) for enquiry in by_card.get(card, ()))
            for phone in wanted
        }

    async def enter(self, call: Call, entry: Entry) -> None:
        """The entry in the partner journal. Its key is the lead id, so doing this again is harmless."""
        names = self._names.partner_journal
        record = {
            names.lead_id: entry.lead_id,
            names.full_name: entry.full_name,
            names.phone: entry.phone,
            names.partner: entry.partner,
            names.partner_id: entry.partner_id,
            names.agreement: entry.agreement,
            names.registered_at: self._naive(entry.confirmed_at),
            names.reserved_through: f"{entry.reserved_through.isoformat()}T00:00:00",
            names.state: names.state_active,
        }
        try:
            await self._onec.create(call, names.set, record)
        except Exists:
            # An attempt whose answer was lost had reached 1C after all.
            return

    async def hand_over(self, call: Call, entry: Entry, expired_at: datetime, *, look: bool) -> str:
        """Into the general journal, then out of the partner journal: in one of them at every moment.

        `look`: an earlier attempt may have got anywhere, so look for what it left. Returns the enquiry's reference.
        """
        enquiry = await self._own_enquiry(call, entry) if look else None
        if enquiry is None:
            card = await self._own_card(call, entry) or await self._new_card(call, entry)
            enquiry = await self._new_enquiry(call, entry, card, expired_at)
        await self._leave_partner_journal(call, entry)
        return enquiry

    async def _cards(self, call: Call, wanted: Sequence[str]) -> dict[str, set[str]]:
        names = self._names.phones
        fields = (names.client, names.presentation, names.number, names.number_without_codes)
        conditions = {
            phone: _OR.join(
                (
                    f"substringof({text(phones.last_digits(phone))},{names.number})",
                    f"substringof({text(phones.last_digits(phone))},{names.number_without_codes})",
                    f"like({names.presentation},{text(phones.loose_pattern(phone))})",
                )
            )
            for phone in wanted
        }
        found: dict[str, set[str]] = {phone: set() for phone in wanted}
        for condition in _packed(conditions.values(), lambda joined: find_query(joined, fields)):
            for row in await self._onec.find(call, names.set, condition, fields):
                columns = [_string(row, name) for name in fields[1:]]
                for phone in wanted:
                    if phones.same(phone, columns):
                        found[phone].add(_string(row, names.client))
        return found

    async def _enquiries_of(self, call: Call, cards: Sequence[str]) -> Mapping[str, Sequence[FoundEnquiry]]:
        names = self._names.general_journal
        fields = (names.ref, names.date, names.client, names.deletion_mark)
        conditions = [f"{names.client} eq {guid(card)}" for card in cards]
        found: dict[str, list[FoundEnquiry]] = {}
        for condition in _packed(conditions, lambda joined: find_query(joined, fields)):
            for row in await self._onec.find(call, names.set, condition, fields):
                if row.get(names.deletion_mark) is not True:
                    enquiry = FoundEnquiry(_string(row, names.ref), self._aware(_string(row, names.date)))
                    found.setdefault(_string(row, names.client), []).append(enquiry)
        return found

    async def _own_card(self, call: Call, entry: Entry) -> str | None:
        """A card of this client, whoever made it: ours of an attempt before, or one of the sales office."""
        names = self._names.clients
        # A client has hardly more than one card, so one request holds them.
        cards = sorted((await self._cards(call, [entry.phone]))[entry.phone])[:8]
        if not cards:
            return None
        condition = _OR.join(f"{names.ref} eq {guid(card)}" for card in cards)
        rows = await self._onec.find(call, names.set, condition, (names.ref, names.deletion_mark))
        return next((_string(row, names.ref) for row in rows if row.get(names.deletion_mark) is not True), None)

    async def _new_card(self, call: Call, entry: Entry) -> str:
        names, phone = self._names.clients, self._names.phones
        digits = entry.phone.removeprefix("+")
        row = {
            phone.line: "1",
            phone.type: phone.type_phone,
            phone.kind: await self._kind_of_phone(call),
            phone.presentation: phones.pretty(entry.phone),
            phone.number: digits,
            phone.number_without_codes: digits[-10:],
        }
        made = await self._onec.create(
            call,
            names.set,
            {names.full_name: entry.full_name, names.comment: entry.marker, names.phones: [row]},
        )
        return _string(made, names.ref)

    async def _kind_of_phone(self, call: Call) -> str:
        names = self._names.phone_kinds
        if self._phone_kind is None:
            rows = await self._onec.find(call, names.set, f"{names.name} eq {text(names.client_phone)}", (names.ref,))
            if not rows:
                raise Refused("no-phone-kind")
            self._phone_kind = _string(rows[0], names.ref)
        return self._phone_kind

    async def _own_enquiry(self, call: Call, entry: Entry) -> str | None:
        names = self._names.general_journal
        condition = f"substringof({text(entry.marker)},{names.comment})"
        rows = await self._onec.find(call, names.set, condition, (names.ref, names.deletion_mark))
        return next((_string(row, names.ref) for row in rows), None)

    async def _new_enquiry(self, call: Call, entry: Entry, card: str, expired_at: datetime) -> str:
        names = self._names.general_journal
        recommended = entry.confirmed_at.astimezone(self._zone)
        history = (
            f"Клиента рекомендовал партнёр {entry.partner} (договор {entry.agreement}), закреплён за ним"
            f" {recommended:%d.%m.%Y}, закрепление по {entry.reserved_through:%d.%m.%Y} истекло. {entry.marker}"
        )
        made = await self._onec.create(
            call,
            names.set,
            {
                names.date: self._naive(expired_at),
                names.subject: names.subject_handed_over,
                names.client: card,
                names.comment: history,
            },
        )
        return _string(made, names.ref)

    async def _leave_partner_journal(self, call: Call, entry: Entry) -> None:
        names = self._names.partner_journal
        key = f"{names.lead_id}={text(entry.lead_id)}"
        try:
            await self._onec.change(call, names.set, key, {names.state: names.state_expired})
        except Refused as error:
            # Never entered (parked, say): then there is nothing to take out, and the general journal has it.
            if error.code != _NOT_FOUND:
                raise

    def _naive(self, moment: datetime) -> str:
        return moment.astimezone(self._zone).replace(tzinfo=None).isoformat(timespec="seconds")

    def _aware(self, naive: str) -> datetime:
        if naive == _EMPTY_DATE:
            return datetime.min.replace(tzinfo=UTC)
        try:
            return datetime.fromisoformat(naive).replace(tzinfo=self._zone).astimezone(UTC)
        except ValueError:
            raise NoAnswer("not-1c", 200) from None


def _packed(conditions: Iterable[str], query: Any) -> Iterator[str]:
    """The conditions joined by `or` into as few as fit a URL; one that is too long by itself goes alone."""
    joined = ""
    for condition in conditions:
        longer = joined + _OR + condition if joined else condition
        if joined and len(query(longer)) > MAX_QUERY_BYTES:
            yield joined
            longer = condition
        joined = longer
    if joined:
        yield joined


def _string(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        # A field that was asked for is missing: not an answer to build on.
        raise NoAnswer("not-1c", 200)
    return value
