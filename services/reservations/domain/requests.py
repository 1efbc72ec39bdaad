"""Rules for requests about a lead: returns, withdrawals, reward claims and their settlement.

Kafka keeps no order between topics, so a request may arrive before the facts that decide it: before the verdict on its
lead, or before the news of the sale. Such a request is stored and waits. Every rule that adds facts ends with
`advance`, which answers the waiting requests that can be answered now. So the result does not depend on the order in
which the topics were read.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from chassis.decision import Cause, Decision, Event
from contracts.leads import ReturnRequested, RewardClaimed, RewardSettlementRequested, WithdrawalRequested
from contracts.reservations import ReinstatementRequested, ReservationRequestRefused
from services.reservations.domain import lifecycle, rewards
from services.reservations.domain.model import ClientState, PendingRequest, Request, WaitOver
from services.reservations.domain.policy import Policy
from services.reservations.domain.recorder import Recorder

Outcome: TypeAlias = tuple[ClientState, tuple[Event, ...]]

AGAIN_AFTER: Final = timedelta(days=1)
"""For this long after a return was granted, another return of the lead must say that it is meant (`again`)."""

# The kinds of the portals' own messages, which a refusal names.
_REQUEST_TYPES: Final[dict[type, str]] = {
    ReturnRequested: "return-lead.v1",
    WithdrawalRequested: "withdraw-lead.v1",
    RewardClaimed: "claim-reward.v1",
    RewardSettlementRequested: "settle-reward.v1",
}


def requested(
    client: ClientState, message: Request, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Store a request and answer it if the facts suffice. A repeated request changes nothing."""
    if message.request_id in client.requests:
        return Decision(client)
    until = message.requested_at + policy.claim_waits if isinstance(message, RewardClaimed) else None
    client = client.with_request(PendingRequest(message, cause, until=until))
    return advance(client, policy, policy.recorder(now))


def wait_over(client: ClientState, due: WaitOver, _: Cause, now: datetime, *, policy: Policy) -> Decision[ClientState]:
    """Rule of the clock: refuse a reward claim that has waited for the news of its sale for too long."""
    request = client.requests.get(due.request_id)
    if request is None or request.state != "waiting":
        return Decision(client)
    return advance(client, policy, policy.recorder(now))


def advance(
    client: ClientState, policy: Policy, recorder: Recorder, events: tuple[Event, ...] = ()
) -> Decision[ClientState]:
    """Answer the waiting requests for which the facts suffice, in the order in which they were made.

    The decision's events are `events` and then the answers.
    """
    waiting = [request for request in client.requests.values() if request.state == "waiting"]
    waiting.sort(key=lambda request: (request.message.requested_at, request.message.request_id))
    for request in waiting:
        match request.message:
            case ReturnRequested():
                client, answers = _return(client, request, request.message, policy, recorder)
            case WithdrawalRequested():
                client, answers = _withdraw(client, request, request.message, policy, recorder)
            case RewardClaimed():
                client, answers = _claim(client, request, request.message, recorder)
            case RewardSettlementRequested():
                client, answers = _settle(client, request, request.message, recorder)
        events = (*events, *answers)
    return Decision(client, events)


def answered(client: ClientState, request: PendingRequest) -> ClientState:
    """Mark a request as granted."""
    return client.with_request(replace(request, state="answered"))


def refuse(client: ClientState, request: PendingRequest, reason: str, recorder: Recorder) -> Outcome:
    """Answer a request with a refusal; `reason` is a published code."""
    message = request.message
    request_type = _REQUEST_TYPES[type(message)]
    client = recorder.record(
        client.with_request(replace(request, state="refused")),
        "refused",
        message.lead_id,
        request=str(message.request_id),
        request_type=request_type,
        reason=reason,
    )
    event = ReservationRequestRefused(
        request_id=message.request_id,
        portal=message.portal,
        portal_request_id=message.portal_request_id,
        request_type=request_type,
        reason=reason,
        partner_id=message.partner_id,
        lead_id=message.lead_id,
        client_key=client.key,
        refused_at=recorder.now,
    )
    return client, (Event(event, request.cause),)


