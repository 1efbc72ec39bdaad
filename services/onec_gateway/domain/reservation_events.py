"""Events of the reservations service, and the results of the writes to 1C's journals that follow from them."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from chassis.decision import Cause, Decision
from contracts.reservations import (
    AnyReservation,
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
)
from services.onec_gateway.domain import tasks
from services.onec_gateway.domain.arbiter import advance
from services.onec_gateway.domain.evidence import with_checked_enquiries
from services.onec_gateway.domain.inputs import HandedOver, JournalEntered, JournalUpdated, TakenBack
from services.onec_gateway.domain.model import ClientState, KnownReservation, Policy


class Contradiction(Exception):
    """A reservation of a client whom the gateway granted to another lead. The record is parked: nobody may guess."""


# --- events of the reservations service ---
#
# Every event counts the entries of the client's history. An event with a lower count than the newest recorded event of
# its reservation is older, whenever it comes: its effect is part of the newer state, so it changes nothing. A newer
# event sets the state, also where an event between the two is still missing.


def reservation_opened(
    client: ClientState, message: ReservationOpened, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record when the hold ends, and request the entry in the partner journal. Raises Contradiction."""
    # If a newer event came first, its own write to the partner journal made the entry.
    if message.lead_id in client.reservations:
        return Decision(client)
    _require_hold(client, message.lead_id)
    lead = client.leads.get(message.lead_id)
    entry = tasks.enter_in_journal(message, lead.checked_at if lead is not None else None)
    return advance(client.with_reservation(_known(message)), now, policy, entry)


