"""The life of a reservation: opened when the gateway confirms a lead, reminded of, returned, sold, or over.

Facts are stored, and what cannot be decided yet waits: a request about a lead without a verdict, a claim ahead of the
news of the sale. `advance` looks at what waits after every input, so it does not matter in which order topics brought
them.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from chassis.decision import Cause, Decision, Event, derived_id
from contracts.leads import ReturnRequested, RewardClaimed, RewardSettlementRequested, WithdrawalRequested
from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExpired,
    ReservationExpiring,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
    ReservationRequestRefused,
)
from contracts.verdicts import (
    DealCancelled,
    DealClosed,
    LeadConfirmed,
    LeadRejected,
    ReinstatementConfirmed,
    ReinstatementRejected,
)
from services.reservations import rewards
from services.reservations.facts import Asked, Client, Deal, Rejected, Request, Reservation
from services.reservations.terms import Term, reminder_before

END: Final = 0
ERASED: Final = ""  # nobody's data any more: nothing begins anew about such a client


class SecondLiveReservation(Exception):
    """The backstop: the gateway granted a client who is still reserved. Never dropped, never opened: parked."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The builder's rules. `extension_limit`, `extension_window`: None for no limit, and any time.

    `withdraw_within`: how long the partner itself may withdraw a lead. `sale_grace`: how late the news of a sale inside
    the term may come and still count. `claim_waits`: how long a claim waits for the news of its sale.
    """

    rule: str
    term: Term
    zone: ZoneInfo
    history_key: bytes
    reminders: tuple[int, ...] = (30, 7, 1)
    extension_limit: int | None = None
    extension_window: timedelta | None = None
    withdraw_within: timedelta = timedelta(hours=24)
    sale_grace: timedelta = timedelta(days=30)
    claim_waits: timedelta = timedelta(days=14)

    def day(self, moment: datetime) -> date:
        """The builder's local day."""
        return moment.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True)
class TermReached:
    """The clock says that this reservation may be over, or is to be reminded of; the rule looks again."""

    lead_id: UUID


@dataclass(frozen=True, slots=True)
class WaitOver:
    """The clock says that this request may have waited for long enough; the rule looks again."""

    request_id: UUID


# --- what the gateway says ---


