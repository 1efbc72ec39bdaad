"""What the gateway knows of reservations, which another service keeps, and of requests to reinstate them."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from chassis.decision import Cause

Ended = Literal["expired", "won", "withdrawn"]


@dataclass(frozen=True, slots=True)
class KnownReservation:
    """What the gateway knows of a lead's reservation, from the events of the reservations service.

    `reserved_through` is its last day in the builder's time zone, `reserved_until` the first instant after it.
    `ended_at` and `ended_as` are None while it is live. `journal_entered_at`: when the entry was written to 1C's
    partner journal. `handed_over_at` and `enquiry_ref`: when the client was written to 1C's general journal, and the
    1C reference of that enquiry. `history_count`: that of the newest event that was applied; None if it had none.
    """

    lead_id: UUID
    confirmed_at: datetime
    reserved_until: datetime
    reserved_through: date
    ended_at: datetime | None = None
    ended_as: Ended | None = None
    journal_entered_at: datetime | None = None
    handed_over_at: datetime | None = None
    enquiry_ref: str | None = None
    history_count: int | None = None


@dataclass(frozen=True, slots=True)
class Reinstatement:
    """A request to reinstate an expired reservation. It waits in the client's queue until `answered_at`.

    `expired_at`: when the reservation had expired, if the request was granted. From then until `answered_at` the client
    was the builder's.
    """

    request_id: UUID
    lead_id: UUID
    partner_id: str
    requested_at: datetime
    cause: Cause
    answered_at: datetime | None = None
    expired_at: datetime | None = None

    @property
    def queue_position(self) -> tuple[datetime, int]:
        """The request's place in the client's queue: before a lead that was received at the same instant."""
        return self.requested_at, 0
