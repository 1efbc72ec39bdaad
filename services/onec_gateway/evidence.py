"""Enquiries of the sales office as evidence, and the collisions that the partner manager is told of."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from chassis.decision import Cause, Event, Task
from contracts.verdicts import CollisionDetected, CollisionKind
from services.onec_gateway.facts import Client, Enquiry, Lead, Sighting
from services.onec_gateway.rules import Policy

MARK: Final = "mark-enquiry"


@dataclass(frozen=True, slots=True)
class Watched:
    """How far the watching of 1C had come: the highest enquiry number it had seen, and when it began to look."""

    number: str
    at: datetime


def sighted(client: Client, enquiries: tuple[Enquiry, ...], at: datetime, watched: Watched | None) -> Client:
    """Enquiries that a check found, as sightings: when each was first seen, and when it was not there yet."""
    for enquiry in enquiries:
        known = client.sightings.get(enquiry.ref)
        if enquiry.ours or (known is not None and known.enquiry.date == enquiry.date):
            continue
        if known is not None:
            client = client.with_sighting(replace(known, enquiry=enquiry, was_dated=known.enquiry.date))
            continue
        looked = [
            lead.checked_at
            for lead in client.leads.values()
            if lead.checked_at is not None
            and lead.checked_at < at
            and all(one.ref != enquiry.ref for one in lead.enquiries)
        ]
        if watched is not None and is_later_number(enquiry.number, watched.number):
            looked.append(watched.at)
        client = client.with_sighting(Sighting(enquiry, at, max(looked, default=None)))
    return client


def is_later_number(number: str, than: str) -> bool:
    """Whether 1C gave out the document number `number` after `than`; numbers of another series cannot be compared."""
    head, digits = _number(number)
    other, others = _number(than)
    return len(number) == len(than) and head == other and digits > others


def _number(text: str) -> tuple[str, int]:
    head = text.rstrip("0123456789")
    return head, int(text[len(head) :] or 0)


def collisions_of(client: Client, policy: Policy) -> tuple[Client, list[Event], list[Task]]:
    events: list[Event] = []
    tasks: list[Task] = []
    for lead, kind, sighting in _collided(client, policy):
        told = f"{lead.lead_id}/{kind}"
        if kind == "redated":
            told = f"{told}/{sighting.enquiry.date.isoformat()}"
        if sighting.told == told or (kind != "redated" and sighting.told.startswith(f"{lead.lead_id}/")):
            continue
        client = client.with_sighting(replace(sighting, told=told))
        term = client.terms.get(lead.lead_id)
        message = CollisionDetected(
            lead_id=lead.lead_id,
            client_key=client.key,
            partner_id=lead.partner_id,
            kind=kind,
            enquiry=sighting.enquiry.ref,
            enquiry_number=sighting.enquiry.number,
            enquiry_date=sighting.enquiry.date,
            received_at=lead.received_at,
            confirmed_at=term.confirmed_at if term is not None else None,
            reserved_through=term.through if term is not None else None,
            first_seen_at=sighting.first_seen_at,
            not_there_at=sighting.not_there_at,
            was_dated=sighting.was_dated,
        )
        cause = Cause(f"{sighting.enquiry.ref}/{told}", lead.cause.correlation, lead.cause.traceparent)
        events.append(Event(message, cause))
        if term is not None:
            tasks.append(mark(lead.lead_id, lead.partner_id, sighting.enquiry.ref, term.through))
    return client, events, tasks


def _collided(client: Client, policy: Policy) -> Iterator[tuple[Lead, CollisionKind, Sighting]]:
    """Each lead that an enquiry came in the way of, and how."""
    sightings = sorted(client.sightings.values(), key=lambda one: one.enquiry.ref)
    holder = client.held_by()
    if holder is not None and holder.lead_id in client.terms:
        at_check = {one.ref for one in holder.enquiries}
        for one in sightings:
            if not one.deleted:
                if one.was_dated is not None:
                    yield holder, "redated", one
                elif one.enquiry.date > holder.received_at:
                    again = any(other.deleted and other.first_seen_at < one.first_seen_at for other in sightings)
                    yield holder, "entered-again" if again else "later", one
                elif one.enquiry.ref not in at_check:
                    yield holder, "backdated", one
    for lead in client.leads.values():
        for found in lead.enquiries:
            sighting = client.sightings.get(found.ref)
            if sighting is None:
                continue
            absent = sighting.not_there_at
            if lead.verdict is None and abs(found.date - lead.received_at) <= policy.skew:
                yield lead, "within-skew", sighting
            elif (
                lead.verdict is not None
                and lead.verdict.evidence == found.ref
                and absent is not None
                and absent >= lead.received_at
            ):
                # Rejected by an enquiry that was entered after the lead had come: by the rule, but not in silence.
                yield lead, "backdated", sighting


def mark(lead_id: UUID, partner_id: str, enquiry: str, through: str) -> Task:
    payload = {"lead_id": str(lead_id), "partner_id": partner_id, "enquiry": enquiry, "reserved_through": through}
    return Task(MARK, f"{enquiry}/{lead_id}/{through}", payload)
