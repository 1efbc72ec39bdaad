"""Requests about a lead that was taken before: return it, withdraw it, claim a reward, settle a claim.

Intake finds the lead and publishes the request; reservations decides, and its events complete the request.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from chassis.decision import Cause, Decision, Event
from contracts.leads import ReturnRequested, RewardClaimed, RewardSettlementRequested, WithdrawalRequested
from services.intake.domain.idempotency import find_recorded, is_conflict
from services.intake.domain.model import Accepted, ClientState, Lead, Origin, RecordedRequest, Refused, Scope
from services.intake.domain.refusals import refuse

FoldedName = tuple[str, ...]
"""The sorted words of a name, folded for comparison."""


@dataclass(frozen=True, slots=True)
class Return:
    """A partner manager returns a client to the partner who reserved it; phone and name identify the client.

    `again`: a second return shortly after the first is meant. `refusal` is the code of a refusal that follows from the
    content alone; `client_key` and `name` are empty then.
    """

    origin: Origin
    partner_id: str
    manager: str
    reason: str
    client_key: str = ""
    name: FoldedName = ()
    refusal: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The partner, or a manager, withdraws a lead. One of `partner_id` and `manager` is set, or `refusal` is."""

    origin: Origin
    lead_id: UUID
    partner_id: str | None
    manager: str | None
    reason: str
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class RewardClaim:
    """A partner claims the reward for a sale to the client of a lead."""

    origin: Origin
    lead_id: UUID
    partner_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class RewardSettlement:
    """The builder accrues or declines the reward of a claim. `refusal`: accrual without amount or currency.

    `first_read_at`: when the record was read and became a dead letter; None for a request that is no replay.
    """

    origin: Origin
    claim_id: UUID
    decision: Literal["accrue", "decline"]
    amount: Decimal | None
    currency: str | None
    reason: str
    decided_by: str
    refusal: str | None = None
    first_read_at: datetime | None = None


LeadRequest = Return | Withdrawal | RewardClaim | RewardSettlement


def take_lead_request(
    state: ClientState, request: LeadRequest, _: Cause, now: datetime, *, name_of: Callable[[Lead], FoldedName]
) -> Decision[ClientState]:
    """Find the lead of a request and publish the request to reservations, or refuse it. Replies Accepted or Refused.

    `name_of` opens a lead's sealed client and returns its folded name; only returns call it.
    """
    origin = request.origin
    partner_id = None if isinstance(request, RewardSettlement) else request.partner_id
    recorded = find_recorded(state.requests, origin)
    if recorded is not None:
        if is_conflict(recorded, origin):
            return refuse(state, origin, "id-conflict", now, partner_id=partner_id)
        if recorded.reason is not None and recorded.lead_id is None:
            return Decision(state, reply=Refused(recorded.reason))
        return Decision(state, reply=Accepted(origin.request_id, replayed=True))
    lead, reason = _find_lead(state, request, name_of)
    if lead is None:
        refused = refuse(state, origin, reason, now, partner_id=partner_id)
        if origin.over_http:
            return refused
        return refused._replace(state=state.with_request(RecordedRequest(origin, reason)))
    result = {"claim_id": str(origin.request_id)} if isinstance(request, RewardClaim) else None
    after = state.with_request(RecordedRequest(origin, lead_id=lead.lead_id, result=result))
    return Decision(after, (Event(_event(request, lead, now)),), reply=Accepted(origin.request_id))


def _find_lead(
    state: ClientState, request: LeadRequest, name_of: Callable[[Lead], FoldedName]
) -> tuple[Lead | None, str]:
    """The lead that a request is about and an empty text; or None and the code of the refusal."""
    scope: Scope = "rewards" if isinstance(request, (RewardClaim, RewardSettlement)) else "returns"
    if isinstance(request, Withdrawal) and request.manager is None:
        scope = "leads"
    # HTTP checks the scope before it decodes the request.
    if not request.origin.over_http and scope not in state.scopes.get(request.origin.portal, ()):
        return None, "forbidden"
    if not isinstance(request, RewardClaim) and request.refusal is not None:
        return None, request.refusal
    if isinstance(request, Return):
        return _find_returned_lead(state, request, name_of)
    lead_id = request.lead_id if not isinstance(request, RewardSettlement) else _lead_of_claim(state, request.claim_id)
    lead = state.leads.get(lead_id) if lead_id is not None else None
    # To a partner's portal a lead of another portal looks like an unknown lead.
    if lead is None or (scope == "leads" and lead.portal != request.origin.portal):
        return None, "unknown-lead"
    partner_id = None if isinstance(request, RewardSettlement) else request.partner_id
    if partner_id is not None and partner_id != lead.partner_id:
        return None, "not-yours"
    return lead, ""


def _find_returned_lead(
    state: ClientState, request: Return, name_of: Callable[[Lead], FoldedName]
) -> tuple[Lead | None, str]:
    """The partner's newest lead of the client that had a reservation, if the name matches."""
    reserved = [
        lead
        for lead in state.leads.values()
        if lead.client_key == request.client_key
        and lead.partner_id == request.partner_id
        and lead.confirmed_at is not None
        and lead.status != "withdrawn"
    ]
    if not reserved:
        return None, "unknown-lead"
    newest = max(reserved, key=lambda lead: lead.number)
    # The refusal does not show how close the name was, nor the recorded name.
    return (newest, "") if name_of(newest) == request.name else (None, "name-mismatch")


def _lead_of_claim(state: ClientState, claim_id: UUID) -> UUID | None:
    claim = state.request_by_id(claim_id)
    return claim.lead_id if claim is not None and claim.origin.kind == "claim-reward.v1" else None


def _event(
    request: LeadRequest, lead: Lead, now: datetime
) -> ReturnRequested | WithdrawalRequested | RewardClaimed | RewardSettlementRequested:
    """The event with which intake publishes an accepted request."""
    base_fields: dict[str, Any] = {
        "lead_id": lead.lead_id,
        "client_key": lead.client_key,
        "partner_id": lead.partner_id,
        "request_id": request.origin.request_id,
        "portal": request.origin.portal,
        "portal_request_id": request.origin.key,
        "requested_at": now,
    }
    match request:
        case Return():
            return ReturnRequested(**base_fields, manager=request.manager, reason=request.reason, again=request.again)
        case Withdrawal():
            return WithdrawalRequested(**base_fields, manager=request.manager, reason=request.reason)
        case RewardClaim():
            return RewardClaimed(**base_fields, claim_id=request.origin.request_id, note=request.note)
        case RewardSettlement():
            # A decision that was in the dead letters must not replace a later decision.
            made_at = request.first_read_at or now
            return RewardSettlementRequested(
                **{**base_fields, "requested_at": made_at},
                claim_id=request.claim_id,
                decision=request.decision,
                amount=request.amount,
                currency=request.currency,
                reason=request.reason,
                decided_by=request.decided_by,
            )
