"""The calls to 1C that decisions request: the kinds of work rows, and the payload of each.

A row that follows from an event has the event's id in its reference: a later event of the same kind gets a row of its
own, and the same event again gets none.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

from chassis.decision import Cause, Task
from contracts.reservations import (
    AnyReservation,
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
)
from services.onec_gateway.domain.model import ClientState, KnownReservation, Lead

# The values are stored in work rows: a change needs a migration.
CHECK: Final = "check"
PARTNER_JOURNAL: Final = "partner-journal"
JOURNAL_UPDATE: Final = "partner-journal-update"
HAND_OVER: Final = "hand-over"
TAKE_BACK: Final = "take-back"
MARK_ENQUIRY: Final = "mark-enquiry"
UNMARK_ENQUIRY: Final = "unmark-enquiry"

EntryState = Literal["active", "expired", "won", "withdrawn"]


def check(lead: Lead) -> Task:
    """The task that reads from 1C whether it has enquiries or sales of the lead's client."""
    return Task(CHECK, str(lead.lead_id), {"client": lead.client}, lead.cause)


def enter_in_journal(message: ReservationOpened, checked_at: datetime | None) -> Task:
    """The task that writes a lead's entry to 1C's partner journal.

    `checked_at`: when 1C answered the lead's check; None if that is unknown.
    """
    checked = {"checked_at": checked_at.isoformat()} if checked_at else {}
    return Task(PARTNER_JOURNAL, str(message.lead_id), {**_entry(message), **checked})


def update_journal(message: AnyReservation, cause: Cause) -> Task:
    """The task that writes a reservation's new state to its entry in 1C's partner journal."""
    return Task(JOURNAL_UPDATE, _ref(message.lead_id, cause), {**_entry(message), "state": _state(message)})


def hand_over(message: ReservationExpired, cause: Cause) -> Task:
    """The task that moves an expired client from 1C's partner journal to its general journal."""
    payload = {**_entry(message), "expired_at": message.expired_at.isoformat()}
    return Task(HAND_OVER, _ref(message.lead_id, cause), payload)


def take_back(message: ReservationReinstated | ReservationClosed, cause: Cause) -> Task:
    """The task that deletes the enquiry of an expiry from 1C's general journal, and writes the reservation's new state
    to its entry in the partner journal."""
    return Task(TAKE_BACK, _ref(message.lead_id, cause), {**_entry(message), "state": _state(message)})


def clear_general_journal(client: ClientState, holder: UUID, cause: Cause) -> Iterator[Task]:
    """The tasks that delete the enquiries of all expired leads from the general journal when `holder` gets the client.

    Otherwise the client would be active in both journals. Leads whose personal data is erased are left out.
    """
    for lead_id, known in client.reservations.items():
        lead = client.leads.get(lead_id)
        if lead_id != holder and known.ended_as == "expired" and lead is not None and lead.client:
            payload = {**_entry_of(lead, known), "state": "expired"}
            yield Task(TAKE_BACK, _ref(lead_id, cause), payload)


def mark_enquiry(lead_id: UUID, partner_id: str, enquiry: str, reserved_through: date) -> Task:
    """The task that marks an enquiry of the sales office, named by its 1C reference: the partner who holds the client,
    and the last day of the reservation."""
    through = reserved_through.isoformat()
    payload = {"lead_id": str(lead_id), "partner_id": partner_id, "enquiry": enquiry, "reserved_through": through}
    return Task(MARK_ENQUIRY, f"{enquiry}/{lead_id}/{through}", payload)


def mark_again(
    client: ClientState, message: ReservationOpened | ReservationExtended | ReservationReinstated
) -> Iterator[Task]:
    """The tasks that write the reservation's last day on the enquiries of all published collisions with this lead.

    Deleted enquiries are left out.
    """
    for enquiry in _collided(client, message.lead_id):
        yield mark_enquiry(message.lead_id, message.partner_id, enquiry, message.reserved_through)


def unmark(client: ClientState, lead_id: UUID) -> Iterator[Task]:
    """The tasks that take a withdrawn lead's mark off every enquiry of a collision with it."""
    for enquiry in _collided(client, lead_id):
        yield Task(UNMARK_ENQUIRY, f"{enquiry}/{lead_id}", {"lead_id": str(lead_id), "enquiry": enquiry})


def _collided(client: ClientState, lead_id: UUID) -> Iterator[str]:
    for ref, sighting in client.sightings.items():
        collided = any(collision.startswith(f"{lead_id}/") for collision in sighting.collisions)
        if collided and not sighting.deleted:
            yield ref


def _state(message: AnyReservation) -> EntryState:
    if isinstance(message, ReservationClosed):
        return message.outcome
    return "expired" if isinstance(message, ReservationExpired) else "active"


def _ref(lead_id: UUID, cause: Cause) -> str:
    return f"{lead_id}/{cause.id}"


def _entry(message: AnyReservation) -> dict[str, str]:
    return {
        "lead_id": str(message.lead_id),
        "client": message.client,
        "partner_id": message.partner_id,
        "confirmed_at": message.confirmed_at.isoformat(),
        "reserved_through": message.reserved_through.isoformat(),
    }


def _entry_of(lead: Lead, known: KnownReservation) -> dict[str, str]:
    return {
        "lead_id": str(lead.lead_id),
        "client": lead.client,
        "partner_id": lead.partner_id,
        "confirmed_at": known.confirmed_at.isoformat(),
        "reserved_through": known.reserved_through.isoformat(),
    }
