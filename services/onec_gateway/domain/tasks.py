"""The calls to 1C that decisions request: the kinds of work rows, and the payload of each.

A row that follows from an event has the event's id in its reference: a later event of the same kind gets a row of its
own, and the same event again gets none.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final, Literal, get_args
from uuid import UUID

from chassis.decision import Cause, Task
from contracts.reservations import (
    AnyReservation,
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
)
from services.onec_gateway.domain.model import ClientState, Lead
from services.onec_gateway.domain.reservations import KnownReservation

# The values are stored in work rows: a change needs a migration.
CHECK: Final = "check"
PARTNER_JOURNAL: Final = "partner-journal"
JOURNAL_UPDATE: Final = "partner-journal-update"
HAND_OVER: Final = "hand-over"
TAKE_BACK: Final = "take-back"
MARK_ENQUIRY: Final = "mark-enquiry"
UNMARK_ENQUIRY: Final = "unmark-enquiry"
RESTORE: Final = "partner-journal-restore"

EntryState = Literal["active", "expired", "won", "withdrawn"]


def _state_of(text: str) -> str:
    if text not in get_args(EntryState):
        raise ValueError("the argument state is unknown")
    return text


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
        JOURNAL_UPDATE: {**_ENTRY, "state": _state_of},
        HAND_OVER: {**_ENTRY, "expired_at": datetime.fromisoformat},
        TAKE_BACK: _ENTRY,
        RESTORE: {**_ENTRY, "state": _state_of},
        MARK_ENQUIRY: {
            "lead_id": UUID,
            "partner_id": str,
            "enquiry": str,
            "reserved_through": date.fromisoformat,
        },
        UNMARK_ENQUIRY: {"lead_id": UUID, "enquiry": str},
    }
)
# Rows have these arguments only if they are known; rows of earlier versions have no state of a take-back.
_OPTIONAL: Final[Mapping[str, Mapping[str, Callable[[str], object]]]] = MappingProxyType(
    {
        PARTNER_JOURNAL: {"checked_at": datetime.fromisoformat},
        TAKE_BACK: {"state": _state_of, "enquiry": str},
    }
)


def read_arguments(kind: str, ref: str, payload: Mapping[str, Any]) -> None:
    """Read the payload of a work row as the calls will. Raises ValueError if this version cannot; other fields than
    those it needs are ignored."""
    if kind == CHECK:
        UUID(ref)
    present = {name: read for name, read in _OPTIONAL.get(kind, {}).items() if payload.get(name) is not None}
    for name, read in {**_ARGUMENTS[kind], **present}.items():
        text = payload.get(name)
        if not isinstance(text, str):
            raise ValueError(f"the argument {name} is not a text")
        read(text)


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


def take_back(
    message: ReservationReinstated | ReservationReopened | ReservationClosed,
    known: KnownReservation | None,
    cause: Cause,
) -> Task:
    """The task that deletes the enquiry of an expiry from 1C's general journal, and writes the reservation's new state
    to its entry in the partner journal. `known`: what was known of the reservation before the message."""
    payload = {**_entry(message), "state": _state(message), **_own_enquiry(known)}
    return Task(TAKE_BACK, _ref(message.lead_id, cause), payload)


def clear_general_journal(client: ClientState, holder: UUID, cause: Cause) -> Iterator[Task]:
    """The tasks that delete the enquiries of all expired leads from the general journal when `holder` gets the client.

    Otherwise the client would be active in both journals. Leads whose personal data is erased are left out.
    """
    for lead_id, known in client.reservations.items():
        lead = client.leads.get(lead_id)
        if lead_id != holder and known.ended_as == "expired" and lead is not None and lead.client:
            payload = {**_entry_of(lead, known), "state": "expired", **_own_enquiry(known)}
            yield Task(TAKE_BACK, _ref(lead_id, cause), payload)


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


def _collided(client: ClientState, lead_id: UUID) -> list[str]:
    collided = client.collided_with(lead_id)
    return [ref for ref, sighting in client.sightings.items() if ref in collided and not sighting.deleted]


def _state(message: AnyReservation) -> EntryState:
    if isinstance(message, ReservationClosed):
        return message.outcome
    return "expired" if isinstance(message, ReservationExpired) else "active"


def _own_enquiry(known: KnownReservation | None) -> dict[str, str]:
    """The reference of the gateway's own enquiry in the general journal, if it is known by now."""
    return {"enquiry": known.enquiry_ref} if known is not None and known.enquiry_ref is not None else {}


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
