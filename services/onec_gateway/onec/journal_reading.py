"""Reads 1C's partner journal whole, by pages, in the order of the journal's own key."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from services.onec_gateway.domain.reconciliation import Entry, Side
from services.onec_gateway.onec import phones
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.mapping import DocumentJournal
from services.onec_gateway.onec.mapping import Mapping as Names
from services.onec_gateway.onec.odata import guid_literal, string_literal
from services.onec_gateway.onec.rows import line

PAGE: Final = 1000
_FIRST: Final = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Page:
    """Entries in the order of the journal. `last`: the place of the last one, None if nothing comes after it."""

    entries: tuple[Entry, ...]
    last: str | None


class JournalReader:
    """Reads entries. `key_of` makes the client key of an E.164 number; the numbers themselves are not kept."""

    def __init__(self, onec: OneC, names: Names, key_of: Callable[[str], str], *, page: int = PAGE) -> None:
        self._onec = onec
        self._names = names.partner_journal
        self._key_of = key_of
        self._page = page
        self._states = {
            self._names.state_active: "active",
            self._names.state_expired: "expired",
            self._names.state_won: "won",
            self._names.state_withdrawn: "withdrawn",
        }

    async def read(self, call: Call, after: str = "") -> Page:
        """The page after a place; the first page for an empty text. Raises OneCError."""
        names = self._names
        fields = [names.lead_id, names.partner_id, names.phone, names.reserved_through, names.state]
        if isinstance(names, DocumentJournal):
            place = names.ref
            condition = f"{place} gt {guid_literal(after or _FIRST)}"
            fields += [names.ref, names.deletion_mark]
        else:
            place = names.lead_id
            condition = f"{place} gt {string_literal(after)}" if after else ""
        rows = await self._onec.find(call, names.set, condition, fields, order_by=place, top=self._page)
        last = line(rows[-1], place) if len(rows) == self._page else None
        return Page(tuple(self._entry(row) for row in rows), last)

    def _entry(self, row: dict[str, Any]) -> Entry:
        names = self._names
        state = line(row, names.state)
        side = Side(
            line(row, names.lead_id).strip().lower(),
            line(row, names.partner_id).strip(),
            _day(line(row, names.reserved_through)),
            self._states.get(state, state),
        )
        deleted = isinstance(names, DocumentJournal) and row.get(names.deletion_mark) is True
        return Entry(side, self._keys_of(line(row, names.phone)), deleted)

    def _keys_of(self, phone: str) -> frozenset[str]:
        # As the gateway writes it; everything else was typed by people.
        if phone[:1] == "+" and phone[1:].isascii() and phone[1:].isdigit():
            return frozenset((self._key_of(phone),))
        return frozenset(self._key_of(number) for number in phones.read((phone,)).full)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
