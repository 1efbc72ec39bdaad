"""The calls to 1C that decisions request: the kinds of work rows, and the payload of each."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from chassis.decision import Task
from contracts.reservations import (
    AnyReservation,
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
)
from services.onec_gateway.domain.model import ClientState, KnownReservation, Lead

# The values are stored in work rows: a change needs a migration.
CHECK: Final = "check"
PARTNER_JOURNAL: Final = "partner-journal"
JOURNAL_UPDATE: Final = "partner-journal-update"
HAND_OVER: Final = "hand-over"
TAKE_BACK: Final = "take-back"
MARK_ENQUIRY: Final = "mark-enquiry"
RESTORE: Final = "partner-journal-restore"

_ENTRY: Final[Mapping[str, Callable[[str], object]]] = MappingProxyType(
    {
        "lead_id": UUID,
        "client": str,
        "partner_id": str,
        "confirmed_at": datetime.fromisoformat,
        "reserved_through": date.fromisoformat,
    }
)
_ARGUMENTS: Final[Mapping[str, Mapping[str, Callable[[str], object]]]] = MappingProxyType(
    {
        CHECK: {"client": str},
        PARTNER_JOURNAL: _ENTRY,
        JOURNAL_UPDATE: {**_ENTRY, "state": str},
        HAND_OVER: {**_ENTRY, "expired_at": datetime.fromisoformat},
        TAKE_BACK: _ENTRY,
        RESTORE: {**_ENTRY, "state": str},
        MARK_ENQUIRY: {
            "lead_id": UUID,
            "partner_id": str,
            "enquiry": str,
            "reserved_through": date.fromisoformat,
        },
    }
)


def read_arguments(kind: str, ref: str, payload: Mapping[str, Any]) -> None:
    """Read the payload of a work row as the calls will. Raises ValueError if this version cannot; other fields than
    those it needs are ignored."""
    if kind == CHECK:
        UUID(ref)
    for name, read in _ARGUMENTS[kind].items():
        text = payload.get(name)
        if not isinstance(text, str):
            raise ValueError(f"the argument {name} is not a text")
        read(text)
    if (checked_at := payload.get("checked_at")) is not None:
        datetime.fromisoformat(checked_at)


def check(lead: Lead) -> Task:
    """The task that reads from 1C whether it has enquiries or sales of the lead's client."""
    return Task(CHECK, str(lead.lead_id), {"client": lead.client}, lead.cause)


def enter_in_journal(message: ReservationOpened, checked_at: datetime | None) -> Task:
    """The task that writes a lead's entry to 1C's partner journal.

    `checked_at`: when 1C answered the lead's check; None if that is unknown.
    """
    checked = {"checked_at": checked_at.isoformat()} if checked_at else {}
    return Task(PARTNER_JOURNAL, str(message.lead_id), {**_entry(message), **checked})


def update_journal(message: ReservationExtended | ReservationClosed | ReservationReopened) -> Task:
    """The task that writes a reservation's new state to its entry in 1C's partner journal."""
    state, step = _state_and_step(message)
    return Task(JOURNAL_UPDATE, f"{message.lead_id}/{step}", {**_entry(message), "state": state})


def hand_over(message: ReservationExpired) -> Task:
    """The task that moves an expired client from 1C's partner journal to its general journal."""
    payload = {**_entry(message), "expired_at": message.expired_at.isoformat()}
    return Task(HAND_OVER, f"{message.lead_id}/{message.reserved_until.isoformat()}", payload)


def take_back(message: ReservationReinstated, enquiry: str | None) -> Task:
    """The task that moves a reinstated client from 1C's general journal back to its partner journal.

    `enquiry`: 1C's reference of the client's enquiry in the general journal; None if it is not known yet.
    """
    known = {"enquiry": enquiry} if enquiry is not None else {}
    return Task(TAKE_BACK, f"{message.lead_id}/{message.request_id}", {**_entry(message), **known})


def restore(lead: Lead, known: KnownReservation, restoration: UUID) -> Task:
    """The task that writes a lead's entry in 1C's partner journal anew, as the reservation is now."""
    payload = {
        "lead_id": str(lead.lead_id),
        "client": lead.client,
        "partner_id": lead.partner_id,
        "confirmed_at": known.confirmed_at.isoformat(),
        "reserved_through": known.reserved_through.isoformat(),
        "state": known.ended_as or "active",
    }
    return Task(RESTORE, f"{lead.lead_id}/{restoration}", payload)


def mark_enquiry(lead_id: UUID, partner_id: str, enquiry: str, reserved_through: date) -> Task:
    """The task that marks an enquiry of the sales office, named by its 1C reference: the partner who holds the client,
    and the last day of the reservation."""
    through = reserved_through.isoformat()
    payload = {"lead_id": str(lead_id), "partner_id": partner_id, "enquiry": enquiry, "reserved_through": through}
    return Task(MARK_ENQUIRY, f"{enquiry}/{lead_id}/{through}", payload)


def mark_again(client: ClientState, message: ReservationExtended | ReservationReinstated) -> Iterator[Task]:
    """The tasks that write the reservation's new last day on the enquiries of all published collisions with this lead.

    Deleted enquiries are left out.
    """
    for ref, sighting in client.sightings.items():
        collision = sighting.last_collision
        if collision is not None and collision.startswith(f"{message.lead_id}/") and not sighting.deleted:
            yield mark_enquiry(message.lead_id, message.partner_id, ref, message.reserved_through)


def _state_and_step(message: ReservationExtended | ReservationClosed | ReservationReopened) -> tuple[str, str]:
    """The state that the entry gets, and the part of the row's reference that differs between updates of one lead."""
    match message:
        case ReservationExtended():
            return "active", str(message.request_id)
        case ReservationClosed():
            return message.outcome, message.closed_at.isoformat()
        case ReservationReopened():
            return "active", message.reopened_at.isoformat()


def _entry(message: AnyReservation) -> dict[str, str]:
    return {
        "lead_id": str(message.lead_id),
        "client": message.client,
        "partner_id": message.partner_id,
        "confirmed_at": message.confirmed_at.isoformat(),
        "reserved_through": message.reserved_through.isoformat(),
    }
