"""A refusal: a reply for an HTTP client, an event for a portal that wrote to its topic."""

from datetime import datetime
from typing import TypeVar

from chassis.decision import Cause, Decision, Event
from contracts.leads import RequestRefused
from services.intake.domain.idempotency import find_recorded, is_conflict
from services.intake.domain.model import ClientState, FaultyRequest, Origin, RecordedRequest, Refused

S = TypeVar("S")


def refuse(
    state: S,
    origin: Origin,
    reason: str,
    now: datetime,
    *,
    field: str | None = None,
    partner_id: str | None = None,
    retry_at: datetime | None = None,
) -> Decision[S]:
    """Refuse a request with a published code; the state stays as it is. `field`: path of the field to change.

    Every refusal has the reply `Refused`. A request from a topic also yields the event `request-refused`, because
    nobody reads its reply.
    """
    if origin.over_http:
        return Decision(state, reply=Refused(reason, retry_at))
    event = RequestRefused(
        request_id=origin.request_id,
        portal=origin.portal,
        portal_request_id=origin.key,
        request_type=origin.kind,
        reason=reason,
        field=field,
        partner_id=partner_id,
        refused_at=now,
    )
    return Decision(state, (Event(event),), reply=Refused(reason))


def refuse_faulty_request(state: ClientState, request: FaultyRequest, _: Cause, now: datetime) -> Decision[ClientState]:
    """Refuse a request on a topic for its text, and record the refusal. Replies with `Refused`."""
    origin = request.origin
    recorded = find_recorded(state.requests, origin)
    if recorded is None:
        refused = refuse(state, origin, request.refusal, now, field=request.field)
        return refused._replace(state=state.with_request(RecordedRequest(origin, request.refusal)))
    if is_conflict(recorded, origin):
        return refuse(state, origin, "id-conflict", now)
    return Decision(state, reply=Refused(request.refusal))
