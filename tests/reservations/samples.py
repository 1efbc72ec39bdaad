"""Messages for tests, and the history of a few clients on a running service."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from contracts.leads import ReturnRequested, RewardClaimed, RewardSettlementRequested
from contracts.verdicts import DealCancelled, DealClosed, LeadConfirmed, LeadRejected
from tests.reservations.harness import MOSCOW, Harness


def confirmed(client: int, partner: str = "anna") -> LeadConfirmed:
    now = datetime.now(UTC)
    return LeadConfirmed(
        lead_id=uuid.uuid4(),
        client_key=f"k1:{client:064x}",
        partner_id=partner,
        client="sealed",
        received_at=now,
        checked_at=now,
        confirmed_at=now,
    )


def request_fields(lead: LeadConfirmed) -> dict[str, Any]:
    return {
        "lead_id": lead.lead_id,
        "client_key": lead.client_key,
        "partner_id": lead.partner_id,
        "request_id": uuid.uuid4(),
        "portal": "demo",
        "portal_request_id": "r-1",
        "requested_at": datetime.now(UTC),
    }


def sale(lead: LeadConfirmed, deal: str, amount: str = "12450000.00") -> DealClosed:
    return DealClosed(
        lead_id=lead.lead_id,
        client_key=lead.client_key,
        partner_id=lead.partner_id,
        deal=deal,
        amount=Decimal(amount),
        currency="RUB",
        contract_number=f"ДДУ-{deal}",
        sold_on=datetime.now(MOSCOW).date(),
        noticed_at=datetime.now(UTC),
    )


def cancelled(closed: DealClosed) -> DealCancelled:
    return DealCancelled(**closed.model_dump(exclude={"noticed_at", "linked_by"}), cancelled_at=datetime.now(UTC))


def settlement(lead: LeadConfirmed, claim: uuid.UUID, amount: str) -> RewardSettlementRequested:
    return RewardSettlementRequested(
        **request_fields(lead),
        claim_id=claim,
        decision="accrue",
        amount=Decimal(amount),
        currency="RUB",
        reason="2 % по договору",
        decided_by="accountant-1",
    )


def rejected(client: int, partner: str = "anna") -> LeadRejected:
    now = datetime.now(UTC)
    return LeadRejected(
        lead_id=uuid.uuid4(),
        client_key=f"k1:{client:064x}",
        partner_id=partner,
        client="sealed",
        received_at=now,
        rejected_at=now,
        reason="known-to-builder",
    )


async def sold_client(reservations: Harness) -> LeadConfirmed:
    """Start the service and play four leads through it; return the lead of a client who was returned and bought.

    The reward of that lead is accrued and corrected. Beside it there are a live reservation of partner boris and two
    rejected leads.
    """
    sold, live, claim = confirmed(1), confirmed(2, "boris"), uuid.uuid4()
    await reservations.start()
    await reservations.confirm(sold, live)
    await reservations.publish(rejected(3), rejected(4, "boris"), source="/truce/onec_gateway")
    await reservations.published("reservation-opened", 2)
    await reservations.publish(ReturnRequested(**request_fields(sold), manager="manager-3", reason="ждёт ипотеку"))
    await reservations.published("reservation-extended")
    await reservations.publish(sale(sold, "d1"), source="/truce/onec_gateway")
    await reservations.published("reservation-closed")
    await reservations.publish(RewardClaimed(**request_fields(sold), claim_id=claim))
    await reservations.published("reward-claim-accepted")
    await reservations.publish(settlement(sold, claim, "249000.00"), settlement(sold, claim, "200000.00"))
    await reservations.published("reward-accrued", 2)
    return sold
