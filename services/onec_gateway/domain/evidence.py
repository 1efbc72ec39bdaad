"""Enquiries of the sales office as evidence, and the collisions that are published to the partner manager."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from chassis.decision import Cause, Event, Task
from contracts.verdicts import CollisionDetected, CollisionKind
from services.onec_gateway.domain.inputs import EnquirySeen, Watermark
from services.onec_gateway.domain.model import ClientState, Enquiry, Lead, Policy, Sighting
from services.onec_gateway.domain.tasks import mark_enquiry


def with_checked_enquiries(
    client: ClientState, enquiries: tuple[Enquiry, ...], at: datetime, watermark: Watermark | None
) -> ClientState:
    """`client` with the enquiries that a check read at `at` recorded as sightings.

    A new sighting gets the last time when 1C was read without that enquiry: by an earlier check of this client, or by
    the watch, if the enquiry's number is above the watermark. Enquiries that the gateway wrote are left out.
    """
    for enquiry in enquiries:
        known = client.sightings.get(enquiry.ref)
        if enquiry.ours or (known is not None and known.enquiry.date == enquiry.date):
            continue
        if known is not None:
            client = client.with_sighting(replace(known, enquiry=enquiry, was_dated=known.enquiry.date))
            continue
        read_without = [
            lead.checked_at
            for lead in client.leads.values()
            if lead.checked_at is not None
            and lead.checked_at < at
            and all(other.ref != enquiry.ref for other in lead.enquiries)
        ]
        if watermark is not None and is_later_number(enquiry.number, watermark.number):
            read_without.append(watermark.at)
        client = client.with_sighting(Sighting(enquiry, at, max(read_without, default=None)))
    return client


def changed_sighting(known: Sighting | None, seen: EnquirySeen) -> Sighting | None:
    """The sighting after the watch read its enquiry again; None if nothing changed."""
    if known is None:
        return None if seen.deleted else Sighting(seen.enquiry, seen.at, seen.not_there_at)
    if known.enquiry.date != seen.enquiry.date and not seen.deleted:
        return replace(known, enquiry=seen.enquiry, was_dated=known.enquiry.date, deleted=False)
    if known.deleted != seen.deleted:
        return replace(known, deleted=seen.deleted)
    return None


def is_later_number(number: str, than: str) -> bool:
    """Whether 1C assigned document number `number` after `than`. False if they belong to different series: their
    letters or their lengths differ."""
    prefix, digits = _split(number)
    other_prefix, other_digits = _split(than)
    return len(number) == len(than) and prefix == other_prefix and digits > other_digits


def _split(number: str) -> tuple[str, int]:
    prefix = number.rstrip("0123456789")
    return prefix, int(number[len(prefix) :] or 0)


def new_collisions(client: ClientState, policy: Policy) -> tuple[ClientState, list[Event], list[Task]]:
    """The collisions that were not published yet: the state that remembers them, their events, and the work rows that
    mark the enquiries in 1C.

    A changed date is published once for each date; every other collision of an enquiry with a lead once.
    """
    events: list[Event] = []
    tasks: list[Task] = []
    for lead, kind, sighting in _collisions(client, policy):
        collision = f"{lead.lead_id}/{kind}"
        if kind == "redated":
            collision = f"{collision}/{sighting.enquiry.date.isoformat()}"
        published = sighting.collisions
        if collision in published or (
            kind != "redated" and any(earlier.startswith(f"{lead.lead_id}/") for earlier in published)
        ):
            continue
        sighting = replace(sighting, earlier_collisions=published, last_collision=collision)
        client = client.with_sighting(sighting)
        reservation = client.reservations.get(lead.lead_id)
        message = CollisionDetected(
            lead_id=lead.lead_id,
            client_key=client.key,
            partner_id=lead.partner_id,
            kind=kind,
            enquiry=sighting.enquiry.ref,
            enquiry_number=sighting.enquiry.number,
            enquiry_date=sighting.enquiry.date,
            received_at=lead.received_at,
            confirmed_at=reservation.confirmed_at if reservation is not None else None,
            reserved_through=reservation.reserved_through if reservation is not None else None,
            first_seen_at=sighting.first_seen_at,
            not_there_at=sighting.not_there_at,
            was_dated=sighting.was_dated,
        )
        cause = Cause(f"{sighting.enquiry.ref}/{collision}", lead.cause.correlation, lead.cause.traceparent)
        events.append(Event(message, cause))
        if reservation is not None:
            tasks.append(
                mark_enquiry(lead.lead_id, lead.partner_id, sighting.enquiry.ref, reservation.reserved_through)
            )
    return client, events, tasks


def _collisions(client: ClientState, policy: Policy) -> Iterator[tuple[Lead, CollisionKind, Sighting]]:
    """Each pair of a lead and an enquiry of the office that collide, and the kind of the collision."""
    yield from _collisions_with_holder(client)
    for lead in client.leads.values():
        for enquiry in lead.enquiries:
            sighting = client.sightings.get(enquiry.ref)
            if sighting is None:
                continue
            absent_at = sighting.not_there_at
            if lead.verdict is None and abs(enquiry.date - lead.received_at) <= policy.clock_skew:
                yield lead, "within-skew", sighting
            elif (
                lead.verdict is not None
                and lead.verdict.reason is not None
                and lead.verdict.evidence == enquiry.ref
                and absent_at is not None
                and absent_at >= lead.received_at
            ):
                # The lead was rejected by an enquiry that was entered after the lead was received. The rule stands,
                # but the partner manager is notified.
                yield lead, "backdated", sighting


def _collisions_with_holder(client: ClientState) -> Iterator[tuple[Lead, CollisionKind, Sighting]]:
    holder = client.holder()
    if holder is None or holder.lead_id not in client.reservations:
        return
    at_check = {enquiry.ref for enquiry in holder.enquiries}
    sightings = sorted(client.sightings.values(), key=lambda sighting: sighting.enquiry.ref)
    for sighting in sightings:
        if sighting.deleted:
            continue
        if sighting.was_dated is not None:
            yield holder, "redated", sighting
        elif sighting.enquiry.date > holder.received_at:
            again = any(other.deleted and other.first_seen_at < sighting.first_seen_at for other in sightings)
            yield holder, "entered-again" if again else "later", sighting
        elif sighting.enquiry.ref not in at_check:
            yield holder, "backdated", sighting
