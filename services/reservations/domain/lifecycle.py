"""The life of one reservation: opened, reminded of, extended, expired, reinstated, withdrawn, won, reopened.

Each transition takes the client and returns the client with the reservation changed and a history entry added, and the
event to publish. The callers (`verdicts`, `sales`, `requests`, and `term_reached` below) decide whether it may happen.
"""

from datetime import datetime

from chassis.decision import Cause, Decision, Event, derived_id
from contracts.leads import ReturnRequested, WithdrawalRequested
from contracts.reservations import (
    ReservationClosed,
    ReservationExpired,
    ReservationExpiring,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
)
from contracts.verdicts import LeadConfirmed, LeadRejected, ReinstatementConfirmed
from services.reservations.domain.model import END, ClientState, Deal, Reservation, TermReached
from services.reservations.domain.policy import Policy
from services.reservations.domain.recorder import Recorder
from services.reservations.domain.terms import Term, next_reminder


class SecondLiveReservation(Exception):
    """The gateway granted a client who still has a live reservation. The input is parked: neither dropped nor
    applied."""


def require_none_live(client: ClientState, lead_id: object) -> None:
    """Raise SecondLiveReservation if the client has a live reservation."""
    if client.live() is not None:
        raise SecondLiveReservation(f"lead {lead_id}")


def open_reservation(
    client: ClientState, message: LeadConfirmed, cause: Cause, policy: Policy, recorder: Recorder
) -> tuple[ClientState, Event]:
    """Reserve the client for one term from the moment of confirmation."""
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
            term=policy.term.text,
            zone=policy.zone.key,
            cause=cause,
            term_set_on=policy.local_day(message.confirmed_at),
            next_due=until,
        ),
        recorder.now,
        policy,
    )
    after = recorder.record_change(
        client,
        opened,
        "opened",
        partner=message.partner_id,
        anchor=message.confirmed_at.isoformat(),
        through=through.isoformat(),
        term=policy.term.text,
        zone=policy.zone.key,
        **grounds_of(message),
    )
    return after, Event(ReservationOpened(**base_fields(opened, after)))


def reinstate(
    client: ClientState,
    before: Reservation,
    message: ReinstatementConfirmed,
    cause: Cause,
    policy: Policy,
    recorder: Recorder,
) -> tuple[ClientState, Event]:
    """Reserve the client again for a fresh term from the moment of the gateway's confirmation."""
    through, until = policy.term.end(message.confirmed_at, policy.zone)
    reinstated = _scheduled(
        before._replace(
            status="live",
            confirmed_at=message.confirmed_at,
            reserved_through=through,
            reserved_until=until,
            term=policy.term.text,
            zone=policy.zone.key,
            cause=cause,
            term_set_on=policy.local_day(message.confirmed_at),
            extensions=0,
            returns=before.returns + 1,
            ended_at=None,
            previous_step=None,
            earlier_terms=(*before.earlier_terms, (before.local_day(before.confirmed_at), before.reserved_through)),
            returned_at=message.confirmed_at,
        ),
        recorder.now,
        policy,
    )
    after = recorder.record_change(
        client,
        reinstated,
        "reinstated",
        request=str(message.request_id),
        anchor=message.confirmed_at.isoformat(),
        through=through.isoformat(),
        term=policy.term.text,
    )
    event = ReservationReinstated(
        **base_fields(reinstated, after), request_id=message.request_id, reinstated_at=message.confirmed_at
    )
    return after, Event(event)


def extend(
    client: ClientState,
    reservation: Reservation,
    message: ReturnRequested,
    cause: Cause,
    policy: Policy,
    recorder: Recorder,
) -> tuple[ClientState, Event]:
    """Let a live reservation run for one term more, counted from the same anchor.

    The term and the calendar are those with which the reservation began, whatever is configured by now.
    """
    term = Term.parse(reservation.term)
    terms = reservation.extensions + 2
    through, until = term.end(reservation.confirmed_at, reservation.calendar, terms)
    # An earlier version extended by the term that was configured then, so the present end may be later than that.
    while until <= reservation.reserved_until:
        terms += 1
        through, until = term.end(reservation.confirmed_at, reservation.calendar, terms)
    extended = _scheduled(
        reservation._replace(
            reserved_through=through,
            reserved_until=until,
            extensions=terms - 1,
            returns=reservation.returns + 1,
            returned_at=recorder.now,
            term_set_on=reservation.local_day(recorder.now),
            previous_step=None,
            cause=cause,
        ),
        recorder.now,
        policy,
    )
    after = recorder.record_change(
        client,
        extended,
        "extended",
        request=str(message.request_id),
        who=message.manager,
        why=message.reason,
        through=through.isoformat(),
        term=reservation.term,
    )
    event = ReservationExtended(**base_fields(extended, after), request_id=message.request_id, extended_at=recorder.now)
    return after, Event(event, cause)


