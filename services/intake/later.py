"""What is asked about a lead afterwards: to return it, to withdraw it, a reward for it.

Intake finds the lead and passes the request on; reservations decides, and that shows under the request's id.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from chassis.decision import Cause, Decision, Event
from contracts.leads import (
    RequestRefused,
    ReturnRequested,
    RewardClaimed,
    RewardSettlementRequested,
    WithdrawalRequested,
)
from services.intake.domain import Desk, Lead, Origin, Refused, Request, Scope

Name = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Return:
    """`name` is folded for comparison, `refusal` what the content alone says against it."""

    origin: Origin
    partner_id: str
    manager: str
    reason: str
    client_key: str = ""
    name: Name = ()
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """By the partner, or by a manager."""

    origin: Origin
    lead_id: UUID
    partner_id: str | None
    manager: str | None
    reason: str
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    origin: Origin
    lead_id: UUID
    partner_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Settlement:
    origin: Origin
    claim_id: UUID
    decision: Literal["accrue", "decline"]
    amount: Decimal | None
    currency: str | None
    reason: str
    decided_by: str
    refusal: str | None = None


Later = Return | Withdrawal | Claim | Settlement


@dataclass(frozen=True, slots=True)
class Passed:
    """Taken, now or, `replayed`, at an earlier time. A claim's id is that of its request."""

    request_id: UUID
    replayed: bool = False


def asked_later(
    desk: Desk, asked: Later, _: Cause, now: datetime, *, name_of: Callable[[Lead], Name]
) -> Decision[Desk]:
    """Find the lead and pass the request on, or refuse it. `name_of` opens a lead's client; only returns need it."""
    origin = asked.origin
    earlier = desk.requests.get((origin.portal, origin.key))
    if earlier is not None:
        if earlier.origin.digest != origin.digest or earlier.origin.kind != origin.kind:
            return _refuse(desk, asked, "id-conflict", now)
        if earlier.reason is not None and earlier.lead_id is None:
            return Decision(desk, reply=Refused(earlier.reason))
        return Decision(desk, reply=Passed(origin.request_id, replayed=True))
    lead, reason = _lead_of(desk, asked, name_of)
    if lead is None:
        refused = _refuse(desk, asked, reason, now)
        return refused if origin.answered else refused._replace(state=desk.with_request(Request(origin, reason)))
    result = {"claim_id": str(origin.request_id)} if isinstance(asked, Claim) else None
    after = desk.with_request(Request(origin, lead_id=lead.lead_id, result=result))
    return Decision(after, (Event(_passed_on(asked, lead, now)),), reply=Passed(origin.request_id))


def _lead_of(desk: Desk, asked: Later, name_of: Callable[[Lead], Name]) -> tuple[Lead | None, str]:
    """The lead it is about; or None and why there is none."""
    scope: Scope = "rewards" if isinstance(asked, (Claim, Settlement)) else "returns"
    if isinstance(asked, Withdrawal) and asked.manager is None:
        scope = "leads"
    if not asked.origin.answered and scope not in desk.scopes.get(asked.origin.portal, ()):
        return None, "forbidden"
    if not isinstance(asked, Claim) and asked.refusal is not None:
        return None, asked.refusal
    if isinstance(asked, Return):
        return _returned(desk, asked, name_of)
    # The store has looked up which lead a claim is for.
    lead_id = asked.lead_id if not isinstance(asked, Settlement) else _lead_of_claim(desk, asked.claim_id)
    lead = desk.leads.get(lead_id) if lead_id is not None else None
    # To a partner's portal, leads of others are none at all.
    if lead is None or (scope == "leads" and lead.portal != asked.origin.portal):
        return None, "unknown-lead"
    partner_id = None if isinstance(asked, Settlement) else asked.partner_id
    if partner_id is not None and partner_id != lead.partner_id:
        return None, "not-yours"
    return lead, ""


def _returned(desk: Desk, asked: Return, name_of: Callable[[Lead], Name]) -> tuple[Lead | None, str]:
    reserved = [
        lead
        for lead in desk.leads.values()
        if lead.client_key == asked.client_key
        and lead.partner_id == asked.partner_id
        and lead.confirmed_at is not None
        and lead.status != "withdrawn"
    ]
    if not reserved:
        return None, "unknown-lead"
    lead = max(reserved, key=lambda one: one.number)
    # A near miss is not told from a far one, and the real name not at all.
    return (lead, "") if name_of(lead) == asked.name else (None, "name-mismatch")


def _lead_of_claim(desk: Desk, claim_id: UUID) -> UUID | None:
    claim = desk.by_id(claim_id)
    return claim.lead_id if claim is not None and claim.origin.kind == "claim-reward.v1" else None


def _passed_on(
    asked: Later, lead: Lead, now: datetime
) -> ReturnRequested | WithdrawalRequested | RewardClaimed | RewardSettlementRequested:
    about: dict[str, Any] = {
        "lead_id": lead.lead_id,
        "client_key": lead.client_key,
        "partner_id": lead.partner_id,
        "request_id": asked.origin.request_id,
        "portal": asked.origin.portal,
        "portal_request_id": asked.origin.key,
        "requested_at": now,
    }
    match asked:
        case Return():
            return ReturnRequested(**about, manager=asked.manager, reason=asked.reason)
        case Withdrawal():
            return WithdrawalRequested(**about, manager=asked.manager, reason=asked.reason)
        case Claim():
            return RewardClaimed(**about, claim_id=asked.origin.request_id, note=asked.note)
        case Settlement():
            return RewardSettlementRequested(
                **about,
                claim_id=asked.claim_id,
                decision=asked.decision,
                amount=asked.amount,
                currency=asked.currency,
                reason=asked.reason,
                decided_by=asked.decided_by,
            )


def _refuse(desk: Desk, asked: Later, reason: str, now: datetime) -> Decision[Desk]:
    """Somebody who waits gets the answer; who does not reads it on the topic."""
    if asked.origin.answered:
        return Decision(desk, reply=Refused(reason))
    event = RequestRefused(
        request_id=asked.origin.request_id,
        portal=asked.origin.portal,
        portal_request_id=asked.origin.key,
        request_type=asked.origin.kind,
        reason=reason,
        partner_id=None if isinstance(asked, Settlement) else asked.partner_id,
        refused_at=now,
    )
    return Decision(desk, (Event(event),), reply=Refused(reason))
