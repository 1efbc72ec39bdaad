"""The arbiter: who holds a client. One client's leads are decided one at a time, in order of receipt.

Facts are stored (leads, what 1C answered, who was granted the client, what became of the reservation), and the
verdicts follow from them. `advance` runs after every input and decides as many leads as the facts suffice for,
so it does not matter in which order the topics brought them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from chassis.decision import Cause, Decision, Event, Task
from contracts.leads import LeadSubmitted
from contracts.message import RejectionReason
from contracts.partners import Partner
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.verdicts import LeadConfirmed, LeadRejected

CHECK: Final = "check"
PARTNER_JOURNAL: Final = "partner-journal"
HAND_OVER: Final = "hand-over"


class Contradiction(Exception):
    """A reservation of a client whom the gateway granted to another lead. Never guessed about: parked."""


@dataclass(frozen=True, slots=True)
class Enquiry:
    """A direct enquiry found in 1C: its reference and its date there."""

    ref: str
    date: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about a lead; `reason` is None for a confirmed one, else the true reason."""

    at: datetime
    reason: RejectionReason | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead of the client. `cause` is its lead-submitted event, named by its verdict whenever that comes."""

    lead_id: UUID
    partner_id: str
    client: str
    received_at: datetime
    number: int
    cause: Cause
    check_asked: bool = False
    checked_at: datetime | None = None
    enquiries: tuple[Enquiry, ...] = ()
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """The client was granted to this lead. How long that lasts is the reservation's to say."""

    lead_id: UUID
    partner_id: str
    confirmed_at: datetime


@dataclass(frozen=True, slots=True)
class Term:
    """What the reservations service said about a lead's reservation, and what 1C was told of it."""

    lead_id: UUID
    confirmed_at: datetime
    until: datetime
    ended_at: datetime | None = None
    journal_at: datetime | None = None
    handed_over_at: datetime | None = None
    enquiry_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """All that is known of one client."""

    key: str
    hold: Hold | None = None
    leads: Mapping[UUID, Lead] = field(default_factory=lambda: MappingProxyType({}))
    terms: Mapping[UUID, Term] = field(default_factory=lambda: MappingProxyType({}))

    def head(self) -> Lead | None:
        """The lead whose turn it is."""
        waiting = (lead for lead in self.leads.values() if lead.verdict is None)
        return min(waiting, key=lambda lead: (lead.received_at, lead.number), default=None)

    def with_lead(self, lead: Lead) -> "Client":
        return Client(self.key, self.hold, MappingProxyType({**self.leads, lead.lead_id: lead}), self.terms)

    def with_term(self, term: Term) -> "Client":
        return Client(self.key, self.hold, self.leads, MappingProxyType({**self.terms, term.lead_id: term}))


