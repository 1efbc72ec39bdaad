"""The arbiter: who holds a client. One client's leads are decided one at a time, in order of receipt.

Facts are stored (leads, what 1C answered, who was granted the client, what became of the reservation), and the
verdicts follow from them. `advance` runs after every input and decides as many leads as the facts suffice for,
so it does not matter in which order the topics brought them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from chassis.decision import Cause, Decision, Event, Task
from contracts.leads import LeadSubmitted
from contracts.partners import Partner
from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
)
from contracts.verdicts import (
    DealCancelled,
    DealClosed,
    LeadCheckDelayed,
    LeadConfirmed,
    LeadRejected,
    ReinstatementConfirmed,
    ReinstatementRejected,
)
from services.onec_gateway.evidence import Watched, collisions_of, mark, sighted
from services.onec_gateway.facts import (
    Client,
    Deal,
    Enquiry,
    Hold,
    Lead,
    Reinstatement,
    Ruling,
    Sale,
    Sighting,
    Term,
    Verdict,
)
from services.onec_gateway.rules import Policy, unsettled, verdict_on

CHECK: Final = "check"
PARTNER_JOURNAL: Final = "partner-journal"
JOURNAL_UPDATE: Final = "partner-journal-update"
HAND_OVER: Final = "hand-over"
TAKE_BACK: Final = "take-back"

AnyReservation = (
    ReservationOpened
    | ReservationExtended
    | ReservationExpired
    | ReservationReinstated
    | ReservationClosed
    | ReservationReopened
)


class Contradiction(Exception):
    """A reservation of a client whom the gateway granted to another lead. Never guessed about: parked."""


@dataclass(frozen=True, slots=True)
class CheckAnswered:
    """1C answered whether it knows the client: every direct enquiry of theirs that it holds, and every sale."""

    lead_id: UUID
    checked_at: datetime
    enquiries: tuple[Enquiry, ...] = ()
    sales: tuple[Sale, ...] = ()
    watched: Watched | None = None


@dataclass(frozen=True, slots=True)
class JournalEntered:
    """The partner journal of 1C holds the entry of this lead. `enquiries`: what a second check before it found."""

    lead_id: UUID
    at: datetime
    enquiries: tuple[Enquiry, ...] = ()
    watched: Watched | None = None


@dataclass(frozen=True, slots=True)
class JournalUpdated:
    """The partner journal says what became of the reservation; with a mark, the enquiry says whose client it is."""

    lead_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The client is in the general journal, and not active in the partner journal any more."""

    lead_id: UUID
    at: datetime
    enquiry_ref: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The client is active in the partner journal again, and our enquiry is gone from the general one."""

    lead_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class CheckOverdue:
    """The clock says that this lead may have waited for its verdict for too long; the rule looks again."""

    lead_id: UUID


@dataclass(frozen=True, slots=True)
class EnquirySeen:
    """The watching came upon an enquiry of this client: new, changed, or gone (`deleted`)."""

    enquiry: Enquiry
    at: datetime
    not_there_at: datetime | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class SaleSeen:
    """The watching came upon a sale to this client, or somebody tied one to a lead: `lead_id`, `who`, `why`."""

    sale: Sale
    at: datetime
    lead_id: UUID | None = None
    who: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Ruled:
    """The partner manager decided a lead under review."""

    lead_id: UUID
    ruling: Ruling


# --- what comes from topics ---


def lead_submitted(
    client: Client, message: LeadSubmitted, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
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
    return advance(client.with_lead(lead), now, policy)


def reservation_opened(
    client: Client, message: ReservationOpened, _: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """From now on it is known until when the hold lasts, and the partner journal can say so."""
    _agree(client, message.lead_id)
    if message.lead_id in client.terms:
        return Decision(client)
    lead = client.leads.get(message.lead_id)
    checked_at = lead.checked_at if lead is not None else None
    payload = {**_entry(message), **({"checked_at": checked_at.isoformat()} if checked_at else {})}
    task = Task(PARTNER_JOURNAL, str(message.lead_id), payload)
    return advance(client.with_term(_term(message)), now, policy, task)


def reservation_extended(
    client: Client, message: ReservationExtended, _: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """The hold lasts longer, and the partner journal and every marked enquiry say so."""
    _agree(client, message.lead_id)
    term = client.terms.get(message.lead_id)
    if term is not None and term.until >= message.reserved_until:
        return Decision(client)
    after = client.with_term(
        replace(term or _term(message), until=message.reserved_until, through=message.reserved_through.isoformat())
    )
    return advance(after, now, policy, _update(message, "active", message.request_id), *_marks(after, message))


def reservation_expired(
    client: Client, message: ReservationExpired, _: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """The client is the builder's; 1C is told."""
    _agree(client, message.lead_id)
    term = client.terms.get(message.lead_id)
    if term is not None and (term.ended_at is not None or message.reserved_until < term.until):
        return Decision(client)
    ended = replace(
        term or _term(message), until=message.reserved_until, ended_at=message.expired_at, ended_as="expired"
    )
    payload = {**_entry(message), "expired_at": message.expired_at.isoformat()}
    task = Task(HAND_OVER, _step(message, message.reserved_until), payload)
    return advance(client.with_term(ended), now, policy, task)


