"""Events of the reservations service, and the results of the writes to 1C's journals that follow from them."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

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
from services.onec_gateway.domain.model import ClientState, Hold, Policy
from services.onec_gateway.domain.reservations import KnownReservation


class Contradiction(Exception):
    """An event that does not fit what the gateway knows: the hold is another lead's, or the reservation cannot get into
    this state from its present one. The record is parked: nobody may guess, and nothing is dropped."""


# --- events of the reservations service ---
#
# Reservations owns the clocks: a new end is recorded whether it is later or earlier. Every event counts the entries of
# the client's history. An event with a lower count than the newest applied event of its reservation is older, whenever
# it comes: its effect is part of the newer state, so it changes nothing. A newer event sets the state, also where an
# event between the two is still missing. An event that can follow from no such state is parked, never dropped.


def reservation_opened(
    client: ClientState, message: ReservationOpened, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record when the hold ends, and request the entry in the partner journal. Raises Contradiction."""
    if (known := client.reservations.get(message.lead_id)) is not None:
        # If a newer event came first, its own write to the partner journal made the entry.
        if _order(known, message) == "newer":
            raise _contradiction(message, "which is open already")
        return Decision(client, superseded=_order(known, message) == "older")
    _require(client, None, message)
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
    order = _order(known, message)
    if order == "older":
        return Decision(client, superseded=True)
    if order == "unknown" and known is not None and known.reserved_until == message.reserved_until:
        return Decision(client)
    _require(client, known, message, None)
    extended = replace(_with_dates(known, message), ended_at=None, ended_as=None)
    if known is not None and known.ended_at is not None:
        client = _with_hold(client, message)
    after = client.with_reservation(extended)
    return advance(after, now, policy, tasks.update_journal(message, cause), *tasks.mark_again(after, message))


