"""Sales in 1C: which lead a sale is linked to, and the events about the sale and its cancellation."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from chassis.decision import Cause, Decision, Event
from contracts.verdicts import DealCancelled, DealClosed
from services.onec_gateway.domain.arbiter import advance
from services.onec_gateway.domain.inputs import SaleSeen
from services.onec_gateway.domain.model import ClientState, Deal, Policy


def sale_seen(client: ClientState, seen: SaleSeen, _: Cause, now: datetime, *, policy: Policy) -> Decision[ClientState]:
    """Publish deal-closed once for a sale to a held client, and deal-cancelled once if that sale is void later.

    The reply is the id of the lead that the sale is linked to, None if it is linked to none.
    """
    known = client.deals.get(seen.sale.ref)
    if known is None:
        lead_id = seen.lead_id or (client.hold.lead_id if client.hold is not None else None)
        if lead_id is None or lead_id not in client.leads or seen.sale.cancelled:
            return Decision(client)
        deal = Deal(seen.sale, lead_id, seen.at, seen.who)
        return _decide(client, deal, _deal_closed(client, deal), now, policy)
    if seen.sale.cancelled and known.cancelled_at is None:
        cancelled = replace(known, cancelled_at=seen.at)
        return _decide(client, cancelled, _deal_cancelled(client, cancelled, seen.at), now, policy)
    return Decision(client, reply=known.lead_id)


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
    return DealClosed(**_base_fields(client, deal), noticed_at=deal.noticed_at, linked_by=deal.linked_by)


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