def reservation_closed(
    client: Client, message: ReservationClosed, _: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """Won, the client is a buyer; withdrawn, free again. The partner journal says which."""
    _agree(client, message.lead_id)
    term = client.terms.get(message.lead_id) or _term(message)
    # Of a sale within the term the news may come after the expiry, and corrects it.
    if term.ended_at is not None and not (term.ended_as == "expired" and message.outcome == "won"):
        return Decision(client)
    after = client.with_term(replace(term, ended_at=message.closed_at, ended_as=message.outcome))
    if message.outcome == "withdrawn":
        after = replace(after, hold=None)
    return advance(after, now, policy, _update(message, message.outcome, message.closed_at))


def reservation_reopened(
    client: Client, message: ReservationReopened, _: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """The sale is void: the hold is live for what is left of its term."""
    _agree(client, message.lead_id)
    term = client.terms.get(message.lead_id)
    if term is not None and term.ended_as != "won":
        return Decision(client)
    after = client.with_term(replace(term or _term(message), ended_at=None, ended_as=None))
    return advance(after, now, policy, _update(message, "active", message.reopened_at))


def reservation_reinstated(
    client: Client, message: ReservationReinstated, _: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """The client goes back from the general journal to the partner journal."""
    _agree(client, message.lead_id)
    term = client.terms.get(message.lead_id)
    if term is not None and term.until >= message.reserved_until:
        return Decision(client)
    after = client.with_term(_term(message))
    task = Task(TAKE_BACK, _step(message, message.request_id), _entry(message))
    return advance(after, now, policy, task, *_marks(after, message))


def reinstatement_requested(
    client: Client, message: ReinstatementRequested, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """A request to return the client takes its place in the queue."""
    if message.request_id in client.reinstatements:
        return Decision(client)
    asked = Reinstatement(message.request_id, message.lead_id, message.partner_id, message.requested_at, cause)
    return advance(client.with_reinstatement(asked), now, policy)


# --- what comes of calls to 1C, of the watching, of the clock and of people ---


def check_answered(
    client: Client, answer: CheckAnswered, _: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """What 1C said is kept as evidence, and decides the lead if nothing else has."""
    lead = client.leads[answer.lead_id]
    checked = replace(lead, checked_at=answer.checked_at, enquiries=answer.enquiries, sales=answer.sales)
    return advance(sighted(client.with_lead(checked), answer.enquiries, answer.checked_at, answer.watched), now, policy)


def journal_entered(
    client: Client, answer: JournalEntered, _: Cause, now: datetime, *, policy: Policy
) -> Decision[Client]:
    """What the second check found newly is a collision to tell, not a reason to withdraw."""
    entered = client.with_term(replace(client.terms[answer.lead_id], journal_at=answer.at))
    return advance(sighted(entered, answer.enquiries, answer.at, answer.watched), now, policy)


def journal_updated(client: Client, _: JournalUpdated, __: Cause, ___: datetime) -> Decision[Client]:
    return Decision(client)


def handed_over(client: Client, answer: HandedOver, _: Cause, __: datetime) -> Decision[Client]:
    term = replace(client.terms[answer.lead_id], handed_over_at=answer.at, enquiry_ref=answer.enquiry_ref)
    return Decision(client.with_term(term))


def taken_back(client: Client, answer: TakenBack, _: Cause, __: datetime) -> Decision[Client]:
    term = replace(client.terms[answer.lead_id], journal_at=answer.at, handed_over_at=None, enquiry_ref=None)
    return Decision(client.with_term(term))


def check_overdue(client: Client, due: CheckOverdue, _: Cause, now: datetime) -> Decision[Client]:
    """Told once, and only while the lead is still under review."""
    lead = client.leads.get(due.lead_id)
    if lead is None or lead.verdict is not None or lead.delayed_at is not None:
        return Decision(client)
    event = LeadCheckDelayed(
        lead_id=lead.lead_id,
        client_key=client.key,
        partner_id=lead.partner_id,
        client=lead.client,
        received_at=lead.received_at,
        delayed_at=now,
    )
    return Decision(client.with_lead(replace(lead, delayed_at=now)), (Event(event, lead.cause),))


def enquiry_seen(client: Client, seen: EnquirySeen, _: Cause, now: datetime, *, policy: Policy) -> Decision[Client]:
    """A walk-in, or an enquiry that was changed: evidence, and a collision if the client is held."""
    before = client.sightings.get(seen.enquiry.ref)
    if before is None:
        if seen.deleted:
            return Decision(client)
        sighting = Sighting(seen.enquiry, seen.at, seen.not_there_at)
    elif before.enquiry.date != seen.enquiry.date and not seen.deleted:
        sighting = replace(before, enquiry=seen.enquiry, was_dated=before.enquiry.date, deleted=False)
    elif before.deleted != seen.deleted:
        sighting = replace(before, deleted=seen.deleted)
    else:
        return Decision(client)
    return advance(client.with_sighting(sighting), now, policy)


def sale_seen(client: Client, seen: SaleSeen, _: Cause, now: datetime, *, policy: Policy) -> Decision[Client]:
    """A sale to a client of ours is told once, and once that it is void. The reply is the lead it is tied to."""
    known = client.deals.get(seen.sale.ref)
    if known is None:
        lead_id = seen.lead_id or (client.hold.lead_id if client.hold is not None else None)
        if lead_id is None or lead_id not in client.leads or seen.sale.cancelled:
            return Decision(client)
        deal = Deal(seen.sale, lead_id, seen.at, seen.who)
        return _also(advance(client.with_deal(deal), now, policy), _closed(client, deal))._replace(reply=lead_id)
    if seen.sale.cancelled and known.cancelled_at is None:
        void = replace(known, cancelled_at=seen.at)
        decision = _also(advance(client.with_deal(void), now, policy), _cancelled(client, void))
        return decision._replace(reply=known.lead_id)
    return Decision(client, reply=known.lead_id)


def ruled(client: Client, message: Ruled, _: Cause, now: datetime, *, policy: Policy) -> Decision[Client]:
    """People decide what the facts could not; a lead that is decided stays so."""
    lead = client.leads.get(message.lead_id)
    if lead is None or lead.verdict is not None:
        return Decision(client)
    return advance(client.with_lead(replace(lead, ruling=message.ruling)), now, policy)


def advance(client: Client, now: datetime, policy: Policy, *asked: Task) -> Decision[Client]:
    """Decide the head of the queue as long as the facts suffice. What it waits for will run this again."""
    events: list[Event] = []
    tasks = list(asked)
    while (head := client.head()) is not None:
        if isinstance(head, Reinstatement):
            client, answered = _reinstate(client, head, now)
            events.append(answered)
            continue
        if unsettled(client, head):
            break
        verdict, asks = verdict_on(client, head, now, policy)
        if verdict is None:
            if asks and not head.check_asked:
                client = client.with_lead(replace(head, check_asked=True))
                tasks.append(Task(CHECK, str(head.lead_id), {"client": head.client}, head.cause))
            break
        client = client.with_lead(replace(head, verdict=verdict))
        if verdict.reason is None:
            client = replace(client, hold=Hold(head.lead_id, head.partner_id, verdict.at))
        events.append(Event(_told(client.key, head, verdict), head.cause))
    if client.sightings:
        client, collisions, marks = collisions_of(client, policy)
        events.extend(collisions)
        tasks.extend(marks)
    return Decision(client, tuple(events), tuple(tasks))


def _reinstate(client: Client, asked: Reinstatement, now: datetime) -> tuple[Client, Event]:
    """Granted unless another lead holds the client by now, or the client has bought."""
    about = {"lead_id": asked.lead_id, "client_key": client.key, "partner_id": asked.partner_id}
    hold = client.hold
    term = client.terms.get(hold.lead_id) if hold is not None else None
    live = hold is not None and (term is None or term.ended_at is None)
    sold = sorted(ref for ref, deal in client.deals.items() if deal.cancelled_at is None)
    refusal: ReinstatementRejected | None = None
    if hold is not None and live and hold.lead_id != asked.lead_id:
        refusal = ReinstatementRejected(
            **about,
            request_id=asked.request_id,
            rejected_at=now,
            reason="held-by-partner",
            evidence=str(hold.lead_id),
        )
    elif sold or any(term.ended_as == "won" for term in client.terms.values()):
        evidence = sold[0] if sold else None
        refusal = ReinstatementRejected(
            **about, request_id=asked.request_id, rejected_at=now, reason="already-sold", evidence=evidence
        )
    client = client.with_reinstatement(replace(asked, answered_at=now))
    if refusal is not None:
        return client, Event(refusal, asked.cause)
    client = replace(client, hold=Hold(asked.lead_id, asked.partner_id, now))
    if (own := client.terms.get(asked.lead_id)) is not None:
        client = client.with_term(replace(own, ended_at=None, ended_as=None))
    granted = ReinstatementConfirmed(**about, request_id=asked.request_id, confirmed_at=now)
    return client, Event(granted, asked.cause)


# --- what is told and asked for ---


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


def _closed(client: Client, deal: Deal) -> Event:
    lead, sale = client.leads[deal.lead_id], deal.sale
    message = DealClosed(
        lead_id=lead.lead_id,
        client_key=client.key,
        partner_id=lead.partner_id,
        deal=sale.ref,
        amount=sale.amount,
        currency=sale.currency,
        contract_number=sale.contract_number,
        sold_on=sale.sold_on,
        noticed_at=deal.noticed_at,
        linked_by=deal.linked_by,
    )
    return Event(message, _of_deal(lead, sale))


def _cancelled(client: Client, deal: Deal) -> Event:
    lead, sale = client.leads[deal.lead_id], deal.sale
    message = DealCancelled(
        lead_id=lead.lead_id,
        client_key=client.key,
        partner_id=lead.partner_id,
        deal=sale.ref,
        amount=sale.amount,
        currency=sale.currency,
        contract_number=sale.contract_number,
        sold_on=sale.sold_on,
        cancelled_at=deal.cancelled_at or deal.noticed_at,
    )
    return Event(message, _of_deal(lead, sale))


def _of_deal(lead: Lead, sale: Sale) -> Cause:
    # One sale may be told of to one lead: what follows from it has one id, whoever notices it again.
    return Cause(f"deal/{sale.ref}", lead.cause.correlation, lead.cause.traceparent)


def _also(decision: Decision[Client], event: Event) -> Decision[Client]:
    return decision._replace(events=(*decision.events, event))


def _agree(client: Client, lead_id: UUID) -> None:
    term = client.terms.get(lead_id)
    over = term is not None and term.ended_at is not None
    if client.hold is not None and client.hold.lead_id != lead_id and not over:
        raise Contradiction(f"reservation of lead {lead_id}, hold of lead {client.hold.lead_id}")


def _term(message: AnyReservation) -> Term:
    return Term(message.lead_id, message.confirmed_at, message.reserved_until, message.reserved_through.isoformat())


def _update(message: AnyReservation, state: str, step: object) -> Task:
    return Task(JOURNAL_UPDATE, _step(message, step), {**_entry(message), "state": state})


def _step(message: AnyReservation, step: object) -> str:
    return f"{message.lead_id}/{step.isoformat() if isinstance(step, datetime) else step}"


def _marks(client: Client, message: AnyReservation) -> Iterator[Task]:
    """The marked enquiries of this client, to be marked anew with the date it is now."""
    for ref, sighting in client.sightings.items():
        if sighting.told.startswith(f"{message.lead_id}/") and not sighting.deleted:
            yield mark(message.lead_id, message.partner_id, ref, message.reserved_through.isoformat())


def _entry(message: AnyReservation) -> dict[str, str]:
    return {
        "lead_id": str(message.lead_id),
        "client": message.client,
        "partner_id": message.partner_id,
        "confirmed_at": message.confirmed_at.isoformat(),
        "reserved_through": message.reserved_through.isoformat(),
    }


# --- partners ---


@dataclass(frozen=True, slots=True)
class KnownPartner:
    """A partner as it stands now. `phone_key`: the client key of its phone, since partners are nobody's clients."""

    partner: Partner
    phone_key: str | None = None


def partner_changed(
    _: KnownPartner | None, message: Partner, __: Cause, ___: datetime, *, identify: Callable[[Partner], str | None]
) -> Decision[KnownPartner | None]:
    """The partner as it stands now, for the journal's "recommended by"."""
    return Decision(KnownPartner(message, identify(message)))