@dataclass(frozen=True, slots=True)
class CheckAnswered:
    """1C answered whether it knows the client: every direct enquiry of theirs that it holds."""

    lead_id: UUID
    checked_at: datetime
    enquiries: tuple[Enquiry, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalEntered:
    """The partner journal of 1C holds the entry of this lead."""

    lead_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The client is in the general journal, and not active in the partner journal any more."""

    lead_id: UUID
    at: datetime
    enquiry_ref: str


def lead_submitted(client: Client, message: LeadSubmitted, cause: Cause, now: datetime) -> Decision[Client]:
    """A lead takes its place in the client's queue; the same lead again changes nothing."""
    if message.lead_id in client.leads:
        return Decision(client)
    lead = Lead(
        lead_id=message.lead_id,
        partner_id=message.partner_id,
        client=message.client,
        received_at=message.received_at,
        number=message.number,
        cause=cause,
    )
    return advance(client.with_lead(lead), now)


def check_answered(client: Client, answer: CheckAnswered, _: Cause, now: datetime) -> Decision[Client]:
    """What 1C said is kept as evidence, and decides the lead if nothing else has."""
    lead = client.leads[answer.lead_id]
    return advance(client.with_lead(replace(lead, checked_at=answer.checked_at, enquiries=answer.enquiries)), now)


def reservation_opened(client: Client, message: ReservationOpened, _: Cause, now: datetime) -> Decision[Client]:
    """From now on it is known until when the hold lasts, and the partner journal can say so."""
    _agree(client, message.lead_id)
    if message.lead_id in client.terms:
        return Decision(client)
    term = Term(message.lead_id, message.confirmed_at, message.reserved_until)
    task = Task(PARTNER_JOURNAL, str(message.lead_id), _entry(message))
    return advance(client.with_term(term), now, task)


def reservation_expired(client: Client, message: ReservationExpired, _: Cause, now: datetime) -> Decision[Client]:
    """The client is the builder's; 1C is told."""
    _agree(client, message.lead_id)
    term = client.terms.get(message.lead_id)
    if term is not None and term.ended_at is not None:
        return Decision(client)
    if term is None:
        term = Term(message.lead_id, message.confirmed_at, message.reserved_until)
    ended = replace(term, until=message.reserved_until, ended_at=message.expired_at)
    payload = {**_entry(message), "expired_at": message.expired_at.isoformat()}
    return advance(client.with_term(ended), now, Task(HAND_OVER, str(message.lead_id), payload))


def journal_entered(client: Client, answer: JournalEntered, _: Cause, __: datetime) -> Decision[Client]:
    return Decision(client.with_term(replace(client.terms[answer.lead_id], journal_at=answer.at)))


def handed_over(client: Client, answer: HandedOver, _: Cause, __: datetime) -> Decision[Client]:
    term = replace(client.terms[answer.lead_id], handed_over_at=answer.at, enquiry_ref=answer.enquiry_ref)
    return Decision(client.with_term(term))


def partner_changed(_: Partner | None, message: Partner, __: Cause, ___: datetime) -> Decision[Partner | None]:
    """The partner as it stands now, for the journal's "recommended by"."""
    return Decision(message)


def advance(client: Client, now: datetime, *asked: Task) -> Decision[Client]:
    """Decide the head of the queue as long as the facts suffice. What it waits for will run this again."""
    events: list[Event] = []
    tasks = list(asked)
    while (lead := client.head()) is not None:
        if client.hold is None and lead.lead_id not in client.terms and lead.checked_at is None:
            if not lead.check_asked:
                client = client.with_lead(replace(lead, check_asked=True))
                tasks.append(Task(CHECK, str(lead.lead_id), {"client": lead.client}, lead.cause))
            break
        verdict = _verdict(client, lead, now)
        if verdict is None:
            break
        client = client.with_lead(replace(lead, verdict=verdict))
        if verdict.reason is None:
            client = replace(client, hold=Hold(lead.lead_id, lead.partner_id, verdict.at))
        events.append(Event(_told(client.key, lead, verdict), lead.cause))
    return Decision(client, tuple(events), tuple(tasks))


def _verdict(client: Client, lead: Lead, now: datetime) -> Verdict | None:
    """By the ordered rules, as of the lead's `received_at`; None when a fact is missing."""
    if client.hold is not None:
        return _under_hold(client.hold, client.terms.get(client.hold.lead_id), lead, now)
    if (own := client.terms.get(lead.lead_id)) is not None:
        # It has a reservation, so it was confirmed before: after a restore the same is said again.
        return Verdict(own.confirmed_at)
    before = [enquiry for enquiry in lead.enquiries if enquiry.date <= lead.received_at]
    if before:
        first = min(before, key=lambda enquiry: (enquiry.date, enquiry.ref))
        return Verdict(now, "known-to-builder", first.ref)
    return Verdict(now)


def _under_hold(hold: Hold, term: Term | None, lead: Lead, now: datetime) -> Verdict | None:
    evidence = str(hold.lead_id)
    # A racing lead was received before the hold was granted: whatever the term, it is covered.
    if lead.received_at <= hold.confirmed_at or (term is not None and lead.received_at < term.until):
        own = lead.partner_id == hold.partner_id
        return Verdict(now, "already-yours" if own else "held-by-partner", evidence)
    # A hold is live until its end was seen, whatever the clock says: an extension may be on its way.
    if term is None or term.ended_at is None:
        return None
    return Verdict(now, "known-to-builder", evidence)


def _told(key: str, lead: Lead, verdict: Verdict) -> LeadConfirmed | LeadRejected:
    if verdict.reason is None:
        return LeadConfirmed(
            lead_id=lead.lead_id,
            client_key=key,
            partner_id=lead.partner_id,
            client=lead.client,
            received_at=lead.received_at,
            checked_at=lead.checked_at or verdict.at,
            confirmed_at=verdict.at,
        )
    return LeadRejected(
        lead_id=lead.lead_id,
        client_key=key,
        partner_id=lead.partner_id,
        client=lead.client,
        received_at=lead.received_at,
        rejected_at=verdict.at,
        reason=verdict.reason,
        evidence=verdict.evidence,
    )


def _agree(client: Client, lead_id: UUID) -> None:
    if client.hold is not None and client.hold.lead_id != lead_id:
        raise Contradiction(f"reservation of lead {lead_id}, hold of lead {client.hold.lead_id}")


def _entry(message: ReservationOpened | ReservationExpired) -> dict[str, str]:
    through: date = message.reserved_through
    return {
        "client": message.client,
        "partner_id": message.partner_id,
        "confirmed_at": message.confirmed_at.isoformat(),
        "reserved_through": through.isoformat(),
    }
