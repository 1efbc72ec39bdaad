"""What the gateway writes in 1C: the partner journal, the general journal, and marks on the office's enquiries.

A lost answer is raised as NoAnswer; the caller waits until 1C cannot be at it any more, and comes again with `look`.
Every move may then have got anywhere, so each step looks for what it may have left. At every moment the client is in
at least one of the journals, and active in at most one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from services.onec_gateway.onec import phones
from services.onec_gateway.onec.client import Call, OneC, guid, text
from services.onec_gateway.onec.errors import Exists, Refused
from services.onec_gateway.onec.mapping import DocumentJournal
from services.onec_gateway.onec.mapping import Mapping as Names
from services.onec_gateway.onec.search import HISTORY, MARK, MARKER, Search, is_handed_over, string

State = Literal["active", "expired", "won", "withdrawn"]
Length = Callable[[str, str], int | None]

_OR: Final = " or "
_BRACKETS: Final = str.maketrans("[]", "()")


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
        return f"{MARKER}{self.lead_id}"


class Journals:
    """The journals of one infobase. All methods raise OneCError.

    `length(set, field)` is how many characters 1C keeps, None for any number: it cuts the rest off without a word.
    """

    def __init__(self, onec: OneC, search: Search, names: Names, zone: ZoneInfo, length: Length) -> None:
        self._onec = onec
        self._search = search
        self._names = names
        self._zone = zone
        self._length = length
        self._phone_kind: str | None = None

    @property
    def refuses_repeats(self) -> bool:
        """Whether 1C itself keeps a second entry of a lead out."""
        return self._names.partner_journal.kind == "register"

    async def enter(self, call: Call, entry: Entry, *, look: bool) -> None:
        """The entry in the partner journal; with `look` only if it is not there yet."""
        if look and (there := await self._entry_of(call, entry)) is not None:
            self._must_be_ours(there, entry)
            return
        await self._new_entry(call, entry, "active")

    async def update(self, call: Call, entry: Entry, state: State, *, look: bool) -> None:
        """What became of the reservation. An entry that was never made is made now: no lead is lost."""
        wanted = self._says(entry, state)
        key = self._key_of(entry)
        if look or key is None:
            there = await self._entry_of(call, entry)
            if there is None:
                await self._new_entry(call, entry, state)
                return
            if all(there.get(name) == value for name, value in wanted.items()):
                return
            key = self._key_in(there)
        try:
            await self._onec.change(call, self._names.partner_journal.set, key, wanted)
        except Refused as error:
            if error.status != 404:
                raise
            await self._new_entry(call, entry, state)

    async def hand_over(self, call: Call, entry: Entry, ended_at: datetime, *, look: bool) -> str:
        """Out of the active partner journal, then into the general one. Returns the enquiry's reference.

        Each expiry has an enquiry of its own, with its date and history; those of expiries that were undone stay
        marked for deletion.
        """
        await self.update(call, entry, "expired", look=look)
        if look and (there := await self._own_enquiries(call, entry)):
            return there[0]
        card = await self._own_card(call, entry) or await self._new_card(call, entry)
        return await self._new_enquiry(call, entry, card, ended_at)

    async def take_back(self, call: Call, entry: Entry, *, look: bool) -> None:
        """Out of the general journal, then active in the partner journal again."""
        names = self._names.general_journal
        for enquiry in await self._own_enquiries(call, entry):
            await self._onec.change(call, names.set, guid(enquiry), {names.deletion_mark: True})
        await self.update(call, entry, "active", look=look)

    async def mark(self, call: Call, enquiry: str, lead_id: str, words: str, *, look: bool) -> None:
        """`words` in front of what the enquiry says, in brackets; an older mark of ours goes, wherever it stands."""
        names = self._names.general_journal
        there = await self._onec.get(call, names.set, guid(enquiry))
        if there is None:
            return
        before = string(there, names.mark)
        after = f"[{words.translate(_BRACKETS)}; {MARKER}{lead_id}] " + MARK.sub("", before)
        if after == before and look:
            return
        limit = self._length(names.set, names.mark)
        if limit is not None and len(after) > limit:
            raise Refused("mark-too-long")
        await self._onec.change(call, names.set, guid(enquiry), {names.mark: after})

    # --- the partner journal ---

    def _says(self, entry: Entry, state: State) -> dict[str, str]:
        names = self._names.partner_journal
        words = {
            "active": names.state_active,
            "expired": names.state_expired,
            "won": names.state_won,
            "withdrawn": names.state_withdrawn,
        }
        return {
            names.reserved_through: f"{entry.reserved_through.isoformat()}T00:00:00",
            names.state: words[state],
        }

    async def _new_entry(self, call: Call, entry: Entry, state: State) -> None:
        names = self._names.partner_journal
        record: dict[str, Any] = {
            names.lead_id: entry.lead_id,
            names.full_name: entry.full_name,
            names.phone: entry.phone,
            names.partner: entry.partner,
            names.partner_id: entry.partner_id,
            names.agreement: entry.agreement,
            names.registered_at: self._naive(entry.confirmed_at),
            **self._says(entry, state),
        }
        if isinstance(names, DocumentJournal):
            record["Date"] = self._naive(entry.confirmed_at)
        record = self._fitted(names.set, record, (names.full_name, names.partner), names.comment)
        try:
            made = await self._onec.create(call, names.set, record)
        except Exists:
            # An attempt whose answer was lost had reached 1C after all, or somebody uses our keys.
            self._must_be_ours(await self._entry_of(call, entry), entry)
            return
        _unchanged(record, made)

    def _must_be_ours(self, there: Mapping[str, Any] | None, entry: Entry) -> None:
        names = self._names.partner_journal
        if (
            there is None
            or string(there, names.partner_id) != entry.partner_id
            or not phones.same(entry.phone, [string(there, names.phone)])
        ):
            raise Refused("foreign-entry")

    async def _entry_of(self, call: Call, entry: Entry) -> dict[str, Any] | None:
        names = self._names.partner_journal
        if not isinstance(names, DocumentJournal):
            return await self._onec.get(call, names.set, f"{names.lead_id}={text(entry.lead_id)}")
        unlimited = self._length(names.set, names.lead_id) is None
        condition = (
            f"substringof({text(entry.lead_id)},{names.lead_id})"
            if unlimited
            else f"{names.lead_id} eq {text(entry.lead_id)}"
        )
        fields = (names.ref, names.deletion_mark, names.reserved_through, names.state, names.partner_id, names.phone)
        rows = await self._onec.find(call, names.set, condition, fields)
        return next((row for row in rows if row.get(names.deletion_mark) is not True), None)

    def _key_of(self, entry: Entry) -> str | None:
        """The key by which the entry can be written to without being read; None: it must be read."""
        names = self._names.partner_journal
        return None if isinstance(names, DocumentJournal) else f"{names.lead_id}={text(entry.lead_id)}"

    def _key_in(self, there: Mapping[str, Any]) -> str:
        names = self._names.partner_journal
        if isinstance(names, DocumentJournal):
            return guid(string(there, names.ref))
        return f"{names.lead_id}={text(string(there, names.lead_id))}"

    # --- the general journal ---

    async def _own_card(self, call: Call, entry: Entry) -> str | None:
        """A card of this client, whoever made it: ours of an attempt before, or one of the sales office."""
        names = self._names.clients
        # A client has hardly more than one card, so one request holds them.
        cards = sorted((await self._search.cards(call, [entry.phone]))[entry.phone])[:8]
        if not cards:
            return None
        condition = _OR.join(f"{names.ref} eq {guid(card)}" for card in cards)
        rows = await self._onec.find(call, names.set, condition, (names.ref, names.deletion_mark))
        return next((string(row, names.ref) for row in rows if row.get(names.deletion_mark) is not True), None)

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
        record = {names.full_name: entry.full_name, names.comment: entry.marker, names.phones: [row]}
        record = self._fitted(names.set, record, (names.full_name,), names.comment)
        made = await self._onec.create(call, names.set, record)
        _unchanged({name: record[name] for name in (names.full_name, names.comment)}, made)
        return string(made, names.ref)

    async def _kind_of_phone(self, call: Call) -> str:
        names = self._names.phone_kinds
        if self._phone_kind is None:
            rows = await self._onec.find(call, names.set, f"{names.name} eq {text(names.client_phone)}", (names.ref,))
            if not rows:
                raise Refused("no-phone-kind")
            self._phone_kind = string(rows[0], names.ref)
        return self._phone_kind

    async def _own_enquiries(self, call: Call, entry: Entry) -> list[str]:
        """What the gateway wrote of this lead and nobody marked for deletion: one, unless people copied it."""
        names = self._names.general_journal
        condition = f"substringof({text(entry.marker)},{names.comment})"
        rows = await self._onec.find(call, names.set, condition, (names.ref, names.deletion_mark, names.comment))
        return [
            string(row, names.ref)
            for row in rows
            if row.get(names.deletion_mark) is not True and is_handed_over(string(row, names.comment), entry.marker)
        ]

    async def _new_enquiry(self, call: Call, entry: Entry, card: str, ended_at: datetime) -> str:
        names = self._names.general_journal
        recommended = entry.confirmed_at.astimezone(self._zone)
        history = (
            f"{HISTORY} {entry.partner} (договор {entry.agreement}), закреплён за ним"
            f" {recommended:%d.%m.%Y}, закрепление по {entry.reserved_through:%d.%m.%Y} истекло. {entry.marker}"
        )
        record = {
            names.date: self._naive(ended_at),
            names.subject: names.subject_handed_over,
            names.client: card,
            names.comment: history,
        }
        made = await self._onec.create(call, names.set, self._fitted(names.set, record, (), names.comment))
        _unchanged(record, made)
        return string(made, names.ref)

    # --- lengths ---

    def _fitted(
        self, entity: str, record: Mapping[str, Any], may_move: tuple[str, ...], comment: str
    ) -> dict[str, Any]:
        """The record with nothing that 1C would cut. A name that is too long is kept whole in the comment."""
        fitted = dict(record)
        for name, value in record.items():
            limit = self._length(entity, name) if isinstance(value, str) else None
            if limit is None or len(value) <= limit:
                continue
            if name not in may_move:
                raise Refused("too-long")
            fitted[name] = value[: limit - 1] + "…"
            fitted[comment] = f"{value}. {fitted.get(comment, '')}".strip()
        limit = self._length(entity, comment)
        if limit is not None and len(fitted.get(comment, "")) > limit:
            raise Refused("too-long")
        return fitted

    def _naive(self, moment: datetime) -> str:
        return moment.astimezone(self._zone).replace(tzinfo=None).isoformat(timespec="seconds")


def _unchanged(sent: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """1C answers with the object as it keeps it. Raises Refused where it kept less than it was given."""
    for name, value in sent.items():
        there = kept.get(name)
        if isinstance(value, str) and isinstance(there, str) and len(there) < len(value):
            raise Refused("truncated")
