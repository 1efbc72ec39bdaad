"""Registration of partners: the agreement and whether the partner may submit clients."""

from dataclasses import replace
from datetime import datetime

from chassis.decision import Cause, Decision, Event
from contracts.partners import Partner
from contracts.portal import Agreement
from services.intake.domain.idempotency import find_recorded, is_conflict
from services.intake.domain.model import PartnerRegistration, PartnerState, RecordedRequest, Registered
from services.intake.domain.refusals import refuse


def register_partner(
    state: PartnerState, registration: PartnerRegistration, _: Cause, now: datetime
) -> Decision[PartnerState]:
    """Record a partner's agreement and status; publish `partner` only when something changed.

    The replay of a registration that was read before the newest registration changes nothing. Replies with `Registered`
    or `Refused`.
    """
    origin = registration.origin
    recorded = find_recorded(state.requests, origin)
    if recorded is not None:
        if is_conflict(recorded, origin):
            return refuse(state, origin, "id-conflict", now, partner_id=registration.partner_id)
        return Decision(state, reply=Registered(created=False))
    reason = registration.refusal
    if not origin.over_http:
        # HTTP checks the scope before it decodes the request, and sends every registration under an id of its own.
        if "partners" not in state.scopes.get(origin.portal, ()):
            reason = "forbidden"
        request = RecordedRequest(origin, reason, done_at=now)
        state = replace(state, requests={**state.requests, (origin.portal, origin.key): request})
    if reason is not None:
        return refuse(state, origin, reason, now, partner_id=registration.partner_id)
    at = registration.first_read_at
    if at is not None and state.registered_at is not None and at < state.registered_at:
        return Decision(state, reply=Registered(created=False), superseded=True)
    state = replace(state, registered_at=at or now)
    before = state.partner
    if before is not None and _content(before) == _content(registration):
        return Decision(state, reply=Registered(created=False))
    event = Partner(
        partner_id=registration.partner_id,
        person=registration.person,
        agreement=registration.agreement,
        status=registration.status,
    )
    after = replace(state, partner=registration)
    return Decision(after, (Event(event),), reply=Registered(created=before is None))


def _content(registration: PartnerRegistration) -> tuple[str, Agreement, str]:
    return registration.digest, registration.agreement, registration.status
