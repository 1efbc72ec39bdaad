"""Rewards: who may claim one, and the partner's account, where what was wrong has an entry against it."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from chassis.decision import Event, derived_id
from contracts.leads import RewardClaimed, RewardSettlementRequested
from contracts.reservations import RewardAccrued, RewardClaimAccepted, RewardDeclined
from services.reservations.facts import Booking, Claim, Client, Deal, LedgerEntry

SALE_VOID: Final = "deal-cancelled"
_NOTHING: Final = Decimal("0.00")


def accepted(
    client: Client, message: RewardClaimed, now: datetime, history_key: bytes
) -> tuple[Client, RewardClaimAccepted] | None:
    """The claim, for the earliest sale inside the reservation that nobody has claimed; None where there is none."""
    unclaimed = [deal for deal in _sales(client, message) if deal.claim_id is None]
    if not unclaimed:
        return None
    deal = min(unclaimed, key=lambda one: (one.sold_on, one.ref))
    claim = Claim(message.claim_id, message.lead_id, message.partner_id, deal.ref)
    client = client.with_claim(claim).with_deal(replace(deal, claim_id=claim.claim_id))
    client = client.noted(history_key, now, "claim-accepted", claim.lead_id, claim=str(claim.claim_id), deal=deal.ref)
    event = RewardClaimAccepted(
        lead_id=claim.lead_id,
        client_key=client.key,
        partner_id=claim.partner_id,
        claim_id=claim.claim_id,
        request_id=message.request_id,
        deal=deal.ref,
        contract_number=deal.contract_number,
        accepted_at=now,
    )
    return client, event


def is_claimed(client: Client, message: RewardClaimed) -> bool:
    """Whether every sale there is has its claim, or another claim waits for the news of one."""
    if _sales(client, message):
        return True
    mine = (message.requested_at, message.request_id)
    return any(
        isinstance(other.message, RewardClaimed)
        and other.state == "waiting"
        and other.message.lead_id == message.lead_id
        and (other.message.requested_at, other.message.request_id) < mine
        for other in client.requests.values()
    )


def settled(
    client: Client, message: RewardSettlementRequested, now: datetime, history_key: bytes
) -> tuple[Client, tuple[RewardAccrued | RewardDeclined, ...] | str]:
    """The builder's decision in the ledger, or why it cannot be. Decided once more, it is a correction: the
    difference."""
    claim = client.claims.get(message.claim_id)
    if claim is None:
        return client, "no-sale"
    deal = client.deals[claim.deal]
    if deal.cancelled:
        return client, "no-sale"
    wanted = message.amount if message.decision == "accrue" and message.amount is not None else _NOTHING
    currency = message.currency or claim.currency or deal.currency
    if claim.state == "declined" or (claim.currency and currency != claim.currency):
        return client, "already-claimed"
    about = {
        "lead_id": claim.lead_id,
        "client_key": client.key,
        "partner_id": claim.partner_id,
        "claim_id": claim.claim_id,
        "request_id": message.request_id,
        "deal": deal.ref,
        "contract_number": deal.contract_number,
        "decided_by": message.decided_by,
        "reason": message.reason,
    }
    told: list[RewardAccrued | RewardDeclined] = []
    difference = wanted - claim.accrued
    if difference:
        kind: Booking = "accrual" if claim.state == "accepted" else "correction"
        client = _booked(
            client,
            claim,
            deal,
            kind,
            difference,
            currency,
            message.decided_by,
            message.reason,
            str(message.request_id),
            now,
        )
        told.append(RewardAccrued(**about, amount=difference, currency=currency, accrued_at=now))
    state: Literal["accrued", "declined"] = "accrued" if message.decision == "accrue" else "declined"
    if state == "declined":
        told.append(RewardDeclined(**about, declined_at=now))
    client = client.with_claim(replace(claim, state=state, accrued=wanted, currency=currency))
    client = client.noted(
        history_key,
        now,
        state,
        claim.lead_id,
        claim=str(claim.claim_id),
        who=message.decided_by,
        why=message.reason,
        amount=f"{wanted:.2f}",
        currency=currency,
    )
    return client, tuple(told)


def taken_back(client: Client, deal: Deal, now: datetime, history_key: bytes) -> tuple[Client, tuple[Event, ...]]:
    """The sale is void: what was accrued for it is taken back, and a claim under review is declined."""
    claim = client.claims.get(deal.claim_id) if deal.claim_id is not None else None
    if claim is None or claim.state == "declined":
        return client, ()
    about = {
        "lead_id": claim.lead_id,
        "client_key": client.key,
        "partner_id": claim.partner_id,
        "claim_id": claim.claim_id,
        "deal": deal.ref,
        "contract_number": deal.contract_number,
        "decided_by": "1C",
        "reason": SALE_VOID,
    }
    events: list[Event] = []
    if claim.accrued:
        client = _booked(
            client, claim, deal, "reversal", -claim.accrued, claim.currency, "1C", SALE_VOID, SALE_VOID, now
        )
        events.append(Event(RewardAccrued(**about, amount=-claim.accrued, currency=claim.currency, accrued_at=now)))
    events.append(Event(RewardDeclined(**about, declined_at=now)))
    client = client.with_claim(replace(claim, state="declined", accrued=_NOTHING))
    client = client.noted(
        history_key, now, "declined", claim.lead_id, claim=str(claim.claim_id), who="1C", why=SALE_VOID
    )
    return client, tuple(events)


def _sales(client: Client, message: RewardClaimed) -> list[Deal]:
    return [
        deal for deal in client.deals.values() if deal.lead_id == message.lead_id and deal.inside and not deal.cancelled
    ]


def _booked(
    client: Client,
    claim: Claim,
    deal: Deal,
    kind: Booking,
    amount: Decimal,
    currency: str,
    decided_by: str,
    reason: str,
    step: str,
    now: datetime,
) -> Client:
    entry = LedgerEntry(
        entry_id=derived_id(str(claim.claim_id), f"ledger/{step}"),
        partner_id=claim.partner_id,
        client_key=client.key,
        lead_id=claim.lead_id,
        claim_id=claim.claim_id,
        deal=deal.ref,
        contract_number=deal.contract_number,
        kind=kind,
        amount=amount,
        currency=currency,
        decided_by=decided_by,
        reason=reason,
        at=now,
    )
    return client._replace(booked=(*client.booked, entry))
