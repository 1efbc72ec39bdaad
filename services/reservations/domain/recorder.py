"""The recorder of histories."""

from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from services.reservations.domain.history import appended
from services.reservations.domain.model import ClientState, Reservation


class Recorder(NamedTuple):
    """Appends entries to clients' histories, for the decisions of one moment.

    `now`: the time of the decisions, `at`: the same as text; `key`: the secret key of the history hashes. Both methods
    are pure: they return the client with the entry added to `new_history`. `what` names the kind of the entry;
    `details` are texts and numbers, stored in the entry under their names.
    """

    now: datetime
    at: str
    key: bytes

    def record(self, client: ClientState, what: str, lead_id: UUID, **details: Any) -> ClientState:
        """Append an entry about a lead."""
        head, entry = appended(
            client.head, self.key, client.key, {"at": self.at, "what": what, "lead": str(lead_id), **details}
        )
        return client._replace(head=head, new_history=(*client.new_history, entry))

    def record_change(self, client: ClientState, reservation: Reservation, what: str, **details: Any) -> ClientState:
        """Replace a reservation and append the entry about it, with one copy of the state instead of two."""
        lead_id = reservation.lead_id
        head, entry = appended(
            client.head, self.key, client.key, {"at": self.at, "what": what, "lead": str(lead_id), **details}
        )
        return client._replace(
            reservations=MappingProxyType({**client.reservations, lead_id: reservation}),
            head=head,
            new_history=(*client.new_history, entry),
        )


@lru_cache(16)
def recorder_of(now: datetime, key: bytes) -> Recorder:
    """Return the recorder for `now`. All inputs of a batch are decided at one time, so they share one recorder."""
    return Recorder(now, now.isoformat(), key)
