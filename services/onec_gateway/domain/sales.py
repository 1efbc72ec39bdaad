"""Sales in 1C: which lead a sale is linked to, and the events about the sale and its cancellation."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.decision import Cause, Decision, Event
from contracts.verdicts import DealCancelled, DealClosed
from services.onec_gateway.domain.arbiter import advance
from services.onec_gateway.domain.inputs import NotApplied, SaleSeen
from services.onec_gateway.domain.model import ClientState, Deal, Policy


def sale_seen(client: ClientState, seen: SaleSeen, _: Cause, now: datetime, *, policy: Policy) -> Decision[ClientState]:
    """Publish deal-closed once for a sale to a held client, and deal-cancelled once if that sale is void later.

    The reply is the id of the lead that the sale is linked to, None if it is linked to none; or NotApplied for a link
    by hand that is refused.
    """
    known = client.deals.get(seen.sale.ref)
    if seen.lead_id is not None and (refusal := _refusal(client, seen, seen.lead_id)) is not None:
        return Decision(client, reply=refusal)
    if known is None:
        lead_id = seen.lead_id or (client.hold.lead_id if client.hold is not None else None)
        if lead_id is None or lead_id not in client.leads or seen.sale.cancelled:
            return Decision(client)
        deal = Deal(seen.sale, lead_id, seen.at, seen.who, linked_why=seen.why)
        return _decide(client, deal, _deal_closed(client, deal), now, policy)
    if seen.sale.cancelled and known.cancelled_at is None:
        cancelled = replace(known, cancelled_at=seen.at)
        return _decide(client, cancelled, _deal_cancelled(client, cancelled, seen.at), now, policy)
    return Decision(client, reply=known.lead_id)


def _refusal(client: ClientState, seen: SaleSeen, lead_id: UUID) -> NotApplied | None:
    """Why a person may not link the sale to this lead; None if it is allowed, or done already.

    A lead without a reservation earns nothing, and a sale cannot be linked to another lead later.
    """
    known, lead = client.deals.get(seen.sale.ref), client.leads.get(lead_id)
    if lead is None:
        return NotApplied("unknown-lead")
    if known is not None:
        return None if known.lead_id == lead_id else NotApplied("already-linked", lead_id=known.lead_id)
    if seen.sale.cancelled:
        return NotApplied("deal-cancelled")
    if lead.verdict is None or lead.verdict.reason is not None:
        return NotApplied("not-confirmed", "rejected" if lead.verdict is not None else "check")
    return None


def _decide(
    client: ClientState, deal: Deal, message: DealClosed | DealCancelled, now: datetime, policy: Policy
) -> Decision[ClientState]:
    lead = client.leads[deal.lead_id]
    # A sale is linked to at most one lead. The event's id is derived from the sale's reference, so an event about the
    # same sale always has the same id.
    cause = Cause(f"deal/{deal.sale.ref}", lead.cause.correlation, lead.cause.traceparent)
    decision = advance(client.with_deal(deal), now, policy)
    return decision._replace(events=(*decision.events, Event(message, cause)), reply=deal.lead_id)


def _deal_closed(client: ClientState, deal: Deal) -> DealClosed:
    by_hand = {"linked_by": deal.linked_by, "linked_why": deal.linked_why}
    return DealClosed(**_base_fields(client, deal), noticed_at=deal.noticed_at, **by_hand)


def _deal_cancelled(client: ClientState, deal: Deal, cancelled_at: datetime) -> DealCancelled:
    return DealCancelled(**_base_fields(client, deal), cancelled_at=cancelled_at)


def _base_fields(client: ClientState, deal: Deal) -> dict[str, Any]:
    lead, sale = client.leads[deal.lead_id], deal.sale
    return {
        "lead_id": lead.lead_id,
        "client_key": client.key,
        "partner_id": lead.partner_id,
        "deal": sale.ref,
        "amount": sale.amount,
        "currency": sale.currency,
        "contract_number": sale.contract_number,
        "sold_on": sale.sold_on,
    }
