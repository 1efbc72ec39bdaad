"""Events of the reservations service, and the results of the writes to 1C's journals that follow from them."""

from dataclasses import replace
from datetime import datetime
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


def reservation_opened(
    client: ClientState, message: ReservationOpened, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record when the hold ends, and request the entry in the partner journal. Raises Contradiction."""
    _require_hold(client, message.lead_id)
    if message.lead_id in client.reservations:
        return Decision(client)
    lead = client.leads.get(message.lead_id)
    entry = tasks.enter_in_journal(message, lead.checked_at if lead is not None else None)
    return advance(client.with_reservation(_known(message)), now, policy, entry)


def reservation_extended(
    client: ClientState, message: ReservationExtended, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the new end, and request that the partner journal and every marked enquiry show it. Raises
    Contradiction."""
    _require_hold(client, message.lead_id)
    known = client.reservations.get(message.lead_id)
    if known is not None and known.reserved_until >= message.reserved_until:
        return Decision(client)
    extended = replace(
        known or _known(message), reserved_until=message.reserved_until, reserved_through=message.reserved_through
    )
    after = client.with_reservation(extended)
    return advance(after, now, policy, tasks.update_journal(message), *tasks.mark_again(after, message))


def reservation_expired(
    client: ClientState, message: ReservationExpired, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record that the client is the builder's, and request the move to the general journal. Raises Contradiction."""
    _require_hold(client, message.lead_id)
    known = client.reservations.get(message.lead_id)
    if known is not None and (known.ended_at is not None or message.reserved_until < known.reserved_until):
        return Decision(client)
    ended = replace(
        known or _known(message),
        reserved_until=message.reserved_until,
        ended_at=message.expired_at,
        ended_as="expired",
    )
    return advance(client.with_reservation(ended), now, policy, tasks.hand_over(message))


def reservation_closed(
    client: ClientState, message: ReservationClosed, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the end: `won`, the client has bought; `withdrawn`, the client is free again. Raises Contradiction."""
    _require_hold(client, message.lead_id)
    known = client.reservations.get(message.lead_id) or _known(message)
    # A sale inside the term may be noticed after the expiry, and corrects it.
    if known.ended_at is not None and not (known.ended_as == "expired" and message.outcome == "won"):
        return Decision(client)
    after = client.with_reservation(replace(known, ended_at=message.closed_at, ended_as=message.outcome))
    if message.outcome == "withdrawn":
        after = replace(after, hold=None)
    return advance(after, now, policy, tasks.update_journal(message))


def reservation_reopened(
    client: ClientState, message: ReservationReopened, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record that the sale is void: the hold is live for the rest of its term. Raises Contradiction."""
    _require_hold(client, message.lead_id)
    known = client.reservations.get(message.lead_id)
    if known is not None and known.ended_as != "won":
        return Decision(client)
    after = client.with_reservation(replace(known or _known(message), ended_at=None, ended_as=None))
    return advance(after, now, policy, tasks.update_journal(message))


def reservation_reinstated(
    client: ClientState, message: ReservationReinstated, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the fresh term, and request the move back to the partner journal. Raises Contradiction."""
    _require_hold(client, message.lead_id)
    known = client.reservations.get(message.lead_id)
    if known is not None and known.reserved_until >= message.reserved_until:
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


def _known(message: AnyReservation) -> KnownReservation:
    return KnownReservation(message.lead_id, message.confirmed_at, message.reserved_until, message.reserved_through)