def reservation_expired(
    client: ClientState, message: ReservationExpired, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record that the client is the builder's, and request the move to the general journal. Raises Contradiction.

    If a sale after the expiry is cancelled when another lead holds the client, the client stays where it is.
    """
    known = client.reservations.get(message.lead_id)
    order = _order(known, message)
    if order == "older":
        return Decision(client, superseded=True)
    if order == "unknown" and known is not None and (known.ended_as, known.ended_at) == ("expired", message.expired_at):
        return Decision(client)
    _require(client, known, message, None, "won")
    holder = client.holder()
    ended = replace(_with_dates(known, message), ended_at=message.expired_at, ended_as="expired")
    # If events between two expiries are missing, the client is in the general journal since the first.
    is_there = known is not None and known.ended_as != "won" and _is_handed_over(known)
    if is_there or (holder is not None and holder.lead_id != message.lead_id):
        return advance(client.with_reservation(ended), now, policy, tasks.update_journal(message, cause))
    ended = replace(ended, handed_over_at=None, enquiry_ref=None)
    return advance(client.with_reservation(ended), now, policy, tasks.hand_over(message, cause))


def reservation_closed(
    client: ClientState, message: ReservationClosed, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the end: `won`, the client has bought; `withdrawn`, the client is free again and the marks in 1C are taken
    off. After an expiry the enquiry in the general journal is deleted. Raises Contradiction."""
    known = client.reservations.get(message.lead_id)
    order = _order(known, message)
    if order == "older":
        return Decision(client, superseded=True)
    state = message.outcome, message.closed_at
    if order == "unknown" and known is not None and (known.ended_as, known.ended_at) == state:
        return Decision(client)
    _require(client, known, message, None, "expired")
    is_there = message.corrects == "expired" or _is_handed_over(known)
    move = tasks.take_back(message, known, cause) if is_there else tasks.update_journal(message, cause)
    ended = replace(_with_dates(known, message), ended_at=message.closed_at, ended_as=message.outcome)
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
    order = _order(known, message)
    if order == "older":
        return Decision(client, superseded=True)
    if order == "unknown" and known is not None and message.history_count is None and known.ended_as is None:
        return Decision(client)
    _require(client, known, message, "won")
    live = replace(_with_dates(known, message), ended_at=None, ended_as=None, handed_over_at=None, enquiry_ref=None)
    after = _with_hold(client, message).with_reservation(live)
    cleared = tasks.clear_general_journal(client, message.lead_id, cause)
    # The sale has moved the client back. If its event is missing, that is made up for.
    is_there = known is not None and known.ended_as != "won" and _is_handed_over(known)
    move = tasks.take_back(message, known, cause) if is_there else tasks.update_journal(message, cause)
    return advance(after, now, policy, *cleared, move)


def reservation_reinstated(
    client: ClientState, message: ReservationReinstated, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Record the fresh term, and request the move back to the partner journal. Raises Contradiction."""
    known = client.reservations.get(message.lead_id)
    order = _order(known, message)
    cleared = tasks.clear_general_journal(client, message.lead_id, cause)
    if order == "older":
        if known is None or known.ended_at is not None:
            return Decision(client, superseded=True)
        # The newer events did not move the client back from the general journal.
        current = message.model_copy(update=_dates(known))
        return Decision(client, tasks=(*cleared, tasks.take_back(current, known, cause)))
    if order == "unknown" and known is not None and known.confirmed_at == message.confirmed_at:
        return Decision(client)
    # The gateway has recorded the hold as live when it granted the return.
    _require(client, known, message, None, "expired")
    after = _with_hold(client, message).with_reservation(_known(message))
    take_back = tasks.take_back(message, known, cause)
    return advance(after, now, policy, *cleared, take_back, *tasks.mark_again(after, message))


def _order(known: KnownReservation | None, message: AnyReservation) -> Literal["older", "newer", "unknown"]:
    """Whether an event is older than the newest applied event of its reservation (or is that event), or newer.

    Unknown for the first event, and while the newest has no count: earlier versions published none, or kept none.
    """
    if known is None or known.history_count is None:
        return "unknown"
    return "newer" if message.history_count is not None and message.history_count > known.history_count else "older"


def _is_handed_over(known: KnownReservation | None) -> bool:
    """Whether the general journal has, or will get, an enquiry of the reservation's expiry."""
    return known is not None and (known.ended_as == "expired" or known.handed_over_at is not None)


def _require(client: ClientState, known: KnownReservation | None, message: AnyReservation, *states: str | None) -> None:
    """Raise Contradiction unless the event can follow, and no other lead holds the client instead of its lead.

    `states`: those from which the reservation gets into its new state (None: live). If events between may be missing,
    it may be in any state that is not final. A reservation that the gateway does not know may be in any state.
    """
    if known is not None:
        counts = known.history_count, message.history_count
        may_lack_events = counts[0] is not None and counts[1] is not None and counts[1] > counts[0] + 1
        if known.ended_as not in states and (known.ended_as == "withdrawn" or not may_lack_events):
            raise _contradiction(message, f"which is {known.ended_as or 'live'}")
    is_over = known is not None and known.ended_at is not None
    if client.hold is not None and client.hold.lead_id != message.lead_id and not is_over:
        raise _contradiction(message, f"lead {client.hold.lead_id} has the hold")


def _with_hold(
    client: ClientState, message: ReservationExtended | ReservationReopened | ReservationReinstated
) -> ClientState:
    """The client held by the message's lead. Raises Contradiction if another lead holds the client."""
    hold = client.hold
    if hold is not None and hold.lead_id == message.lead_id:
        return client
    if hold is not None:
        reservation = client.reservations.get(hold.lead_id)
        if reservation is None or reservation.ended_at is None:
            raise _contradiction(message, f"lead {hold.lead_id} has the hold")
    return replace(client, hold=Hold(message.lead_id, message.partner_id, message.confirmed_at))


def _contradiction(message: AnyReservation, but: str) -> Contradiction:
    return Contradiction(f"{type(message).__name__} of lead {message.lead_id}, {but}")


def _with_dates(known: KnownReservation | None, message: AnyReservation) -> KnownReservation:
    """What is known of the reservation, with the dates and the count of a newer event."""
    if known is None:
        return _known(message)
    return replace(known, **_dates(message), history_count=message.history_count)


def _dates(of: KnownReservation | AnyReservation) -> dict[str, Any]:
    return {
        "confirmed_at": of.confirmed_at,
        "reserved_until": of.reserved_until,
        "reserved_through": of.reserved_through,
    }


def _known(message: AnyReservation) -> KnownReservation:
    return KnownReservation(message.lead_id, **_dates(message), history_count=message.history_count)


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
    """Record that the client is out of the general journal."""
    known = client.reservations[result.lead_id]
    if known.ended_as == "expired":
        # Another lead got the client. The reference stays, so that a copy of the enquiry is not taken for it.
        return Decision(client)
    moved = replace(known, journal_entered_at=result.at, handed_over_at=None, enquiry_ref=None)
    return Decision(client.with_reservation(moved))
