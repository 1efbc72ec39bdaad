"""The rules of the gateway and of reservations by the type of their input, as their wiring tables have them."""

from datetime import datetime
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
)
from contracts.verdicts import (
    DealCancelled,
    DealClosed,
    LeadConfirmed,
    LeadRejected,
    ReinstatementConfirmed,
    ReinstatementRejected,
)
from services.onec_gateway.domain import arbiter, reservation_events
from services.onec_gateway.domain.inputs import CheckAnswered, SaleSeen
from services.onec_gateway.domain.model import ClientState as GatewayState
from services.onec_gateway.domain.model import Policy as GatewayPolicy
from services.onec_gateway.domain.model import Sale
from services.onec_gateway.domain.sales import sale_seen
from services.onec_gateway.domain.tasks import CHECK
from services.reservations.domain import lifecycle, requests, sales, verdicts
from services.reservations.domain.model import ClientState, TermReached, WaitOver
from services.reservations.domain.policy import Policy
from services.reservations.domain.terms import Term

__all__ = [
    "CHECK",
    "GATEWAY",
    "GATEWAY_POLICY",
    "HISTORY_KEY",
    "MOSCOW",
    "POLICY",
    "RESERVATIONS",
    "CheckAnswered",
    "ClientState",
    "GatewayState",
    "Sale",
    "SaleSeen",
    "TermReached",
    "WaitOver",
    "held_until",
]

MOSCOW: Final = ZoneInfo("Europe/Moscow")
HISTORY_KEY: Final = bytes(range(32))
POLICY: Final = Policy(Term.parse("P6M"), MOSCOW, HISTORY_KEY)
GATEWAY_POLICY: Final = GatewayPolicy()

GATEWAY: Final[dict[type, Any]] = {
    LeadSubmitted: arbiter.lead_submitted,
    ReservationOpened: reservation_events.reservation_opened,
    ReservationExtended: reservation_events.reservation_extended,
    ReservationExpired: reservation_events.reservation_expired,
    ReservationClosed: reservation_events.reservation_closed,
    ReservationReopened: reservation_events.reservation_reopened,
    ReservationReinstated: reservation_events.reservation_reinstated,
    ReinstatementRequested: arbiter.reinstatement_requested,
    CheckAnswered: arbiter.check_answered,
    SaleSeen: sale_seen,
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
