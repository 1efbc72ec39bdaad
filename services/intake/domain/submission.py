"""Who may submit a client, and the order in which leads are received."""

from dataclasses import replace
from datetime import datetime, timedelta

from chassis.decision import Cause, Decision, Event
from contracts.leads import LeadSubmitted
from services.intake.domain.idempotency import find_recorded, is_conflict
from services.intake.domain.model import ClientState, Lead, RecordedRequest, Refused, Submission, Taken
from services.intake.domain.quota import QuotaUsage
from services.intake.domain.refusals import refuse

_TICK = timedelta(microseconds=1)


def submit_lead(state: ClientState, submission: Submission, _: Cause, now: datetime) -> Decision[ClientState]:
    """Record the lead with its number and receipt time and publish `lead-submitted`, or refuse it with a reason.

    Replies with `Taken` or `Refused`. Receipt times of one client strictly grow, whatever the clock does.
    """
    origin = submission.origin
    recorded = find_recorded(state.requests, origin)
    if recorded is not None:
        return _replay(state, submission, recorded, now)
    usage, *usages = state.quota_usages or (QuotaUsage(),)
    state = replace(state, quota_usages=tuple(usages))
    over_quota, retry_at = usage.refusal(now)
    reason = _objection(state, submission) or over_quota
    if reason is not None:
        refused = refuse(
            state,
            origin,
            reason,
            now,
            partner_id=submission.partner_id,
            retry_at=retry_at if reason == over_quota else None,
        )
        if origin.over_http:
            return refused
        return refused._replace(state=state.with_request(RecordedRequest(origin, reason)))
    assert submission.consent is not None
    number, *numbers = state.numbers
    received_at = now if state.last_received_at is None else max(now, state.last_received_at + _TICK)
    lead = Lead(
        lead_id=origin.lead_id,
        number=number,
        portal=origin.portal,
        partner_id=submission.partner_id,
        client_key=submission.client_key,
        client=submission.client,
        received_at=received_at,
    )
    event = LeadSubmitted(
        lead_id=lead.lead_id,
        client_key=lead.client_key,
        partner_id=lead.partner_id,
        client=submission.client,
        received_at=received_at,
        number=number,
        consent=submission.consent,
    )
    after = replace(state, last_received_at=received_at, numbers=tuple(numbers)).with_lead(lead)
    after = after.with_request(RecordedRequest(origin, lead_id=lead.lead_id, done_at=now))
    return Decision(after, (Event(event),), reply=Taken(lead))


def _replay(
    state: ClientState, submission: Submission, recorded: RecordedRequest, now: datetime
) -> Decision[ClientState]:
    if is_conflict(recorded, submission.origin):
        return refuse(state, submission.origin, "id-conflict", now, partner_id=submission.partner_id)
    if recorded.lead_id is not None:
        return Decision(state, reply=Taken(state.leads[recorded.lead_id], replayed=True))
    return Decision(state, reply=Refused(recorded.reason or "id-conflict"))


def _objection(state: ClientState, submission: Submission) -> str | None:
    """The code of the first reason to refuse a submission, quota aside; None when there is none."""
    origin = submission.origin
    # HTTP checks the scope before it decodes the request.
    if not origin.over_http and "leads" not in state.scopes.get(origin.portal, ()):
        return "forbidden"
    if submission.refusal is not None:
        return submission.refusal
    if submission.consent is None:
        return "no-consent"
    status = state.partner_statuses.get(submission.partner_id)
    if status is None:
        return "unknown-partner"
    return None if status == "active" else "partner-suspended"
