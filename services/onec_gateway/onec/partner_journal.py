"""The partner journal in 1C: one entry a lead, in a register or in documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from services.onec_gateway.onec import phones
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.errors import Exists, Refused
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.lengths import Length, check_stored, fitted
from services.onec_gateway.onec.mapping import DocumentJournal
from services.onec_gateway.onec.mapping import Mapping as Names
from services.onec_gateway.onec.marks import MARKER
from services.onec_gateway.onec.odata import guid_literal, local_time, string_literal
from services.onec_gateway.onec.rows import string

State = Literal["active", "expired", "won", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A reserved client as the journals show it; opened personal data, kept only for the duration of a call.

    `full_name` and `phone` (E.164) are the client's, `partner` is the partner's name, `agreement` the number of its
    agreement, `reserved_through` the last day of the reservation.
    """

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
        """The text in a comment by which a card or an enquiry of this lead is found.

        1C can search a comment for it, but cannot compare by `eq`: a comment has no length limit.
        """
        return f"{MARKER}{self.lead_id}"


class PartnerJournal:
    """Reads and writes entries. All methods raise OneCError.

    Refused("foreign-entry"): the lead's entry belongs to another client or partner. Refused("too-long"): a value does
    not fit into its field; nothing was written. Refused("truncated"): 1C stored less than was sent.
    """

    def __init__(self, onec: OneC, names: Names, zone: ZoneInfo, length: Length) -> None:
        self._onec = onec
        self._names = names.partner_journal
        self._zone = zone
        self._length = length

    @property
    def refuses_repeats(self) -> bool:
        """Whether 1C itself refuses a second entry of a lead."""
        return self._names.kind == "register"

    async def enter(self, call: Call, entry: Entry, *, look: bool) -> None:
        """Write the entry of a lead; with `look`, read first and write only if there is none."""
        if look and (found := await self._read(call, entry)) is not None:
            self._check_ours(found, entry)
            return
        await self._create(call, entry, "active")

    async def update(self, call: Call, entry: Entry, state: State, *, look: bool) -> None:
        """Write the state and the date of an entry; with `look`, only if they differ from what 1C has.

        If the lead has no entry, the entry is written now, so that no lead is missing in the journal.
        """
        wanted = self._changing_fields(entry, state)
        key = None if isinstance(self._names, DocumentJournal) else self._register_key(entry.lead_id)
        if look or key is None:
            found = await self._read(call, entry)
            if found is None:
                await self._create(call, entry, state)
                return
            if all(found.get(name) == value for name, value in wanted.items()):
                return
            key = self._key_in(found)
        try:
            await self._onec.change(call, self._names.set, key, wanted)
        except Refused as error:
            if error.status != 404:
                raise
            await self._create(call, entry, state)

    async def restore(self, call: Call, entry: Entry, state: State) -> None:
        """Write all fields of an entry anew, whatever people changed in it; without an entry, create it."""
        found = await self._read(call, entry)
        if found is None:
            await self._create(call, entry, state)
            return
        record = self._record(entry, state)
        stored = await self._onec.change(call, self._names.set, self._key_in(found), record)
        check_stored(record, stored)

    def _changing_fields(self, entry: Entry, state: State) -> dict[str, str]:
        names = self._names
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

    async def _create(self, call: Call, entry: Entry, state: State) -> None:
        names = self._names
        record = self._record(entry, state)
        try:
            stored = await self._onec.create(call, names.set, record)
        except Exists:
            # Either an earlier attempt reached 1C although its answer was lost, or someone else uses our lead ids.
            self._check_ours(await self._read(call, entry), entry)
            return
        check_stored(record, stored)

    def _record(self, entry: Entry, state: State) -> dict[str, Any]:
        """All fields of an entry. Raises Refused("too-long")."""
        names = self._names
        confirmed_at = local_time(entry.confirmed_at, self._zone)
        record: dict[str, Any] = {
            names.lead_id: entry.lead_id,
            names.full_name: entry.full_name,
            names.phone: entry.phone,
            names.partner: entry.partner,
            names.partner_id: entry.partner_id,
            names.agreement: entry.agreement,
            names.registered_at: confirmed_at,
            **self._changing_fields(entry, state),
        }
        if isinstance(names, DocumentJournal):
            record["Date"] = confirmed_at
        return fitted(record, names.set, self._length, (names.full_name, names.partner), names.comment)

    def _check_ours(self, found: Mapping[str, Any] | None, entry: Entry) -> None:
        names = self._names
        if (
            found is None
            or string(found, names.partner_id) != entry.partner_id
            or not phones.same(entry.phone, [string(found, names.phone)])
        ):
            raise Refused("foreign-entry")

    async def _read(self, call: Call, entry: Entry) -> dict[str, Any] | None:
        names = self._names
        if not isinstance(names, DocumentJournal):
            return await self._onec.get(call, names.set, self._register_key(entry.lead_id))
        has_no_limit = self._length(names.set, names.lead_id) is None
        lead_id = string_literal(entry.lead_id)
        condition = f"substringof({lead_id},{names.lead_id})" if has_no_limit else f"{names.lead_id} eq {lead_id}"
        fields = (names.ref, names.deletion_mark, names.reserved_through, names.state, names.partner_id, names.phone)
        rows = await self._onec.find(call, names.set, condition, fields)
        return next((row for row in rows if row.get(names.deletion_mark) is not True), None)

    def _key_in(self, found: Mapping[str, Any]) -> str:
        names = self._names
        if isinstance(names, DocumentJournal):
            return guid_literal(string(found, names.ref))
        return self._register_key(string(found, names.lead_id))

    def _register_key(self, lead_id: str) -> str:
        return f"{self._names.lead_id}={string_literal(lead_id)}"
