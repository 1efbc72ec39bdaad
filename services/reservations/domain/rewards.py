"""Reward claims, and the ledger of partners' accounts."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from chassis.decision import Event, derived_id
from contracts.leads import RewardClaimed, RewardSettlementRequested
from contracts.reservations import RewardAccrued, RewardClaimAccepted, RewardDeclined
from services.reservations.domain.model import Claim, ClientState, Deal, LedgerEntry, LedgerKind
from services.reservations.domain.recorder import Recorder

SALE_VOID: Final = "deal-cancelled"
DECIDED_BY_1C: Final = "1C"
_NOTHING: Final = Decimal("0.00")


def accept(
    client: ClientState, message: RewardClaimed, recorder: Recorder
) -> tuple[ClientState, RewardClaimAccepted] | None:
    """Accept a claim for the earliest unclaimed sale inside the reservation; return None if there is none."""
    unclaimed = [deal for deal in _sales(client, message) if deal.claim_id is None]
    if not unclaimed:
        return None
    deal = min(unclaimed, key=lambda deal: (deal.sold_on, deal.ref))
    claim = Claim(message.claim_id, message.lead_id, message.partner_id, deal.ref)
    client = client.with_claim(claim).with_deal(replace(deal, claim_id=claim.claim_id))
    client = recorder.record(client, "claim-accepted", claim.lead_id, claim=str(claim.claim_id), deal=deal.ref)
    event = RewardClaimAccepted(
        **_base_fields(client, claim, deal), request_id=message.request_id, accepted_at=recorder.now
    )
    return client, event


def is_claimed(client: ClientState, message: RewardClaimed) -> bool:
    """Return whether nothing is left for this claim, once `accept` has found no unclaimed sale.

    True if the lead has sales (then all are claimed), or if an earlier claim already waits for the news of a sale.
    """
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


def settle(
    client: ClientState, message: RewardSettlementRequested, recorder: Recorder
) -> tuple[ClientState, tuple[RewardAccrued | RewardDeclined, ...] | str]:
    """Apply the builder's decision on a claim to the ledger; return the events, or the reason for a refusal.

    A second decision on the same claim is a correction: the ledger gets the difference. The same amount is refused, and
    so is a decision that was made before the last applied decision, however late it comes.
    """
    claim = client.claims.get(message.claim_id)
    if claim is None:
        return client, "no-sale"
    deal = client.deals[claim.deal]
    if deal.cancelled:
        return client, "no-sale"
    wanted = message.amount if message.decision == "accrue" and message.amount is not None else _NOTHING
    currency = message.currency or claim.currency or deal.currency
    is_same = message.decision == "accrue" and wanted == claim.accrued
    is_other_currency = bool(claim.currency) and currency != claim.currency
    if claim.state == "declined" or is_same or is_other_currency or _is_outdated(client, message):
        return client, "already-claimed"
    decision_fields = {
        **_base_fields(client, claim, deal),
        "request_id": message.request_id,
        "decided_by": message.decided_by,
        "reason": message.reason,
    }
    events: list[RewardAccrued | RewardDeclined] = []
    difference = wanted - claim.accrued
    if difference:
        entry = _ledger_entry(
            client,
            claim,
            deal,
            kind="accrual" if claim.state == "accepted" else "correction",
            amount=difference,
            currency=currency,
            decided_by=message.decided_by,
            reason=message.reason,
            step=str(message.request_id),
            at=recorder.now,
        )
        client = client.with_ledger_entry(entry)
        events.append(RewardAccrued(**decision_fields, amount=difference, currency=currency, accrued_at=recorder.now))
    state: Literal["accrued", "declined"] = "accrued" if message.decision == "accrue" else "declined"
    if state == "declined":
        events.append(RewardDeclined(**decision_fields, declined_at=recorder.now))
    client = client.with_claim(replace(claim, state=state, accrued=wanted, currency=currency))
    client = recorder.record(
        client,
        state,
        claim.lead_id,
        claim=str(claim.claim_id),
        who=message.decided_by,
        why=message.reason,
        amount=f"{wanted:.2f}",
        currency=currency,
    )
    return client, tuple(events)


def _is_outdated(client: ClientState, message: RewardSettlementRequested) -> bool:
    """Return whether a later decision on the same claim was applied already."""
    return any(
        isinstance(other.message, RewardSettlementRequested)
        and other.state == "answered"
        and other.message.claim_id == message.claim_id
        and other.message.requested_at > message.requested_at
        for other in client.requests.values()
    )


def reverse(client: ClientState, deal: Deal, recorder: Recorder) -> tuple[ClientState, tuple[Event, ...]]:
    """Decline the claim for a cancelled sale, and take back what was accrued for it."""
    claim = client.claims.get(deal.claim_id) if deal.claim_id is not None else None
    if claim is None or claim.state == "declined":
        return client, ()
    decision_fields = {
        **_base_fields(client, claim, deal),
        "decided_by": DECIDED_BY_1C,
        "reason": SALE_VOID,
    }
    events: list[Event] = []
    if claim.accrued:
        entry = _ledger_entry(
            client,
            claim,
            deal,
            kind="reversal",
            amount=-claim.accrued,
            currency=claim.currency,
            decided_by=DECIDED_BY_1C,
            reason=SALE_VOID,
            step=SALE_VOID,
            at=recorder.now,
        )
        client = client.with_ledger_entry(entry)
        accrued = RewardAccrued(
            **decision_fields, amount=-claim.accrued, currency=claim.currency, accrued_at=recorder.now
        )
        events.append(Event(accrued))
    events.append(Event(RewardDeclined(**decision_fields, declined_at=recorder.now)))
    client = client.with_claim(replace(claim, state="declined", accrued=_NOTHING))
    client = recorder.record(
        client, "declined", claim.lead_id, claim=str(claim.claim_id), who=DECIDED_BY_1C, why=SALE_VOID
    )
    return client, tuple(events)


def _sales(client: ClientState, message: RewardClaimed) -> list[Deal]:
    """Return the sales inside the reservation of the claim's lead that are not cancelled."""
    return [
        deal for deal in client.deals.values() if deal.lead_id == message.lead_id and deal.inside and not deal.cancelled
    ]


def _base_fields(client: ClientState, claim: Claim, deal: Deal) -> dict[str, object]:
    """Return the fields that all events about a claim share."""
    return {
        "lead_id": claim.lead_id,
        "client_key": client.key,
        "partner_id": claim.partner_id,
        "claim_id": claim.claim_id,
        "deal": deal.ref,
        "contract_number": deal.contract_number,
    }


def _ledger_entry(
    client: ClientState,
    claim: Claim,
    deal: Deal,
    *,
    kind: LedgerKind,
    amount: Decimal,
    currency: str,
    decided_by: str,
    reason: str,
    step: str,
    at: datetime,
) -> LedgerEntry:
    """Build a ledger entry. `step` is unique within the claim: the entry's id is derived from it."""
    return LedgerEntry(
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
        at=at,
    )
