"""The rules of the gateway and of reservations by the type of their input, as their wiring tables have them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.leads import (
    LeadSubmitted,
    ReturnRequested,
    RewardClaimed,
    RewardSettlementRequested,
    WithdrawalRequested,
)
from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
    ReservationRequestRefused,
)
from contracts.verdicts import (
    DealCancelled,
    DealClosed,
    LeadConfirmed,
    LeadRejected,
    ReinstatementConfirmed,
    ReinstatementRejected,
)
from services.onec_gateway.domain import arbiter, inputs, reservation_events, rulings
from services.onec_gateway.domain.model import ClientState as GatewayState
from services.onec_gateway.domain.model import Policy as GatewayPolicy
from services.onec_gateway.domain.model import Sale
from services.onec_gateway.domain.sales import sale_seen
from services.reservations.domain import lifecycle, requests, sales, verdicts
from services.reservations.domain.model import ClientState, TermReached, WaitOver
from services.reservations.domain.policy import Policy
from services.reservations.domain.terms import Term

__all__ = [
    "GATEWAY",
    "GATEWAY_POLICY",
    "HISTORY_KEY",
    "MOSCOW",
    "POLICY",
    "RESERVATIONS",
    "ClientState",
    "GatewayState",
    "Sale",
    "TermReached",
    "WaitOver",
    "held_until",
]

MOSCOW: Final = ZoneInfo("Europe/Moscow")
HISTORY_KEY: Final = bytes(range(32))
POLICY: Final = Policy(Term.parse("P6M"), MOSCOW, HISTORY_KEY)
GATEWAY_POLICY: Final = GatewayPolicy(clock_skew=timedelta(minutes=1))


def _without_policy(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule with an argument `policy` that it does not use."""
    return lambda *args, policy: rule(*args)  # noqa: ARG005  # the others have the argument


GATEWAY: Final[dict[type, Any]] = {
    LeadSubmitted: arbiter.lead_submitted,
    ReservationOpened: reservation_events.reservation_opened,
    ReservationExtended: reservation_events.reservation_extended,
    ReservationExpired: reservation_events.reservation_expired,
    ReservationClosed: reservation_events.reservation_closed,
    ReservationReopened: reservation_events.reservation_reopened,
    ReservationReinstated: reservation_events.reservation_reinstated,
    ReinstatementRequested: arbiter.reinstatement_requested,
    ReservationRequestRefused: arbiter.return_refused,
    inputs.CheckAnswered: arbiter.check_answered,
    inputs.JournalEntered: reservation_events.journal_entered,
    inputs.JournalUpdated: _without_policy(reservation_events.journal_updated),
    inputs.HandedOver: _without_policy(reservation_events.handed_over),
    inputs.TakenBack: _without_policy(reservation_events.taken_back),
    inputs.EnquirySeen: arbiter.enquiry_seen,
    inputs.SaleSeen: sale_seen,
    inputs.Ruled: rulings.ruled,
}
RESERVATIONS: Final[dict[type, Any]] = {
    LeadConfirmed: verdicts.lead_confirmed,
    LeadRejected: verdicts.lead_rejected,
    ReinstatementConfirmed: verdicts.reinstatement_confirmed,
    ReinstatementRejected: verdicts.reinstatement_rejected,
    DealClosed: sales.deal_closed,
    DealCancelled: sales.deal_cancelled,
    ReturnRequested: requests.requested,
    WithdrawalRequested: requests.requested,
    RewardClaimed: requests.requested,
    RewardSettlementRequested: requests.requested,
    TermReached: lifecycle.term_reached,
    WaitOver: requests.wait_over,
}


def held_until(gateway_state: GatewayState) -> tuple[UUID, datetime] | None:
    """Return the lead that holds the client in the gateway, and the first instant after its reservation."""
    holder = gateway_state.holder()
    return (holder.lead_id, gateway_state.reservations[holder.lead_id].reserved_until) if holder is not None else None
