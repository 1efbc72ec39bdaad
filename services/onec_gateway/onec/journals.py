"""What the gateway writes in 1C: each method is a move of one client within or between the two journals.

If the answer of a write is lost, NoAnswer is raised. The caller waits until 1C has certainly finished the request and
repeats the move with `look`. The first attempt may have got to any step, so with `look` each step first reads what an
earlier attempt may have written. At every moment the client is in at least one journal and active in at most one.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.general_journal import GeneralJournal
from services.onec_gateway.onec.lengths import Length
from services.onec_gateway.onec.mapping import Mapping as Names
from services.onec_gateway.onec.partner_journal import Entry, PartnerJournal, State
from services.onec_gateway.onec.search import Search


class Journals:
    """The journals of one infobase. Dates in 1C are local times in `zone`. All methods raise OneCError."""

    def __init__(self, onec: OneC, search: Search, names: Names, zone: ZoneInfo, length: Length) -> None:
        self._partner = PartnerJournal(onec, names, zone, length)
        self._general = GeneralJournal(onec, search, names, zone, length)

    @property
    def refuses_repeats(self) -> bool:
        """Whether 1C itself refuses a second entry of a lead in the partner journal."""
        return self._partner.refuses_repeats

    async def enter(self, call: Call, entry: Entry, *, look: bool) -> None:
        """Enter a reserved client in the partner journal; with `look`, only if the lead has no entry."""
        await self._partner.enter(call, entry, look=look)

    async def update(self, call: Call, entry: Entry, state: State, *, look: bool) -> None:
        """Write the state and the last day of a reservation to the partner journal."""
        await self._partner.update(call, entry, state, look=look)

    async def restore(self, call: Call, entry: Entry, state: State) -> None:
        """Write an entry of the partner journal anew, whatever people changed in it."""
        await self._partner.restore(call, entry, state)

    async def hand_over(self, call: Call, entry: Entry, ended_at: datetime, *, look: bool) -> str:
        """Set the entry to expired, then create an enquiry in the general journal. Returns the enquiry's reference.

        Each expiry has its own enquiry with its own date and history. Enquiries of earlier expiries that were undone
        stay marked for deletion.
        """
        await self._partner.update(call, entry, "expired", look=look)
        return await self._general.create(call, entry, ended_at, look=look)

    async def take_back(
        self, call: Call, entry: Entry, state: State = "active", enquiry: str | None = None, *, look: bool
    ) -> None:
        """Mark the enquiry in the general journal for deletion, then write the entry's new state.

        `enquiry`: its reference; if it is None, the enquiry is searched for.
        """
        await self._general.delete(call, entry, enquiry)
        await self._partner.update(call, entry, state, look=look)

    async def mark(self, call: Call, enquiry: str, lead_id: str, words: str, *, look: bool) -> None:
        """Write on an enquiry of the sales office for whom its client is reserved."""
        await self._general.mark(call, enquiry, lead_id, words, look=look)

    async def unmark(self, call: Call, enquiry: str, lead_id: str) -> None:
        """Take the mark of a withdrawn lead off an enquiry of the sales office."""
        await self._general.unmark(call, enquiry, lead_id)
