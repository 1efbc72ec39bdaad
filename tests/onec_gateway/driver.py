"""The gateway's rules without any I/O: the inputs of one client, decided one after another."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.decision import Cause, Decision, Event, Task, derived_id
from contracts.leads import LeadSubmitted
from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
    ReservationRequestRefused,
)
from contracts.verdicts import CollisionDetected, LeadConfirmed, LeadRejected
from services.onec_gateway.domain import arbiter, evidence, inputs, reservation_events, rulings, sales
from services.onec_gateway.domain.model import ClientState, Policy
from tests.onec_gateway.samples import KEY, MINUTE, NOON, UNTIL, answered, cause_of, expired, opened, submitted

WITH_POLICY: dict[type, Any] = {
    LeadSubmitted: arbiter.lead_submitted,
    ReinstatementRequested: arbiter.reinstatement_requested,
    ReservationOpened: reservation_events.reservation_opened,
    ReservationExtended: reservation_events.reservation_extended,
    ReservationExpired: reservation_events.reservation_expired,
    ReservationClosed: reservation_events.reservation_closed,
    ReservationReopened: reservation_events.reservation_reopened,
    ReservationReinstated: reservation_events.reservation_reinstated,
    ReservationRequestRefused: arbiter.return_refused,
    inputs.CheckAnswered: arbiter.check_answered,
    inputs.JournalEntered: reservation_events.journal_entered,
    inputs.EnquirySeen: arbiter.enquiry_seen,
    inputs.SaleSeen: sales.sale_seen,
    inputs.Ruled: rulings.ruled,
    inputs.WaitIsOver: arbiter.wait_is_over,
}
WITHOUT_POLICY: dict[type, Any] = {
    inputs.HandedOver: reservation_events.handed_over,
    inputs.TakenBack: reservation_events.taken_back,
    inputs.JournalUpdated: reservation_events.journal_updated,
    inputs.CheckOverdue: arbiter.check_overdue,
    inputs.CollisionAcknowledged: evidence.collision_acknowledged,
}


@dataclass
class DomainDriver:
    """One client: its state, all events and tasks of the decisions so far, and the reply of the last decision, and
    whether that was about an older message."""

    policy: Policy = field(default_factory=Policy)
    client: ClientState = field(default_factory=lambda: ClientState(KEY))
    events: list[Event] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    reply: Any = None
    superseded: bool = False

    def apply(
        self,
        message: Any,
        now: datetime,
        cause: Cause | None = None,
        related: Mapping[str, ClientState] | None = None,
    ) -> "DomainDriver":
        """Decide one message or input at `now`. `related`: the states of other clients that were loaded with it."""
        cause = cause or cause_of(message)
        decision: Decision[ClientState]
        if (rule := WITH_POLICY.get(type(message))) is not None:
            loaded = () if related is None else (related,)
            decision = rule(self.client, message, cause, now, *loaded, policy=self.policy)
        else:
            decision = WITHOUT_POLICY[type(message)](self.client, message, cause, now)
        self.client = decision.state
        self.events.extend(decision.events)
        self.tasks.extend(decision.tasks)
        self.reply = decision.reply
        self.superseded = decision.superseded
        return self

    def submit(self, number: int, partner: str = "p1", at: datetime = NOON) -> "DomainDriver":
        """A lead that is decided at its receipt."""
        return self.apply(submitted(number, partner, at), at)

    def confirm(self, number: int = 1, partner: str = "p1") -> "DomainDriver":
        """A lead that is submitted at noon; a minute later its check finds nothing."""
        return self.submit(number, partner).apply(answered(number), NOON + MINUTE)

    def open(self, number: int = 1) -> "DomainDriver":
        """The reservation of the lead opens, until UNTIL."""
        return self.apply(opened(number), NOON + 2 * MINUTE)

    def expire(self, number: int = 1) -> "DomainDriver":
        """The reservation of the lead expires at UNTIL."""
        return self.apply(expired(number), UNTIL)

    @property
    def verdicts(self) -> dict[int, str]:
        """Lead number → `confirmed at …`, or the reason and evidence of its rejection."""
        return {message.lead_id.int: _verdict(message) for message in self.published(LeadConfirmed, LeadRejected)}

    @property
    def verdicts_by_event_id(self) -> set[tuple[UUID, str]]:
        """Every verdict with the id that the chassis derives for its event."""
        return {
            (derived_id(event.cause.id, event.message.ce_type), _verdict(event.message))
            for event in self.events
            if event.cause is not None and isinstance(event.message, (LeadConfirmed, LeadRejected))
        }

    @property
    def event_ids(self) -> set[UUID]:
        """The ids that the chassis derives for the events with causes of their own."""
        return {derived_id(event.cause.id, event.message.ce_type) for event in self.events if event.cause is not None}

    def published(self, *kinds: type) -> list[Any]:
        """The messages of these kinds, in the order in which they were decided."""
        return [event.message for event in self.events if isinstance(event.message, kinds)]

    @property
    def calls(self) -> list[tuple[str, str]]:
        """The calls to 1C that were requested: kind and lead number."""
        return [(task.kind, str(UUID(task.payload.get("lead_id", task.ref)).int)) for task in self.tasks]


def held_client() -> DomainDriver:
    """A client that lead 1 holds: its reservation is open."""
    return DomainDriver().confirm().open()


def kinds(driver: DomainDriver) -> list[str]:
    """The kinds of the collisions that were published."""
    return [message.kind for message in driver.published(CollisionDetected)]


def _verdict(message: Any) -> str:
    if isinstance(message, LeadRejected):
        return f"{message.reason} ({message.evidence})"
    assert isinstance(message, LeadConfirmed)
    return f"confirmed at {message.confirmed_at}"
