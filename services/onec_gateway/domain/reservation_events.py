"""Events of the reservations service, and the results of the writes to 1C's journals that follow from them."""

from dataclasses import replace
from datetime import datetime

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
from services.onec_gateway.domain.model import ClientState, Hold, KnownReservation, Policy


class Contradiction(Exception):
    """An event that does not fit what the gateway knows: the hold is another lead's, or the reservation cannot get into
    this state from its present one. The record is parked: nobody may guess, and nothing is dropped."""


# --- events of the reservations service ---
#
# Reservations owns the clocks: a new end is recorded whether it is later or earlier. Only a repeated event changes
# nothing. It is recognised by its history count, which grows with every event of a client, or, where an event has none,
# by its content.


def reservation_opened(
    client: ClientState, message: ReservationOpened, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record when the hold ends, and request the entry in the partner journal. Raises Contradiction."""
    if message.lead_id in client.reservations:
        return Decision(client)
    if client.hold is not None and client.hold.lead_id != message.lead_id:
        raise Contradiction(f"lead {message.lead_id} was opened, lead {client.hold.lead_id} has the hold")
    lead = client.leads.get(message.lead_id)
    after = client.with_reservation(_known(message))
    entry = tasks.enter_in_journal(message, lead.checked_at if lead is not None else None)
    cleared = tasks.clear_general_journal(client, message.lead_id, cause)
    return advance(after, now, policy, *cleared, entry, *tasks.mark_again(after, message))


def reservation_extended(
    client: ClientState, message: ReservationExtended, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the new end, and request that the partner journal and every marked enquiry show it. Raises
    Contradiction."""
    known = client.reservations.get(message.lead_id)
    if known is not None and (_is_repeat(known, message) or known.reserved_until == message.reserved_until):
        return Decision(client)
    _require(client, known, message, None)
    extended = replace(
        known or _known(message),
        reserved_until=message.reserved_until,
        reserved_through=message.reserved_through,
        history_count=message.history_count,
    )
    after = client.with_reservation(extended)
    return advance(after, now, policy, tasks.update_journal(message, cause), *tasks.mark_again(after, message))


def reservation_expired(
    client: ClientState, message: ReservationExpired, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record that the client is the builder's, and request the move to the general journal. Raises Contradiction.

    If a sale after the expiry is cancelled when another lead holds the client, the client stays where it is.
    """
    known = client.reservations.get(message.lead_id)
    if known is not None and (
        _is_repeat(known, message)
        or (message.history_count is None and known.ended_as == "expired" and known.ended_at == message.expired_at)
    ):
        return Decision(client)
    _require(client, known, message, None, "won")
    holder = client.holder()
    stays = holder is not None and holder.lead_id != message.lead_id
    ended = replace(
        known or _known(message),
        reserved_until=message.reserved_until,
        reserved_through=message.reserved_through,
        ended_at=message.expired_at,
        ended_as="expired",
        history_count=message.history_count,
    )
    move = tasks.update_journal(message, cause) if stays else tasks.hand_over(message, cause)
    return advance(client.with_reservation(ended), now, policy, move)


def reservation_closed(
    client: ClientState, message: ReservationClosed, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the end: `won`, the client has bought; `withdrawn`, the client is free again and the marks in 1C are taken
    off. After an expiry the enquiry in the general journal is deleted. Raises Contradiction."""
    known = client.reservations.get(message.lead_id)
    if known is not None and (
        _is_repeat(known, message) or (known.ended_as == message.outcome and known.ended_at == message.closed_at)
    ):
        return Decision(client)
    _require(client, known, message, None, "expired")
    was_handed_over = message.corrects == "expired" or (known is not None and known.ended_as == "expired")
    move = tasks.take_back(message, cause) if was_handed_over else tasks.update_journal(message, cause)
    ended = replace(
        known or _known(message),
        ended_at=message.closed_at,
        ended_as=message.outcome,
        history_count=message.history_count,
    )
    after = client.with_reservation(ended)
    if message.outcome == "won":
        return advance(after, now, policy, move)
    if client.hold is not None and client.hold.lead_id == message.lead_id:
        after = replace(after, hold=None)
    return advance(after, now, policy, move, *tasks.unmark(client, message.lead_id))


def reservation_reopened(
    client: ClientState, message: ReservationReopened, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record that the sale is void: the hold is live for the rest of its term. Raises Contradiction."""
    known = client.reservations.get(message.lead_id)
    if known is not None and (_is_repeat(known, message) or (message.history_count is None and not known.ended_as)):
        return Decision(client)
    _require(client, known, message, "won")
    after = _with_hold(client, message).with_reservation(
        replace(known or _known(message), ended_at=None, ended_as=None, history_count=message.history_count)
    )
    cleared = tasks.clear_general_journal(client, message.lead_id, cause)
    return advance(after, now, policy, *cleared, tasks.update_journal(message, cause))


def reservation_reinstated(
    client: ClientState, message: ReservationReinstated, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the fresh term, and request the move back to the partner journal. Raises Contradiction."""
    known = client.reservations.get(message.lead_id)
    if known is not None and (_is_repeat(known, message) or known.confirmed_at == message.confirmed_at):
        return Decision(client)
    # The gateway has recorded the hold as live when it granted the return.
    _require(client, known, message, None, "expired")
    after = _with_hold(client, message).with_reservation(_known(message))
    cleared = tasks.clear_general_journal(client, message.lead_id, cause)
    return advance(after, now, policy, *cleared, tasks.take_back(message, cause), *tasks.mark_again(after, message))


def _is_repeat(known: KnownReservation, message: AnyReservation) -> bool:
    counts = known.history_count, message.history_count
    return counts[0] is not None and counts[1] is not None and counts[1] <= counts[0]


def _require(client: ClientState, known: KnownReservation | None, message: AnyReservation, *states: str | None) -> None:
    """Raise Contradiction unless the reservation is in one of `states` (None: live) and no other lead holds the client
    instead of it. A reservation that the gateway does not know may be in any state."""
    if known is not None and known.ended_as not in states:
        raise Contradiction(f"{type(message).__name__} of lead {message.lead_id}, which is {known.ended_as or 'live'}")
    hold = client.hold
    is_over = known is not None and known.ended_at is not None
    if hold is not None and hold.lead_id != message.lead_id and not is_over:
        raise Contradiction(f"{type(message).__name__} of lead {message.lead_id}, lead {hold.lead_id} has the hold")


def _with_hold(client: ClientState, message: ReservationReopened | ReservationReinstated) -> ClientState:
    """The client held by the message's lead. Raises Contradiction if another lead holds the client."""
    hold = client.hold
    if hold is not None and hold.lead_id == message.lead_id:
        return client
    if hold is not None:
        reservation = client.reservations.get(hold.lead_id)
        if reservation is None or reservation.ended_at is None:
            raise Contradiction(f"{type(message).__name__} of lead {message.lead_id}, lead {hold.lead_id} holds")
    return replace(client, hold=Hold(message.lead_id, message.partner_id, message.confirmed_at))


def _known(message: AnyReservation) -> KnownReservation:
    return KnownReservation(
        message.lead_id,
        message.confirmed_at,
        message.reserved_until,
        message.reserved_through,
        history_count=message.history_count,
    )


# --- results of writes to 1C ---


def journal_entered(
    client: ClientState, result: JournalEntered, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the entry. Enquiries that the second check found are collisions to publish; the hold stays."""
    known = replace(client.reservations[result.lead_id], journal_entered_at=result.at)
    entered = client.with_reservation(known)
    return advance(with_checked_enquiries(entered, result.enquiries, result.at, result.watermark), now, policy)


def journal_updated(client: ClientState, _: JournalUpdated, __: Cause, ___: datetime) -> Decision[ClientState]:
    """Nothing follows from an update; the work row records it."""
    return Decision(client)


def handed_over(client: ClientState, result: HandedOver, _: Cause, __: datetime) -> Decision[ClientState]:
    """Record the client's enquiry in the general journal."""
    known = client.reservations[result.lead_id]
    moved = replace(known, handed_over_at=result.at, enquiry_ref=result.enquiry_ref)
    return Decision(client.with_reservation(moved))


def taken_back(client: ClientState, result: TakenBack, _: Cause, __: datetime) -> Decision[ClientState]:
    """Record that the client is in the partner journal again."""
    known = client.reservations[result.lead_id]
    moved = replace(known, journal_entered_at=result.at, handed_over_at=None, enquiry_ref=None)
    return Decision(client.with_reservation(moved))
