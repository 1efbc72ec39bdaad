"""Messages as the gateway meets them, and a client whose story is told step by step."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.decision import Cause, Decision, Event, Task, derived_id
from contracts.leads import LeadSubmitted
from contracts.portal import Consent
from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
)
from contracts.verdicts import LeadConfirmed, LeadRejected
from services.onec_gateway import domain
from services.onec_gateway.domain import (
    CheckAnswered,
    CheckOverdue,
    EnquirySeen,
    HandedOver,
    JournalEntered,
    JournalUpdated,
    Ruled,
    SaleSeen,
    TakenBack,
)
from services.onec_gateway.facts import Client, Enquiry
from services.onec_gateway.rules import Policy

KEY = "k1:" + "0" * 64
NOON = datetime(2026, 3, 14, 9, tzinfo=UTC)
UNTIL = datetime(2026, 9, 14, 21, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def lead_id(number: int) -> UUID:
    return UUID(int=number)


def submitted(number: int, partner: str = "p1", at: datetime = NOON) -> LeadSubmitted:
    return LeadSubmitted(
        lead_id=lead_id(number),
        client_key=KEY,
        partner_id=partner,
        client="sealed",
        received_at=at,
        number=number,
        consent=Consent(given_at=at),
    )


def opened(
    number: int, partner: str = "p1", at: datetime = NOON + MINUTE, until: datetime = UNTIL
) -> ReservationOpened:
    return ReservationOpened(**_reservation(number, partner, at, until))


def expired(
    number: int, partner: str = "p1", at: datetime = NOON + MINUTE, until: datetime = UNTIL
) -> ReservationExpired:
    return ReservationExpired(**_reservation(number, partner, at, until), expired_at=until)


def answered(number: int, *enquiries: datetime, at: datetime = NOON + MINUTE) -> CheckAnswered:
    return CheckAnswered(lead_id(number), at, tuple(Enquiry(f"ref-{n}", when) for n, when in enumerate(enquiries, 1)))


def cause_of(message: Any) -> Cause:
    """As it would come off the topic: one id a message."""
    about = getattr(message, "lead_id", None)
    return Cause(f"{type(message).__name__}-{about}", f"story-{about}")


@dataclass
class Story:
    """One client's inputs, decided one after another."""

    policy: Policy = field(default_factory=Policy)
    client: Client = field(default_factory=lambda: Client(KEY))
    events: list[Event] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)

    def tell(self, message: Any, now: datetime) -> "Story":
        if (by_policy := BY_POLICY.get(type(message))) is not None:
            decision: Decision[Client] = by_policy(self.client, message, cause_of(message), now, policy=self.policy)
        else:
            decision = RULES[type(message)](self.client, message, cause_of(message), now)
        self.client = decision.state
        self.events.extend(decision.events)
        self.tasks.extend(decision.tasks)
        return self

    def submit(self, number: int, partner: str = "p1", at: datetime = NOON) -> "Story":
        return self.tell(submitted(number, partner, at), at)

    def confirm(self, number: int = 1, partner: str = "p1") -> "Story":
        """Submitted at noon, confirmed a minute later."""
        return self.submit(number, partner).tell(answered(number), NOON + MINUTE)

    def open(self, number: int = 1) -> "Story":
        return self.tell(opened(number), NOON + 2 * MINUTE)

    def expire(self, number: int = 1) -> "Story":
        return self.tell(expired(number), UNTIL)

    @property
    def verdicts(self) -> dict[int, str]:
        return {message.lead_id.int: _word(message) for message in self.heard(LeadConfirmed, LeadRejected)}

    @property
    def told(self) -> set[tuple[UUID, str]]:
        """Every verdict by its derived id, and what it says."""
        return {
            (derived_id(event.cause.id, event.message.ce_type), _word(event.message))
            for event in self.events
            if event.cause is not None and isinstance(event.message, (LeadConfirmed, LeadRejected))
        }

    def heard(self, *kinds: type) -> list[Any]:
        """The messages of these kinds, in the order they were told."""
        return [event.message for event in self.events if isinstance(event.message, kinds)]

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(task.kind, str(UUID(task.payload.get("lead_id", task.ref)).int)) for task in self.tasks]


BY_POLICY: dict[type, Any] = {
    LeadSubmitted: domain.lead_submitted,
    ReservationOpened: domain.reservation_opened,
    ReservationExtended: domain.reservation_extended,
    ReservationExpired: domain.reservation_expired,
    ReservationClosed: domain.reservation_closed,
    ReservationReopened: domain.reservation_reopened,
    ReservationReinstated: domain.reservation_reinstated,
    ReinstatementRequested: domain.reinstatement_requested,
    CheckAnswered: domain.check_answered,
    JournalEntered: domain.journal_entered,
    EnquirySeen: domain.enquiry_seen,
    SaleSeen: domain.sale_seen,
    Ruled: domain.ruled,
}
RULES: dict[type, Any] = {
    HandedOver: domain.handed_over,
    TakenBack: domain.taken_back,
    JournalUpdated: domain.journal_updated,
    CheckOverdue: domain.check_overdue,
}


def _reservation(number: int, partner: str, at: datetime, until: datetime) -> dict[str, Any]:
    return {
        "lead_id": lead_id(number),
        "client_key": KEY,
        "partner_id": partner,
        "reservation_id": UUID(int=1000 + number),
        "client": "sealed",
        "confirmed_at": at,
        "reserved_through": date(2026, 9, 14),
        "reserved_until": until,
    }


def _word(message: Any) -> str:
    if isinstance(message, LeadRejected):
        return f"{message.reason} ({message.evidence})"
    assert isinstance(message, LeadConfirmed)
    return f"confirmed at {message.confirmed_at}"