def lead_confirmed(
    client: Client, message: LeadConfirmed, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """Confirmed means reserved, from the moment of confirmation. Raises SecondLiveReservation."""
    if message.lead_id in client.reservations:
        return Decision(client)
    if client.live() is not None:
        raise SecondLiveReservation(f"lead {message.lead_id}")
    through, until = policy.term.end(message.confirmed_at, policy.zone)
    opened = _scheduled(
        Reservation(
            reservation_id=derived_id(str(message.lead_id), "reservation"),
            lead_id=message.lead_id,
            client_key=message.client_key,
            partner_id=message.partner_id,
            client=message.client,
            confirmed_at=message.confirmed_at,
            reserved_through=through,
            reserved_until=until,
            rule=policy.rule,
            zone=policy.zone.key,
            cause=cause,
            since=policy.day(message.confirmed_at),
            next_due=until,
        ),
        now,
        policy,
    )
    after = client.changed(
        opened,
        policy.history_key,
        now,
        "opened",
        partner=message.partner_id,
        anchor=message.confirmed_at.isoformat(),
        through=through.isoformat(),
        rule=policy.rule,
        zone=policy.zone.key,
    )
    events = (Event(ReservationOpened(**_told(opened, after))),)
    return advance(after, now, policy, events) if client.requests or client.deals else Decision(after, events)


def lead_rejected(
    client: Client, message: LeadRejected, _: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """A lead that was refused: nothing can be asked about it."""
    if message.lead_id in client.rejected:
        return Decision(client)
    rejected = Rejected(message.partner_id, message.received_at)
    after = client._replace(rejected=MappingProxyType({**client.rejected, message.lead_id: rejected}))
    after = after.noted(
        policy.history_key,
        now,
        "rejected",
        message.lead_id,
        partner=message.partner_id,
        reason=message.reason,
        received=message.received_at.isoformat(),
    )
    return advance(after, now, policy)


def reinstatement_confirmed(
    client: Client, message: ReinstatementConfirmed, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """The client is the partner's once more, for a fresh term. Raises SecondLiveReservation."""
    asked, before = client.requests.get(message.request_id), client.reservations.get(message.lead_id)
    if before is None or asked is None or asked.state != "asked":
        return Decision(client)
    live = client.live()
    if live is not None and live.lead_id != before.lead_id:
        raise SecondLiveReservation(f"lead {message.lead_id}")
    through, until = policy.term.end(message.confirmed_at, policy.zone)
    anew = _scheduled(
        before._replace(
            status="live",
            confirmed_at=message.confirmed_at,
            reserved_through=through,
            reserved_until=until,
            rule=policy.rule,
            zone=policy.zone.key,
            cause=cause,
            since=policy.day(message.confirmed_at),
            extensions=0,
            returns=before.returns + 1,
            ended_at=None,
            told_step=None,
            earlier=(*before.earlier, (policy.day(before.confirmed_at), before.reserved_through)),
        ),
        now,
        policy,
    )
    after = client.with_reservation(anew).with_request(replace(asked, state="answered"))
    after = after.noted(
        policy.history_key,
        now,
        "reinstated",
        message.lead_id,
        request=str(message.request_id),
        anchor=message.confirmed_at.isoformat(),
        through=through.isoformat(),
        rule=policy.rule,
    )
    event = ReservationReinstated(
        **_told(anew, after), request_id=message.request_id, reinstated_at=message.confirmed_at
    )
    return advance(after, now, policy, (Event(event),))


def reinstatement_rejected(
    client: Client, message: ReinstatementRejected, _: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """Somebody else has the client by now, or it has bought."""
    asked = client.requests.get(message.request_id)
    if asked is None or asked.state != "asked":
        return Decision(client)
    after, refused = _refuse(client, asked, message.reason, now, policy)
    return advance(after, now, policy, (refused,))


def deal_closed(client: Client, message: DealClosed, _: Cause, now: datetime, *, policy: Policy) -> Decision[Client]:
    """A sale within the reservation, by the sale's own date, wins it; any other is the builder's own."""
    if message.deal in client.deals:
        return Decision(client)
    reservation = client.reservations.get(message.lead_id)
    inside = reservation is not None and _is_inside(reservation, message, policy)
    deal = Deal(
        message.deal,
        message.lead_id,
        message.amount,
        message.currency,
        message.contract_number,
        message.sold_on,
        inside,
    )
    after = client.with_deal(deal)
    facts = {
        "deal": deal.ref,
        "contract": deal.contract_number,
        "sold_on": deal.sold_on.isoformat(),
        "amount": f"{deal.amount:.2f}",
        "currency": deal.currency,
    }
    if reservation is None or not inside or reservation.status not in ("live", "expired"):
        what = "sold-inside" if inside else "sold-outside"
        return advance(after.noted(policy.history_key, now, what, message.lead_id, **facts), now, policy)
    won = reservation._replace(status="won", ended_at=now, deal=deal.ref)
    corrects = "expired" if reservation.status == "expired" else None
    after = after.changed(won, policy.history_key, now, "won", **facts, **({"corrects": corrects} if corrects else {}))
    event = ReservationClosed(**_told(won, after), closed_at=now, outcome="won", deal=deal.ref, corrects=corrects)
    return advance(after, now, policy, (Event(event),))


def deal_cancelled(
    client: Client, message: DealCancelled, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """What is left of the term runs on, and what was accrued for the sale is taken back."""
    deal = client.deals.get(message.deal)
    if deal is None or deal.cancelled:
        return Decision(client)
    after = client.with_deal(replace(deal, cancelled=True))
    after = after.noted(policy.history_key, now, "sale-void", deal.lead_id, deal=deal.ref)
    after, events = rewards.taken_back(after, deal, now, policy.history_key)
    reservation = after.reservations.get(deal.lead_id)
    if reservation is None or reservation.client == ERASED or reservation.deal != deal.ref:
        return advance(after, now, policy, events)
    other = next(
        (one for one in after.deals.values() if one.lead_id == deal.lead_id and one.inside and not one.cancelled), None
    )
    if other is not None:
        return advance(after.with_reservation(reservation._replace(deal=other.ref)), now, policy, events)
    if after.live() is not None:
        raise SecondLiveReservation(f"lead {deal.lead_id}")
    reopened = _scheduled(reservation._replace(status="live", ended_at=None, deal=None, cause=cause), now, policy)
    after = after.changed(reopened, policy.history_key, now, "reopened", through=reopened.reserved_through.isoformat())
    events = (*events, Event(ReservationReopened(**_told(reopened, after), reopened_at=now)))
    if now >= reopened.reserved_until:
        after, expired = _expire(after, reopened, now, policy)
        events = (*events, expired)
    return advance(after, now, policy, events)


# --- what portals ask ---


def requested(client: Client, message: Request, cause: Cause, now: datetime, *, policy: Policy) -> Decision[Client]:
    """A request takes its place; the same request again changes nothing."""
    if message.request_id in client.requests:
        return Decision(client)
    until = message.requested_at + policy.claim_waits if isinstance(message, RewardClaimed) else None
    return advance(client.with_request(Asked(message, cause, until=until)), now, policy)


def advance(client: Client, now: datetime, policy: Policy, events: tuple[Event, ...] = ()) -> Decision[Client]:
    """Answer, in the order they were made, the requests that the facts suffice for."""
    waiting = [one for one in client.requests.values() if one.state == "waiting"]
    for asked in sorted(waiting, key=lambda one: (one.message.requested_at, one.message.request_id)):
        match asked.message:
            case ReturnRequested():
                client, told = _return(client, asked, asked.message, now, policy)
            case WithdrawalRequested():
                client, told = _withdraw(client, asked, asked.message, now, policy)
            case RewardClaimed():
                client, told = _claim(client, asked, asked.message, now, policy)
            case RewardSettlementRequested():
                client, told = _settle(client, asked, asked.message, now, policy)
        events = (*events, *told)
    return Decision(client, events)


def _return(
    client: Client, asked: Asked, message: ReturnRequested, now: datetime, policy: Policy
) -> tuple[Client, tuple[Event, ...]]:
    if (reservation := client.reservations.get(message.lead_id)) is None:
        return _without(client, asked, now, policy)
    if reservation.partner_id != message.partner_id:
        return _refused(client, asked, "not-yours", now, policy)
    if reservation.status == "withdrawn" or reservation.client == ERASED:
        return _refused(client, asked, "unknown-lead", now, policy)
    if reservation.status == "won":
        return _refused(client, asked, "already-sold", now, policy)
    if policy.extension_limit is not None and reservation.returns >= policy.extension_limit:
        return _refused(client, asked, "extension-limit", now, policy)
    told: tuple[Event, ...] = ()
    if reservation.status == "live" and now >= reservation.reserved_until:
        # The clock has not come round to it yet.
        client, expired = _expire(client, reservation, now, policy)
        reservation, told = client.reservations[message.lead_id], (expired,)
    who = {"request": str(message.request_id), "who": message.manager, "why": message.reason}
    if reservation.status == "expired":
        if any(one.state == "asked" for one in client.requests.values()):
            return client, told
        client = client.with_request(replace(asked, state="asked"))
        client = client.noted(policy.history_key, now, "return-asked", message.lead_id, **who)
        asks = ReinstatementRequested(
            **_about(message, client), request_id=message.request_id, requested_at=message.requested_at
        )
        return client, (*told, Event(asks, asked.cause))
    if policy.extension_window is not None and now < reservation.reserved_until - policy.extension_window:
        return _refused(client, asked, "outside-window", now, policy)
    extensions = reservation.extensions + 1
    through, until = policy.term.end(reservation.confirmed_at, policy.zone, extensions + 1)
    extended = _scheduled(
        reservation._replace(
            reserved_through=through,
            reserved_until=until,
            extensions=extensions,
            returns=reservation.returns + 1,
            since=policy.day(now),
            told_step=None,
            cause=asked.cause,
        ),
        now,
        policy,
    )
    client = client.with_reservation(extended).with_request(replace(asked, state="answered"))
    client = client.noted(
        policy.history_key, now, "extended", message.lead_id, **who, through=through.isoformat(), rule=policy.rule
    )
    event = ReservationExtended(**_told(extended, client), request_id=message.request_id, extended_at=now)
    return client, (*told, Event(event, asked.cause))


def _withdraw(
    client: Client, asked: Asked, message: WithdrawalRequested, now: datetime, policy: Policy
) -> tuple[Client, tuple[Event, ...]]:
    if (reservation := client.reservations.get(message.lead_id)) is None:
        return _without(client, asked, now, policy)
    if message.manager is None:
        if reservation.partner_id != message.partner_id:
            return _refused(client, asked, "not-yours", now, policy)
        if message.requested_at > reservation.confirmed_at + policy.withdraw_within:
            return _refused(client, asked, "too-late", now, policy)
    if reservation.status != "live" or now >= reservation.reserved_until:
        return _refused(client, asked, "too-late", now, policy)
    withdrawn = reservation._replace(status="withdrawn", ended_at=now)
    client = client.with_reservation(withdrawn).with_request(replace(asked, state="answered"))
    client = client.noted(
        policy.history_key,
        now,
        "withdrawn",
        message.lead_id,
        request=str(message.request_id),
        who=message.manager or message.partner_id,
        why=message.reason,
    )
    event = ReservationClosed(
        **_told(withdrawn, client), closed_at=now, outcome="withdrawn", request_id=message.request_id
    )
    return client, (Event(event, asked.cause),)


def _claim(
    client: Client, asked: Asked, message: RewardClaimed, now: datetime, policy: Policy
) -> tuple[Client, tuple[Event, ...]]:
    if (reservation := client.reservations.get(message.lead_id)) is None:
        return _without(client, asked, now, policy)
    if reservation.partner_id != message.partner_id:
        return _refused(client, asked, "not-yours", now, policy)
    accepted = rewards.accepted(client, message, now, policy.history_key)
    if accepted is not None:
        client, event = accepted
        return client.with_request(replace(asked, state="answered")), (Event(event, asked.cause),)
    if rewards.is_claimed(client, message):
        return _refused(client, asked, "already-claimed", now, policy)
    if reservation.status == "withdrawn" or (asked.until is not None and now >= asked.until):
        return _refused(client, asked, "no-sale", now, policy)
    return client, ()


def _settle(
    client: Client, asked: Asked, message: RewardSettlementRequested, now: datetime, policy: Policy
) -> tuple[Client, tuple[Event, ...]]:
    client, told = rewards.settled(client, message, now, policy.history_key)
    if isinstance(told, str):
        return _refused(client, asked, told, now, policy)
    return client.with_request(replace(asked, state="answered")), tuple(Event(one, asked.cause) for one in told)


def _without(client: Client, asked: Asked, now: datetime, policy: Policy) -> tuple[Client, tuple[Event, ...]]:
    """Of a lead that was rejected nothing can be asked; one without a verdict may still get one."""
    if asked.message.lead_id in client.rejected:
        return _refused(client, asked, "unknown-lead", now, policy)
    return client, ()


# --- what the clock says ---


def term_reached(client: Client, due: TermReached, _: Cause, now: datetime, *, policy: Policy) -> Decision[Client]:
    """A live reservation whose time is over expires, once; a reminder is told on its day. A firing too many does
    nothing."""
    reservation = client.reservations.get(due.lead_id)
    if reservation is None or reservation.status != "live" or now < reservation.next_due:
        return Decision(client)
    if now >= reservation.reserved_until:
        client, expired = _expire(client, reservation, now, policy)
        return Decision(client, (expired,))
    left, events = reservation.next_step, ()
    rescheduled = _scheduled(reservation._replace(told_step=left), now, policy)
    after = client.with_reservation(rescheduled)
    if left != END and policy.day(now) == policy.day(reservation.next_due):
        after = after.noted(policy.history_key, now, "reminded", due.lead_id, left=left)
        event = ReservationExpiring(**_told(rescheduled, after), days_left=left)
        return Decision(after, (Event(event, _of_clock(reservation, f"reminder-{left}")),))
    return Decision(after, events)


def wait_over(client: Client, due: WaitOver, _: Cause, now: datetime, *, policy: Policy) -> Decision[Client]:
    """A claim that no sale has come for is refused."""
    asked = client.requests.get(due.request_id)
    return advance(client, now, policy) if asked is not None and asked.state == "waiting" else Decision(client)


def _expire(client: Client, reservation: Reservation, now: datetime, policy: Policy) -> tuple[Client, Event]:
    expired = reservation._replace(status="expired", ended_at=reservation.reserved_until)
    after = client.changed(
        expired, policy.history_key, now, "expired", through=reservation.reserved_through.isoformat()
    )
    event = ReservationExpired(**_told(expired, after), expired_at=reservation.reserved_until)
    return after, Event(event, reservation.cause)


def _scheduled(reservation: Reservation, now: datetime, policy: Policy) -> Reservation:
    """With the clock set to the next reminder, or to the end."""
    reminder = reminder_before(
        policy.reminders,
        reservation.reserved_until,
        policy.zone,
        after=reservation.since,
        today=policy.day(now),
        told=reservation.told_step,
    )
    due, step = reminder if reminder is not None else (reservation.reserved_until, END)
    return reservation._replace(next_due=due, next_step=step)


# --- what is told ---


def _is_inside(reservation: Reservation, sale: DealClosed, policy: Policy) -> bool:
    """By the sale's date, whenever the news comes: but for a reservation that is over, not later than the grace."""
    if reservation.status == "withdrawn":
        return False
    if reservation.status == "expired" and sale.noticed_at > reservation.reserved_until + policy.sale_grace:
        return False
    terms = (*reservation.earlier, (policy.day(reservation.confirmed_at), reservation.reserved_through))
    return any(first <= sale.sold_on <= last for first, last in terms)


def _refused(
    client: Client, asked: Asked, reason: str, now: datetime, policy: Policy
) -> tuple[Client, tuple[Event, ...]]:
    client, refused = _refuse(client, asked, reason, now, policy)
    return client, (refused,)


def _refuse(client: Client, asked: Asked, reason: str, now: datetime, policy: Policy) -> tuple[Client, Event]:
    message = asked.message
    client = client.with_request(replace(asked, state="answered")).noted(
        policy.history_key,
        now,
        "refused",
        message.lead_id,
        request=str(message.request_id),
        asked=_KINDS[type(message)],
        reason=reason,
    )
    event = ReservationRequestRefused(
        request_id=message.request_id,
        portal=message.portal,
        portal_request_id=message.portal_request_id,
        request_type=_KINDS[type(message)],
        reason=reason,
        partner_id=message.partner_id,
        lead_id=message.lead_id,
        client_key=client.key,
        refused_at=now,
    )
    return client, Event(event, asked.cause)


# By the names that portals gave their requests.
_KINDS: Final[dict[type, str]] = {
    ReturnRequested: "return-lead.v1",
    WithdrawalRequested: "withdraw-lead.v1",
    RewardClaimed: "claim-reward.v1",
    RewardSettlementRequested: "settle-reward.v1",
}


def _about(message: Request, client: Client) -> dict[str, object]:
    return {"lead_id": message.lead_id, "client_key": client.key, "partner_id": message.partner_id}


def _of_clock(reservation: Reservation, what: str) -> Cause:
    # One term has one reminder of each kind: the ids that follow are derived from it.
    cause = reservation.cause
    identity = f"{reservation.reservation_id}/{reservation.reserved_through.isoformat()}/{what}"
    return Cause(identity, cause.correlation, cause.traceparent)


def _told(reservation: Reservation, client: Client) -> dict[str, object]:
    return {
        "lead_id": reservation.lead_id,
        "client_key": reservation.client_key,
        "partner_id": reservation.partner_id,
        "reservation_id": reservation.reservation_id,
        "client": reservation.client,
        "confirmed_at": reservation.confirmed_at,
        "reserved_through": reservation.reserved_through,
        "reserved_until": reservation.reserved_until,
        "history_count": client.head.count,
        "history_head": client.head.hash.hex(),
    }
