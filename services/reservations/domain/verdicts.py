"""Rules for the gateway's verdicts on leads and on reinstatements."""

from datetime import datetime

from chassis.decision import Cause, Decision
from contracts.verdicts import LeadConfirmed, LeadRejected, ReinstatementConfirmed, ReinstatementRejected
from services.reservations.domain import lifecycle
from services.reservations.domain.model import ClientState, RejectedLead
from services.reservations.domain.policy import Policy
from services.reservations.domain.requests import advance, answered, refuse


class UnknownReturn(Exception):
    """The gateway granted a return that this service has no request or no reservation for. The input is parked: the
    gateway now holds the client for a reservation that nobody ends."""


def lead_confirmed(
    client: ClientState, message: LeadConfirmed, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Open a reservation for a confirmed lead. Raises SecondLiveReservation."""
    if message.lead_id in client.reservations:
        return Decision(client)
    lifecycle.require_none_live(client, message.lead_id)
    recorder = policy.recorder(now)
    client, opened = lifecycle.open_reservation(client, message, cause, policy, recorder)
    return advance(client, policy, recorder, (opened,))


def lead_rejected(
    client: ClientState, message: LeadRejected, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Remember a rejected lead: all requests about it are refused."""
    if message.lead_id in client.rejected:
        return Decision(client)
    recorder = policy.recorder(now)
    client = client.with_rejected(message.lead_id, RejectedLead(message.partner_id, message.received_at))
    client = recorder.record(
        client,
        "rejected",
        message.lead_id,
        partner=message.partner_id,
        reason=message.reason,
        received=message.received_at.isoformat(),
        **lifecycle.grounds_of(message),
    )
    return advance(client, policy, recorder)


def reinstatement_confirmed(
    client: ClientState, message: ReinstatementConfirmed, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Reserve the client again for a fresh term. Raises SecondLiveReservation, UnknownReturn.

    The return of a client who was erased meanwhile is refused, and the refusal makes the gateway end the hold.
    """
    request, before = client.requests.get(message.request_id), client.reservations.get(message.lead_id)
    if before is None or request is None:
        raise UnknownReturn(f"request {message.request_id} of lead {message.lead_id}")
    if request.state != "forwarded":
        return Decision(client)
    live = client.live()
    if live is not None and live.lead_id != before.lead_id:
        raise lifecycle.SecondLiveReservation(f"lead {message.lead_id}")
    recorder = policy.recorder(now)
    if before.client is None:
        client, events = refuse(client, request, "unknown-lead", recorder)
        return advance(client, policy, recorder, events)
    client, reinstated = lifecycle.reinstate(answered(client, request), before, message, cause, policy, recorder)
    return advance(client, policy, recorder, (reinstated,))


def reinstatement_rejected(
    client: ClientState, message: ReinstatementRejected, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Refuse the return: another partner holds the client by now, or the client has bought."""
    request = client.requests.get(message.request_id)
    if request is None or request.state != "forwarded":
        return Decision(client)
    recorder = policy.recorder(now)
    client, events = refuse(client, request, message.reason, recorder)
    return advance(client, policy, recorder, events)
