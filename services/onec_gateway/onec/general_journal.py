"""The general journal of incoming enquiries in 1C, and the cards of clients that enquiries refer to."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from services.onec_gateway.onec import phones
from services.onec_gateway.onec.client import NOT_FOUND, OneC
from services.onec_gateway.onec.errors import Refused
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.lengths import Length, check_stored, fitted
from services.onec_gateway.onec.mapping import Mapping as Names
from services.onec_gateway.onec.marks import HISTORY, is_handed_over, marked, unmarked
from services.onec_gateway.onec.odata import OR, guid_literal, local_time, string_literal
from services.onec_gateway.onec.partner_journal import Entry
from services.onec_gateway.onec.rows import line, string
from services.onec_gateway.onec.search import Search

_MOST_CARDS: Final = 8


class GeneralJournal:
    """Creates, deletes and marks enquiries. All methods raise OneCError.

    Refused("no-phone-kind"): 1C has no kind of contact information with the mapped name. Refused("too-long") and
    Refused("mark-too-long"): a value does not fit into its field; nothing was written. Refused("truncated"): 1C
    stored less than was sent.
    """

    def __init__(self, onec: OneC, search: Search, names: Names, zone: ZoneInfo, length: Length) -> None:
        self._onec = onec
        self._search = search
        self._names = names
        self._zone = zone
        self._length = length
        self._phone_kind: str | None = None

    async def create(self, call: Call, entry: Entry, ended_at: datetime, *, look: bool) -> str:
        """Create an enquiry of the client, and a card if the client has none. Returns the enquiry's reference.

        With `look`, an enquiry that an earlier attempt created is used instead.
        """
        if look and (own := await self._own_enquiries(call, entry)):
            return own[0]
        card = await self._card(call, entry) or await self._create_card(call, entry)
        return await self._create_enquiry(call, entry, card, ended_at)

    async def delete(self, call: Call, entry: Entry, enquiry: str | None = None) -> None:
        """Mark the enquiry that the gateway created for this lead for deletion: `enquiry`, or if its reference is not
        known, the one that the lead's marker finds. An enquiry that no longer exists is ignored."""
        names = self._names.general_journal
        for ref in [enquiry] if enquiry is not None else await self._own_enquiries(call, entry):
            try:
                await self._onec.change(call, names.set, guid_literal(ref), {names.deletion_mark: True})
            except Refused as error:
                if error.code != NOT_FOUND:
                    raise

    async def mark(self, call: Call, enquiry: str, lead_id: str, words: str, *, look: bool) -> None:
        """Write `words` in square brackets in front of the text of an enquiry, in place of an older mark.

        With `look`, nothing is written if the mark is there already. An enquiry that no longer exists is ignored.
        """
        names = self._names.general_journal
        found = await self._onec.get(call, names.set, guid_literal(enquiry))
        if found is None:
            return
        before = string(found, names.mark)
        after = marked(before, words, lead_id)
        if after == before and look:
            return
        limit = self._length(names.set, names.mark)
        if limit is not None and len(after) > limit:
            raise Refused("mark-too-long")
        await self._onec.change(call, names.set, guid_literal(enquiry), {names.mark: after})

    async def unmark(self, call: Call, enquiry: str, lead_id: str) -> None:
        """Remove the mark of this lead from the text of an enquiry. A mark of another lead and people's text stay.

        The text is read first, so that the call can be repeated. An enquiry that no longer exists is ignored.
        """
        names = self._names.general_journal
        found = await self._onec.get(call, names.set, guid_literal(enquiry))
        if found is None:
            return
        before = string(found, names.mark)
        if (after := unmarked(before, lead_id)) != before:
            await self._onec.change(call, names.set, guid_literal(enquiry), {names.mark: after})

    async def _card(self, call: Call, entry: Entry) -> str | None:
        """A card with the client's phone, of an earlier attempt or of the sales office, not marked for deletion."""
        names = self._names.clients
        # A client rarely has more than one card, so the first cards fit into one request.
        cards = sorted((await self._search.cards(call, [entry.phone]))[entry.phone])[:_MOST_CARDS]
        if not cards:
            return None
        condition = OR.join(f"{names.ref} eq {guid_literal(card)}" for card in cards)
        rows = await self._onec.find(call, names.set, condition, (names.ref, names.deletion_mark))
        return next((string(row, names.ref) for row in rows if row.get(names.deletion_mark) is not True), None)

    async def _create_card(self, call: Call, entry: Entry) -> str:
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
        record = {names.full_name: entry.full_name, names.comment: entry.marker, names.phones: [row]}
        record = fitted(record, names.set, self._length, (names.full_name,), names.comment)
        stored = await self._onec.create(call, names.set, record)
        check_stored({name: record[name] for name in (names.full_name, names.comment)}, stored)
        return string(stored, names.ref)

    async def _kind_of_phone(self, call: Call) -> str:
        names = self._names.phone_kinds
        if self._phone_kind is None:
            condition = f"{names.name} eq {string_literal(names.client_phone)}"
            rows = await self._onec.find(call, names.set, condition, (names.ref,))
            if not rows:
                raise Refused("no-phone-kind")
            self._phone_kind = string(rows[0], names.ref)
        return self._phone_kind

    async def _own_enquiries(self, call: Call, entry: Entry) -> list[str]:
        """The enquiry that the gateway created for this lead, if it is not marked for deletion; else empty.

        People copy enquiries with their comments. A copy has a later number, and is the office's.
        """
        names = self._names.general_journal
        condition = f"substringof({string_literal(entry.marker)},{names.comment})"
        fields = (names.ref, names.deletion_mark, names.comment)
        rows = await self._onec.find(call, names.set, condition, fields, order_by=names.number)
        own = [
            line(row, names.ref)
            for row in rows
            if row.get(names.deletion_mark) is not True and is_handed_over(string(row, names.comment), entry.marker)
        ]
        return own[:1]

    async def _create_enquiry(self, call: Call, entry: Entry, card: str, ended_at: datetime) -> str:
        names = self._names.general_journal
        recommended = entry.confirmed_at.astimezone(self._zone)
        history = (
            f"{HISTORY} {entry.partner} (договор {entry.agreement}), закреплён за ним"
            f" {recommended:%d.%m.%Y}, закрепление по {entry.reserved_through:%d.%m.%Y} истекло. {entry.marker}"
        )
        record = {
            names.date: local_time(ended_at, self._zone),
            names.subject: names.subject_handed_over,
            names.client: card,
            names.comment: history,
        }
        stored = await self._onec.create(call, names.set, fitted(record, names.set, self._length, (), names.comment))
        check_stored(record, stored)
        return line(stored, names.ref)