def reservation_extended(
    client: ClientState, message: ReservationExtended, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the new end, and request that the partner journal and every marked enquiry show it. Raises
    Contradiction."""
    known = client.reservations.get(message.lead_id)
    order = _order(known, message)
    if order == "older":
        return Decision(client, superseded=True)
    _require_hold(client, message.lead_id)
    if order == "unknown" and known is not None and known.reserved_until >= message.reserved_until:
        return Decision(client)
    extended = _with_dates(known, message)
    if order == "newer":
        extended = replace(extended, ended_at=None, ended_as=None)
    after = client.with_reservation(extended)
    return advance(after, now, policy, tasks.update_journal(message), *tasks.mark_again(after, message))


def reservation_expired(
    client: ClientState, message: ReservationExpired, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record that the client is the builder's, and request the move to the general journal. Raises Contradiction."""
    known = client.reservations.get(message.lead_id)
    order = _order(known, message)
    if order == "older":
        return Decision(client, superseded=True)
    _require_hold(client, message.lead_id)
    if (
        order == "unknown"
        and known is not None
        and (known.ended_at is not None or message.reserved_until < known.reserved_until)
    ):
        return Decision(client)
    ended = replace(_with_dates(known, message), ended_at=message.expired_at, ended_as="expired")
    return advance(client.with_reservation(ended), now, policy, tasks.hand_over(message))


def reservation_closed(
    client: ClientState, message: ReservationClosed, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the end: `won`, the client has bought; `withdrawn`, the client is free again. Raises Contradiction."""
    known = client.reservations.get(message.lead_id)
    order = _order(known, message)
    if order == "older":
        return Decision(client, superseded=True)
    _require_hold(client, message.lead_id)
    # A sale inside the term may be noticed after the expiry, and corrects it.
    corrects = known is not None and known.ended_as == "expired" and message.outcome == "won"
    if order == "unknown" and known is not None and known.ended_at is not None and not corrects:
        return Decision(client)
    ended = replace(_with_dates(known, message), ended_at=message.closed_at, ended_as=message.outcome)
    after = client.with_reservation(ended)
    if message.outcome == "withdrawn" and client.hold is not None and client.hold.lead_id == message.lead_id:
        after = replace(after, hold=None)
    return advance(after, now, policy, tasks.update_journal(message))


def reservation_reopened(
    client: ClientState, message: ReservationReopened, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record that the sale is void: the hold is live for the rest of its term. Raises Contradiction."""
    known = client.reservations.get(message.lead_id)
    order = _order(known, message)
    if order == "older":
        return Decision(client, superseded=True)
    _require_hold(client, message.lead_id)
    if order == "unknown" and known is not None and known.ended_as != "won":
        return Decision(client)
    after = client.with_reservation(replace(_with_dates(known, message), ended_at=None, ended_as=None))
    return advance(after, now, policy, tasks.update_journal(message))


def reservation_reinstated(
    client: ClientState, message: ReservationReinstated, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the fresh term, and request the move back to the partner journal. Raises Contradiction."""
    known = client.reservations.get(message.lead_id)
    order = _order(known, message)
    if order == "older":
        if known is None or known.ended_at is not None:
            return Decision(client, superseded=True)
        # The newer events did not move the client back from the general journal.
        return Decision(client, tasks=(tasks.take_back(message.model_copy(update=_dates(known)), known.enquiry_ref),))
    _require_hold(client, message.lead_id)
    if order == "unknown" and known is not None and known.reserved_until >= message.reserved_until:
        return Decision(client)
    after = client.with_reservation(_known(message))
    take_back = tasks.take_back(message, known.enquiry_ref if known is not None else None)
    return advance(after, now, policy, take_back, *tasks.mark_again(after, message))


# --- results of writes to 1C ---


def journal_entered(
    client: ClientState, result: JournalEntered, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the entry. Enquiries that the second check found are collisions to publish; the hold stays."""
    known = replace(client.reservations[result.lead_id], journal_entered_at=result.at)
    entered = client.with_reservation(known)
    return advance(with_checked_enquiries(entered, result.enquiries, result.at, result.absent_at), now, policy)


def journal_updated(client: ClientState, _: JournalUpdated, __: Cause, ___: datetime) -> Decision[ClientState]:
    """Nothing follows from an update; the work row records it."""
    return Decision(client)


def handed_over(client: ClientState, result: HandedOver, _: Cause, __: datetime) -> Decision[ClientState]:
    """Record the client's enquiry in the general journal."""
    known = client.reservations[result.lead_id]
    moved = replace(known, handed_over_at=result.at, enquiry_ref=result.enquiry_ref)
    client = client.with_reservation(moved)
    return Decision(replace(client, own_enquiries=client.own_enquiries | {result.enquiry_ref}))


def taken_back(client: ClientState, result: TakenBack, _: Cause, __: datetime) -> Decision[ClientState]:
    """Record that the client is in the partner journal again."""
    known = client.reservations[result.lead_id]
    moved = replace(known, journal_entered_at=result.at, handed_over_at=None, enquiry_ref=None)
    return Decision(client.with_reservation(moved))


def _require_hold(client: ClientState, lead_id: UUID) -> None:
    known = client.reservations.get(lead_id)
    is_over = known is not None and known.ended_at is not None
    if client.hold is not None and client.hold.lead_id != lead_id and not is_over:
        raise Contradiction(f"the reservation is of lead {lead_id}, the hold of lead {client.hold.lead_id}")


def _order(known: KnownReservation | None, message: AnyReservation) -> Literal["older", "newer", "unknown"]:
    """Whether an event is older than the newest recorded event of its reservation (or is that event), or newer.

    Unknown for the first event, and for events without a count, which earlier versions published.
    """
    if known is None or known.history_count is None or message.history_count is None:
        return "unknown"
    return "older" if message.history_count <= known.history_count else "newer"


def _with_dates(known: KnownReservation | None, message: AnyReservation) -> KnownReservation:
    """What is known of the reservation, with the dates and the count of a newer event."""
    if known is None:
        return _known(message)
    return replace(
        known,
        **_dates(message),
        history_count=message.history_count if message.history_count is not None else known.history_count,
    )


def _dates(of: KnownReservation | AnyReservation) -> dict[str, Any]:
    return {
        "confirmed_at": of.confirmed_at,
        "reserved_until": of.reserved_until,
        "reserved_through": of.reserved_through,
    }


def _known(message: AnyReservation) -> KnownReservation:
    return KnownReservation(
        message.lead_id,
        message.confirmed_at,
        message.reserved_until,
        message.reserved_through,
        history_count=message.history_count,
    )
