"""A refusal: a reply for an HTTP client, an event for a portal that wrote to its topic."""

from datetime import datetime
from typing import TypeVar

from chassis.decision import Decision, Event
from contracts.leads import RequestRefused
from services.intake.domain.model import Origin, Refused

S = TypeVar("S")


def refuse(
    state: S,
    origin: Origin,
    reason: str,
    now: datetime,
    *,
    partner_id: str | None = None,
    retry_at: datetime | None = None,
) -> Decision[S]:
    """Refuse a request with a published code; the state stays as it is.

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
        partner_id=partner_id,
        refused_at=now,
    )
    return Decision(state, (Event(event),), reply=Refused(reason))