def withdraw(
    client: ClientState, reservation: Reservation, message: WithdrawalRequested, cause: Cause, recorder: Recorder
) -> tuple[ClientState, Event]:
    """End a live or expired reservation at the request of the partner or of a manager: the client is free."""
    withdrawn = reservation._replace(status="withdrawn", ended_at=recorder.now)
    after = recorder.record_change(
        client,
        withdrawn,
        "withdrawn",
        request=str(message.request_id),
        who=message.manager or message.partner_id,
        why=message.reason,
    )
    event = ReservationClosed(
        **base_fields(withdrawn, after),
        closed_at=recorder.now,
        outcome="withdrawn",
        request_id=message.request_id,
    )
    return after, Event(event, cause)


def win(
    client: ClientState, reservation: Reservation, deal: Deal, details: dict[str, str], recorder: Recorder
) -> tuple[ClientState, tuple[Event, ...]]:
    """End a reservation by a sale inside it. If it had expired meanwhile, the event corrects the expiry.

    Nothing is published about an erased client.
    """
    won = reservation._replace(status="won", ended_at=recorder.now, deal=deal.ref)
    corrects = "expired" if reservation.status == "expired" else None
    after = recorder.record_change(client, won, "won", **details, **({"corrects": corrects} if corrects else {}))
    if won.client is None:
        return after, ()
    event = ReservationClosed(
        **base_fields(won, after), closed_at=recorder.now, outcome="won", deal=deal.ref, corrects=corrects
    )
    return after, (Event(event),)


def reopen(
    client: ClientState, reservation: Reservation, cause: Cause, policy: Policy, recorder: Recorder
) -> tuple[ClientState, Event]:
    """Make a won reservation live again because its sale was cancelled: the rest of its term runs on."""
    reopened = _scheduled(
        reservation._replace(status="live", ended_at=None, deal=None, cause=cause), recorder.now, policy
    )
    after = recorder.record_change(client, reopened, "reopened", through=reopened.reserved_through.isoformat())
    return after, Event(ReservationReopened(**base_fields(reopened, after), reopened_at=recorder.now))


def expire(client: ClientState, reservation: Reservation, recorder: Recorder) -> tuple[ClientState, Event]:
    """End a reservation whose term is over, as of its last instant."""
    expired = reservation._replace(status="expired", ended_at=reservation.reserved_until)
    after = recorder.record_change(client, expired, "expired", through=reservation.reserved_through.isoformat())
    event = ReservationExpired(**base_fields(expired, after), expired_at=reservation.reserved_until)
    return after, Event(event, reservation.cause)


def term_reached(
    client: ClientState, due: TermReached, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Rule of the clock: expire a reservation whose term is over, or send the reminder that is due today.

    A reminder is sent once, and only on its own local day; on a later day it is dropped. An early or repeated firing
    of the clock changes nothing.
    """
    reservation = client.reservations.get(due.lead_id)
    if reservation is None or reservation.status != "live" or now < reservation.next_due:
        return Decision(client)
    if now >= reservation.reserved_until:
        client, expired = expire(client, reservation, policy.recorder(now))
        return Decision(client, (expired,))
    left = reservation.next_step
    rescheduled = _scheduled(reservation._replace(previous_step=left), now, policy)
    if left == END or reservation.local_day(now) != reservation.local_day(reservation.next_due):
        return Decision(client.with_reservation(rescheduled))
    after = policy.recorder(now).record_change(client, rescheduled, "reminded", left=left)
    event = ReservationExpiring(**base_fields(rescheduled, after), days_left=left)
    return Decision(after, (Event(event, _reminder_cause(reservation, left)),))


def grounds_of(message: LeadConfirmed | LeadRejected) -> dict[str, str]:
    """Return the grounds of a verdict for a history entry: the rule, its evidence, and who ruled and why, if any."""
    named = (
        ("verdict_rule", message.rule),
        ("evidence", message.evidence),
        ("who", message.ruled_by),
        ("why", message.ruled_why),
    )
    return {name: value for name, value in named if value is not None}


def base_fields(reservation: Reservation, client: ClientState) -> dict[str, object]:
    """Return the fields that all events about a reservation share. `client` is the state after the event's history
    entry."""
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


def _scheduled(reservation: Reservation, now: datetime, policy: Policy) -> Reservation:
    """Set the clock to the next reminder or, if no reminder is left, to the end of the reservation."""
    reminder = next_reminder(
        policy.reminders,
        reservation.reserved_until,
        reservation.calendar,
        after=reservation.term_set_on,
        today=reservation.local_day(now),
        previous=reservation.previous_step,
    )
    due, step = reminder if reminder is not None else (reservation.reserved_until, END)
    return reservation._replace(next_due=due, next_step=step)


def _reminder_cause(reservation: Reservation, left: int) -> Cause:
    # The event's id is derived from the cause. A term has one reminder of each kind, so each gets an id of its own.
    cause = reservation.cause
    identity = f"{reservation.reservation_id}/{reservation.reserved_through.isoformat()}/reminder-{left}"
    return Cause(identity, cause.correlation, cause.traceparent)
