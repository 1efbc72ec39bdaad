"""What a portal sees of a lead and of a request: facts recorded from events of the gateway and of reservations.

Intake commits a lead in one transaction with its `lead-submitted` event, so the lead of every later event is in the
database. An event about an unknown lead belongs to a lead of another system and changes nothing.
"""

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
    ReservationRequestRefused,
    RewardAccrued,
    RewardClaimAccepted,
    RewardDeclined,
)
from contracts.verdicts import LeadRejected
from services.intake.domain.model import ClientState

AnyReward = RewardClaimAccepted | RewardAccrued | RewardDeclined


def record_rejection(state: ClientState, event: LeadRejected, _: Cause, __: datetime) -> Decision[ClientState]:
    """Record that the gateway rejected the lead, and why; the first rejection counts."""
    lead = state.leads.get(event.lead_id)
    if lead is None or lead.rejected_at is not None:
        return Decision(state)
    return Decision(state.with_lead(replace(lead, rejected_at=event.rejected_at, reason=event.reason)))


def record_reservation(state: ClientState, event: AnyReservation, _: Cause, __: datetime) -> Decision[ClientState]:
    """Add an event of the lead's reservation to its history, and the lead's status if no newer event set it.

    A request that the event answers becomes done.
    """
    lead = state.leads.get(event.lead_id)
    if lead is None:
        return Decision(state)
    at, name = _time_and_name(event)
    detail = None if name == "expired" else event.reserved_through.isoformat()
    entry = (at.isoformat(), name, detail)
    if entry in lead.reservation_events:
        return Decision(state)
    # Events without a count were published before reservations kept histories: those were openings and expiries only.
    count = event.history_count if event.history_count is not None else int(name != "confirmed")
    entries = sorted((*lead.reservation_events, entry), key=lambda item: datetime.fromisoformat(item[0]))
    after = replace(lead, reservation_events=tuple(entries))
    if count > lead.history_count:
        after = replace(
            after,
            history_count=count,
            confirmed_at=event.confirmed_at,
            reserved_through=event.reserved_through,
            reserved_until=event.reserved_until,
            expired_at=event.expired_at if isinstance(event, ReservationExpired) else None,
            closed_at=event.closed_at if isinstance(event, ReservationClosed) else None,
            closed_as=event.outcome if isinstance(event, ReservationClosed) else None,
        )
    return Decision(_complete(state.with_lead(after), event, at, reserved_through=event.reserved_through.isoformat()))


def record_reward(state: ClientState, event: AnyReward, _: Cause, now: datetime) -> Decision[ClientState]:
    """Mark the reward claim, or the decision about a claim, that the event answers as done."""
    facts = {"claim_id": str(event.claim_id)}
    if isinstance(event, RewardAccrued):
        facts |= {"amount": f"{event.amount:.2f}", "currency": event.currency}
    return Decision(_complete(state, event, now, **facts))


def record_refusal(
    state: ClientState, event: ReservationRequestRefused, _: Cause, __: datetime
) -> Decision[ClientState]:
    """Mark a pending request that reservations refused, with the reason."""
    request = state.request_by_id(event.request_id)
    if request is None or request.done_at is not None or request.reason is not None:
        return Decision(state)
    return Decision(state.with_request(replace(request, reason=event.reason)))


def _time_and_name(event: AnyReservation) -> tuple[datetime, str]:
    """When a reservation event happened, and its name in a lead's history."""
    match event:
        case ReservationOpened():
            return event.confirmed_at, "confirmed"
        case ReservationExpired():
            return event.expired_at, "expired"
        case ReservationExtended():
            return event.extended_at, "extended"
        case ReservationReinstated():
            return event.reinstated_at, "reinstated"
        case ReservationClosed():
            return event.closed_at, event.outcome
        case ReservationReopened():
            return event.reopened_at, "reopened"


def _complete(state: ClientState, event: AnyReservation | AnyReward, at: datetime, **result: str) -> ClientState:
    """The state in which the request that `event` answers, if any, is done."""
    request_id = getattr(event, "request_id", None)
    request = state.request_by_id(request_id) if request_id is not None else None
    if request is None or request.done_at is not None:
        return state
    return state.with_request(replace(request, done_at=at, result={**(request.result or {}), **result}))
