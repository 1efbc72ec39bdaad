"""The arbiter: who holds a client. The leads of one client are decided one at a time, in order of receipt.

The state is made of facts: leads, results of checks in 1C, the hold, events about reservations. Verdicts follow from
the facts. `advance` runs after every input and decides as many leads as the facts suffice for. So the order in which
the topics deliver the facts does not matter.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal

from chassis.decision import Cause, Decision, Event, Task
from contracts.leads import LeadSubmitted
from contracts.reservations import ReinstatementRequested, ReservationRequestRefused
from contracts.verdicts import (
    LeadCheckDelayed,
    LeadConfirmed,
    LeadRejected,
    ReinstatementConfirmed,
    ReinstatementRejected,
)
from services.onec_gateway.domain import tasks
from services.onec_gateway.domain.card_collisions import card_collisions, same_card_collisions
from services.onec_gateway.domain.card_rules import NONE, Related, held_by_others, with_baseline
from services.onec_gateway.domain.evidence import (
    changed_sighting,
    new_collisions,
    with_checked_enquiries,
    with_gone_enquiries,
)
from services.onec_gateway.domain.inputs import CheckAnswered, CheckOverdue, EnquirySeen, WaitIsOver
from services.onec_gateway.domain.model import ClientState, Hold, Lead, Policy, Verdict, WaitsFor
from services.onec_gateway.domain.reservations import Reinstatement
from services.onec_gateway.domain.verdict_rules import FREE, Pending, must_wait_for_reservations, verdict_on

Refusal = Literal["held-by-partner", "already-sold"]

_WAITS: Final[Mapping[Pending, WaitsFor]] = {
    Pending.RELATED: "related",
    Pending.EARLIER: "earlier-lead",
    Pending.BASELINE: "baseline",
}


def lead_submitted(
    client: ClientState, message: LeadSubmitted, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Put a lead into the client's queue. The same lead a second time changes nothing."""
    if message.lead_id in client.leads:
        return Decision(client)
    lead = Lead(
        lead_id=message.lead_id,
        partner_id=message.partner_id,
        client=message.client,
        received_at=message.received_at,
        number=message.number,
        cause=cause,
    )
    return advance(client.with_lead(lead), now, policy)