def _return(
    client: ClientState, request: PendingRequest, message: ReturnRequested, policy: Policy, recorder: Recorder
) -> Outcome:
    """Extend a live reservation, or request the reinstatement of an expired reservation from the gateway.

    One return of a client is pending at a time, and the same return filed twice gives one term.
    """
    if (reservation := client.reservations.get(message.lead_id)) is None:
        if message.lead_id not in client.rejected and _is_another_pending(client, message):
            return refuse(client, request, "already-returned", recorder)
        return _without_reservation(client, request, recorder)
    if reservation.partner_id != message.partner_id:
        return refuse(client, request, "not-yours", recorder)
    if reservation.status == "withdrawn" or reservation.client is None:
        return refuse(client, request, "unknown-lead", recorder)
    if reservation.status == "won":
        return refuse(client, request, "already-sold", recorder)
    if policy.extension_limit is not None and reservation.returns >= policy.extension_limit:
        return refuse(client, request, "extension-limit", recorder)
    granted_at = reservation.returned_at
    just_returned = granted_at is not None and message.requested_at < granted_at + AGAIN_AFTER
    if _is_another_pending(client, message) or (just_returned and not message.again):
        return refuse(client, request, "already-returned", recorder)
    events: tuple[Event, ...] = ()
    if reservation.status == "live" and recorder.now >= reservation.reserved_until:
        # The term is over, but the clock has not fired yet.
        client, expired = lifecycle.expire(client, reservation, recorder)
        reservation, events = client.reservations[message.lead_id], (expired,)
    if reservation.status == "expired":
        client, forwarded = _forward(client, request, message, recorder)
        return client, (*events, forwarded)
    if policy.extension_window is not None and recorder.now < reservation.reserved_until - policy.extension_window:
        return refuse(client, request, "outside-window", recorder)
    client, extended = lifecycle.extend(
        answered(client, request), reservation, message, request.cause, policy, recorder
    )
    return client, (*events, extended)


def _is_another_pending(client: ClientState, message: ReturnRequested) -> bool:
    """Return whether another return of the client, filed before this one, has no answer yet."""
    mine = (message.requested_at, message.request_id)
    return any(
        isinstance(other.message, ReturnRequested)
        and other.message.request_id != message.request_id
        and (
            other.state == "forwarded"
            or (other.state == "waiting" and (other.message.requested_at, other.message.request_id) < mine)
        )
        for other in client.requests.values()
    )


def _forward(
    client: ClientState, request: PendingRequest, message: ReturnRequested, recorder: Recorder
) -> tuple[ClientState, Event]:
    """Pass a return to the gateway, which decides who may hold the client now."""
    client = recorder.record(
        client.with_request(replace(request, state="forwarded")),
        "reinstatement-requested",
        message.lead_id,
        request=str(message.request_id),
        who=message.manager,
        why=message.reason,
    )
    event = ReinstatementRequested(
        lead_id=message.lead_id,
        client_key=client.key,
        partner_id=message.partner_id,
        request_id=message.request_id,
        requested_at=message.requested_at,
    )
    return client, Event(event, request.cause)


def _withdraw(
    client: ClientState, request: PendingRequest, message: WithdrawalRequested, policy: Policy, recorder: Recorder
) -> Outcome:
    """Free the client: a partner its live reservation for a while, a manager a live or expired one at any time."""
    if (reservation := client.reservations.get(message.lead_id)) is None:
        return _without_reservation(client, request, recorder)
    if reservation.client is None:
        return refuse(client, request, "unknown-lead", recorder)
    if message.manager is None:
        if reservation.partner_id != message.partner_id:
            return refuse(client, request, "not-yours", recorder)
        if message.requested_at > reservation.confirmed_at + policy.withdraw_within:
            return refuse(client, request, "too-late", recorder)
        if recorder.now >= reservation.reserved_until:
            return refuse(client, request, "too-late", recorder)
    is_open = reservation.status == "live" or (reservation.status == "expired" and message.manager is not None)
    if not is_open:
        return refuse(client, request, "too-late", recorder)
    if any(
        other.state == "forwarded" and other.message.lead_id == message.lead_id for other in client.requests.values()
    ):
        # The gateway may grant the return at this moment. Once its answer is here, the withdrawal follows.
        return client, ()
    client, withdrawn = lifecycle.withdraw(answered(client, request), reservation, message, request.cause, recorder)
    return client, (withdrawn,)


def _claim(client: ClientState, request: PendingRequest, message: RewardClaimed, recorder: Recorder) -> Outcome:
    """Accept a claim for a sale inside the reservation; a claim without a sale waits until `request.until`."""
    if (reservation := client.reservations.get(message.lead_id)) is None:
        return _without_reservation(client, request, recorder)
    if reservation.partner_id != message.partner_id:
        return refuse(client, request, "not-yours", recorder)
    if (accepted := rewards.accept(client, message, recorder)) is not None:
        client, event = accepted
        return answered(client, request), (Event(event, request.cause),)
    if rewards.is_claimed(client, message):
        return refuse(client, request, "already-claimed", recorder)
    if reservation.status == "withdrawn" or (request.until is not None and recorder.now >= request.until):
        return refuse(client, request, "no-sale", recorder)
    return client, ()


def _settle(
    client: ClientState, request: PendingRequest, message: RewardSettlementRequested, recorder: Recorder
) -> Outcome:
    client, settled = rewards.settle(client, message, recorder)
    if isinstance(settled, str):
        return refuse(client, request, settled, recorder)
    return answered(client, request), tuple(Event(event, request.cause) for event in settled)


def _without_reservation(client: ClientState, request: PendingRequest, recorder: Recorder) -> Outcome:
    """Refuse a request about a rejected lead; keep a request about a lead whose verdict has not come yet."""
    if request.message.lead_id in client.rejected:
        return refuse(client, request, "unknown-lead", recorder)
    return client, ()
