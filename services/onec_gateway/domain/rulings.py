"""Rulings: a partner manager answers the question that only a person can answer about a lead."""

from dataclasses import replace
from datetime import datetime

from chassis.decision import Cause, Decision
from services.onec_gateway.domain.arbiter import advance
from services.onec_gateway.domain.card_rules import NONE, Related
from services.onec_gateway.domain.inputs import NotApplied, Ruled
from services.onec_gateway.domain.model import ClientState, Lead, Policy
from services.onec_gateway.domain.verdict_rules import must_wait_for_reservations, questions


def ruled(
    client: ClientState, message: Ruled, _: Cause, now: datetime, related: Related = NONE, *, policy: Policy
) -> Decision[ClientState]:
    """Answer whether an enquiry or a card in 1C blocks the lead that waits for it. All other rules decide as before.

    The reply is the lead after the ruling, or NotApplied for a lead that does not wait for people.
    """
    lead = client.leads.get(message.lead_id)
    if lead is None:
        return Decision(client, reply=NotApplied("unknown-lead"))
    informed = replace(client, related=related)
    if client.next_in_queue() is not lead or not (about := questions(informed, lead, policy)):
        return Decision(client, reply=_not_waiting(client, lead))
    ruling = replace(message.ruling, about=about)
    decision = advance(informed.with_lead(replace(lead, ruling=ruling)), now, policy)
    return decision._replace(reply=decision.state.leads[lead.lead_id])


def _not_waiting(client: ClientState, lead: Lead) -> NotApplied:
    if lead.verdict is not None:
        return NotApplied("not-waiting", "confirmed" if lead.verdict.reason is None else "rejected")
    head = client.next_in_queue()
    if head is not None and head is not lead:
        return NotApplied("not-waiting", "queue", head.lead_id)
    if must_wait_for_reservations(client, lead):
        return NotApplied("not-waiting", "reservation", client.hold.lead_id if client.hold is not None else None)
    is_checked = lead.waits_for in ("earlier-lead", "baseline")
    return NotApplied("not-waiting", lead.waits_for if is_checked else "check")