def reinstatement_requested(
    client: ClientState, message: ReinstatementRequested, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Put a request to reinstate a reservation into the client's queue. The same request again changes nothing."""
    if message.request_id in client.reinstatements:
        return Decision(client)
    request = Reinstatement(message.request_id, message.lead_id, message.partner_id, message.requested_at, cause)
    return advance(client.with_reinstatement(request), now, policy)


def check_answered(
    client: ClientState, answer: CheckAnswered, _: Cause, now: datetime, related: Related = NONE, *, policy: Policy
) -> Decision[ClientState]:
    """Keep the result of the check in 1C as evidence, and decide the lead if it is still undecided."""
    lead = client.leads[answer.lead_id]
    checked = replace(
        lead, checked_at=answer.checked_at, enquiries=answer.enquiries, sales=answer.sales, cards=answer.cards
    )
    client = replace(client, related=related) if related else client
    seen = with_checked_enquiries(client.with_lead(checked), answer.enquiries, answer.checked_at, answer.absent_at)
    return advance(with_gone_enquiries(seen, answer.gone, answer.checked_at), now, policy)


def wait_is_over(
    client: ClientState, message: WaitIsOver, _: Cause, now: datetime, related: Related = NONE, *, policy: Policy
) -> Decision[ClientState]:
    """Decide a lead that has waited for other clients on its cards, or for the first complete read of all cards."""
    lead = client.leads.get(message.lead_id)
    if lead is None or lead.verdict is not None:
        return Decision(client)
    if message.baseline_began is not None:
        client = client.with_lead(with_baseline(lead, message.baseline_began))
    return advance(replace(client, related=related), now, policy)


def check_overdue(client: ClientState, due: CheckOverdue, _: Cause, now: datetime) -> Decision[ClientState]:
    """Publish lead-check-delayed, once a lead and only while it is under review."""
    lead = client.leads.get(due.lead_id)
    if lead is None or lead.verdict is not None or lead.delayed_at is not None:
        return Decision(client)
    event = LeadCheckDelayed(
        lead_id=lead.lead_id,
        client_key=client.key,
        partner_id=lead.partner_id,
        client=lead.client,
        received_at=lead.received_at,
        delayed_at=now,
    )
    return Decision(client.with_lead(replace(lead, delayed_at=now)), (Event(event, lead.cause),))


def enquiry_seen(
    client: ClientState, seen: EnquirySeen, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Keep a new, changed or deleted enquiry as evidence. If it collides with a lead, the collision is published."""
    sighting = changed_sighting(client, seen)
    if sighting is None:
        return Decision(client)
    return advance(client.with_sighting(sighting), now, policy)


def return_refused(
    client: ClientState, message: ReservationRequestRefused, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """End a hold that was granted for a return which reservations could not carry out: the client stays expired.

    Otherwise the hold would never end: no reservation runs for it. Refusals of other requests change nothing.
    """
    request, hold = client.reinstatements.get(message.request_id), client.hold
    if request is None or hold is None or (hold.lead_id, hold.confirmed_at) != (request.lead_id, request.answered_at):
        return Decision(client)
    known = client.reservations.get(request.lead_id)
    if known is None or known.ended_at is not None or known.confirmed_at == hold.confirmed_at:
        return Decision(client)
    ended = replace(known, ended_at=known.reserved_until, ended_as="expired")
    return advance(client.with_reservation(ended), now, policy)


def advance(client: ClientState, now: datetime, policy: Policy, *requested: Task) -> Decision[ClientState]:
    """Decide the client's queue from its head, as far as the facts suffice.

    The head that cannot be decided stays; the input that it waits for calls this function again. `requested` are
    tasks of the input itself, which come first among the decision's tasks.
    """
    events: list[Event] = []
    calls = list(requested)
    waits_for: WaitsFor | None = None
    while (head := client.next_in_queue()) is not None:
        if isinstance(head, Reinstatement):
            client, answer = _reinstate(client, head, now)
            events.append(answer)
            continue
        if must_wait_for_reservations(client, head):
            break
        verdict = verdict_on(client, head, now, policy)
        if isinstance(verdict, Pending):
            if verdict is Pending.CHECK and not head.check_requested:
                client = client.with_lead(replace(head, check_requested=True))
                calls.append(tasks.check(head))
            waits_for = _waits_for(client, head, verdict)
            if waits_for == "same-card":
                client, collisions = same_card_collisions(client, head, now)
                events.extend(collisions)
            break
        client = client.with_lead(replace(head, verdict=verdict, waits_for=None))
        events.append(Event(_verdict_event(client.key, head, verdict), head.cause))
        if verdict.reason is None:
            client = replace(client, hold=Hold(head.lead_id, head.partner_id, verdict.at))
            client, collisions = card_collisions(client, head, policy, now)
            events.extend(collisions)
    client = _with_wait(client, waits_for)
    if client.sightings:
        client, collisions, marks = new_collisions(client, policy, now)
        events.extend(collisions)
        calls.extend(marks)
    if client.related:
        client = replace(client, related=NONE)
    return Decision(client, tuple(events), tuple(calls))


def _waits_for(client: ClientState, lead: Lead, pending: Pending) -> WaitsFor | None:
    if pending is Pending.RULING:
        return "same-card" if held_by_others(client, lead) else "people"
    return _WAITS.get(pending)


def _with_wait(client: ClientState, waits_for: WaitsFor | None) -> ClientState:
    """Record what the head of the queue waits for. The other leads wait for the head."""
    head = client.next_in_queue()
    for lead in client.leads.values():
        wanted = waits_for if lead is head else None
        if lead.verdict is None and lead.waits_for != wanted:
            client = client.with_lead(replace(lead, waits_for=wanted))
    return client


def _reinstate(client: ClientState, request: Reinstatement, now: datetime) -> tuple[ClientState, Event]:
    """Grant the client to the request's lead, unless another lead holds the client or the client has bought."""
    client = client.with_reinstatement(replace(request, answered_at=now))
    base_fields: dict[str, Any] = {
        "lead_id": request.lead_id,
        "client_key": client.key,
        "partner_id": request.partner_id,
        "request_id": request.request_id,
    }
    if (refusal := _refusal(client, request)) is not None:
        rule, reason, evidence = refusal
        rejected = ReinstatementRejected(**base_fields, rejected_at=now, reason=reason, rule=rule, evidence=evidence)
        return client, Event(rejected, request.cause)
    client = replace(client, hold=Hold(request.lead_id, request.partner_id, now))
    if (own := client.reservations.get(request.lead_id)) is not None:
        client = client.with_reinstatement(replace(request, answered_at=now, expired_at=own.ended_at))
        client = client.with_reservation(replace(own, ended_at=None, ended_as=None))
    confirmed = ReinstatementConfirmed(**base_fields, confirmed_at=now, rule=FREE)
    return client, Event(confirmed, request.cause)


def _refusal(client: ClientState, request: Reinstatement) -> tuple[str, Refusal, str | None] | None:
    """The rule by which the request is refused, the reason, and the evidence; None if it is granted."""
    hold = client.hold
    if hold is not None and hold.lead_id != request.lead_id:
        reservation = client.reservations.get(hold.lead_id)
        if reservation is None or reservation.ended_at is None:
            return "others-hold", "held-by-partner", str(hold.lead_id)
    if sold := sorted(ref for ref, deal in client.deals.items() if deal.cancelled_at is None):
        return "sale", "already-sold", sold[0]
    won = next((lead_id for lead_id, one in client.reservations.items() if one.ended_as == "won"), None)
    return ("won", "already-sold", str(won)) if won is not None else None


def _verdict_event(key: str, lead: Lead, verdict: Verdict) -> LeadConfirmed | LeadRejected:
    # A ruling without a subject was made by an earlier version before the lead waited for it, and answered nothing.
    ruling = lead.ruling if lead.ruling is not None and lead.ruling.about else None
    base_fields: dict[str, Any] = {
        "lead_id": lead.lead_id,
        "client_key": key,
        "partner_id": lead.partner_id,
        "client": lead.client,
        "received_at": lead.received_at,
        "rule": verdict.rule,
        "evidence": verdict.evidence,
        "ruled_by": ruling.who if ruling is not None else None,
        "ruled_why": ruling.why if ruling is not None else None,
    }
    if verdict.reason is None:
        return LeadConfirmed(**base_fields, checked_at=lead.checked_at or verdict.at, confirmed_at=verdict.at)
    return LeadRejected(**base_fields, rejected_at=verdict.at, reason=verdict.reason)
