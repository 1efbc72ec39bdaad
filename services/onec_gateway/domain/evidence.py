"""Enquiries of the sales office as evidence, and the collisions that are published to the partner manager."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from chassis.decision import Cause, Decision, Event, Task, derived_id
from contracts.verdicts import CollisionDetected, CollisionEvidence, CollisionKind
from services.onec_gateway.domain.cards import SHORTLY
from services.onec_gateway.domain.collisions import Clock, Collision, First
from services.onec_gateway.domain.inputs import CollisionAcknowledged, EnquirySeen, GoneEnquiry
from services.onec_gateway.domain.model import ClientState, Enquiry, Lead, Policy, Sighting
from services.onec_gateway.domain.tasks import mark_enquiry


def with_checked_enquiries(
    client: ClientState, enquiries: tuple[Enquiry, ...], at: datetime, absent_at: Mapping[str, datetime]
) -> ClientState:
    """`client` with the enquiries that a check read at `at` recorded as sightings.

    A new sighting gets the last time when 1C was read without that enquiry: by an earlier check of this client, or by
    the watch (`absent_at`, by reference). Enquiries that the gateway wrote are left out.
    """
    for enquiry in enquiries:
        known = client.sightings.get(enquiry.ref)
        if is_own(client, enquiry) or (known is not None and known.enquiry.date == enquiry.date and not known.deleted):
            continue
        if known is None:
            sighting = Sighting(enquiry, at, _last_read_without(client, enquiry.ref, at, absent_at.get(enquiry.ref)))
        elif known.enquiry.date != enquiry.date:
            sighting = replace(known, enquiry=enquiry, was_dated=known.enquiry.date, deleted=False)
        else:
            sighting = replace(known, deleted=False)
        client = client.with_sighting(sighting)
    return client


def with_gone_enquiries(client: ClientState, gone: tuple[GoneEnquiry, ...], at: datetime) -> ClientState:
    """`client` with the enquiries that it had, and that a check read at `at` did not find, recorded as deleted."""
    for one in gone:
        if not is_own(client, one.enquiry):
            known = client.sightings.get(one.enquiry.ref) or Sighting(one.enquiry, at, in_1c_at=one.in_1c_at)
            client = client.with_sighting(replace(known, deleted=True, alive_at=one.alive_at, gone_at=at))
    return client


def is_own(client: ClientState, enquiry: Enquiry) -> bool:
    """Whether the gateway wrote the enquiry: its reference is known, or may be on its way while a client is moved to or
    from the general journal."""
    reservations = client.reservations.values()
    if enquiry.ref in client.own_enquiries or any(enquiry.ref == one.enquiry_ref for one in reservations):
        return True
    return enquiry.ours and any(
        one.journal_entered_at is None or (one.ended_as == "expired" and one.handed_over_at is None)
        for one in reservations
    )


def changed_sighting(client: ClientState, seen: EnquirySeen) -> Sighting | None:
    """The sighting after the watch read an enquiry; None if nothing changed, or the gateway wrote the enquiry."""
    known = client.sightings.get(seen.enquiry.ref)
    if is_own(client, seen.enquiry):
        return None
    if known is None:
        absent_at = _last_read_without(client, seen.enquiry.ref, seen.at, seen.not_there_at)
        return None if seen.deleted else Sighting(seen.enquiry, seen.at, absent_at, in_1c_at=seen.in_1c_at)
    if known.enquiry.date != seen.enquiry.date and not seen.deleted:
        return replace(known, enquiry=seen.enquiry, was_dated=known.enquiry.date, deleted=False)
    if known.deleted != seen.deleted:
        return replace(known, deleted=seen.deleted)
    return None


def new_collisions(client: ClientState, policy: Policy, now: datetime) -> tuple[ClientState, list[Event], list[Task]]:
    """The collisions that were not published yet: the state that remembers them, their events, and the work rows that
    mark the enquiries in 1C.

    A changed date is published once for each date; every other collision of an enquiry with a lead once.
    """
    events: list[Event] = []
    tasks: list[Task] = []
    for lead, kind, sighting in _collisions(client, policy):
        name = f"{lead.lead_id}/{kind}"
        if kind == "redated":
            name = f"{name}/{sighting.enquiry.date.isoformat()}"
        cause = Cause(f"{sighting.enquiry.ref}/{name}", lead.cause.correlation, lead.cause.traceparent)
        id_ = derived_id(cause.id, CollisionDetected.ce_type)
        if id_ in client.collisions or (
            kind != "redated" and sighting.enquiry.ref in client.collided_with(lead.lead_id)
        ):
            continue
        collision = _collision(id_, lead, kind, sighting, now)
        client = with_collision(client, collision)
        events.append(Event(event_of(client, collision), cause))
        reservation = client.reservations.get(lead.lead_id)
        if reservation is not None and not sighting.deleted:
            tasks.append(
                mark_enquiry(lead.lead_id, lead.partner_id, sighting.enquiry.ref, reservation.reserved_through)
            )
    return client, events, tasks


def collision_acknowledged(
    client: ClientState, message: CollisionAcknowledged, _: Cause, __: datetime
) -> Decision[ClientState]:
    """Record who has seen a collision first. The reply is the collision as it is now; None if there is none."""
    collision = client.collisions.get(message.collision_id)
    if collision is None or collision.seen_at is not None:
        return Decision(client, reply=collision)
    collision = replace(collision, seen_at=message.at, seen_by=message.who)
    return Decision(with_collision(client, collision), reply=collision)


def with_collision(client: ClientState, collision: Collision) -> ClientState:
    """This state with a collision added or replaced."""
    return replace(client, collisions=MappingProxyType({**client.collisions, collision.id: collision}))


def _last_read_without(client: ClientState, ref: str, at: datetime, by_watch: datetime | None) -> datetime | None:
    """When 1C was last read before `at`, by a check of this client or by the watch, and the enquiry was not there."""
    reads = [
        lead.checked_at
        for lead in client.leads.values()
        if lead.checked_at is not None and lead.checked_at < at and all(other.ref != ref for other in lead.enquiries)
    ]
    return max([*reads, *([by_watch] if by_watch is not None else [])], default=None)


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
            if _was_deleted_before(holder, sighting):
                yield holder, "deleted-before", sighting
        elif _was_the_builders(client, holder, sighting):
            continue
        elif sighting.was_dated is not None:
            yield holder, "redated", sighting
        elif sighting.enquiry.date > holder.received_at:
            again = any(other.deleted and other.first_seen_at < sighting.first_seen_at for other in sightings)
            yield holder, "entered-again" if again else "later", sighting
        elif sighting.enquiry.ref not in at_check:
            is_older = sighting.in_1c_at is not None and sighting.in_1c_at <= holder.received_at
            yield holder, "reassigned" if is_older else "backdated", sighting


def _was_deleted_before(holder: Lead, sighting: Sighting) -> bool:
    """Whether the office had the enquiry before the holder's lead, and deleted it shortly before the lead's check."""
    gone_at, checked_at = sighting.gone_at, holder.checked_at
    if gone_at is None or checked_at is None or gone_at > checked_at or sighting.enquiry.date > holder.received_at:
        return False
    # An enquiry that was only ever read as deleted existed at its date.
    return holder.received_at - SHORTLY <= (sighting.alive_at or sighting.enquiry.date)


def _was_the_builders(client: ClientState, holder: Lead, sighting: Sighting) -> bool:
    """Whether the office entered the enquiry while the client was its own: between an expiry and the return."""
    for request in client.reinstatements.values():
        returned_at, expired_at = request.answered_at, request.expired_at
        if request.lead_id != holder.lead_id or returned_at is None:
            continue
        if expired_at is None:
            if client.hold is None or client.hold.confirmed_at != returned_at:
                continue  # the request was rejected
            expired_at = holder.received_at  # the expiry was not recorded with the request
        is_dated_so = expired_at <= sighting.enquiry.date <= returned_at
        is_new_since = sighting.not_there_at is not None and sighting.not_there_at >= returned_at
        if expired_at <= sighting.noticed_at <= returned_at or (is_dated_so and not is_new_since):
            return True
    return False


def _order(lead: Lead, kind: CollisionKind, sighting: Sighting) -> tuple[First, Clock]:
    """Who was first, and by whose clock that is known."""
    if kind == "within-skew":
        return "unclear", "1c"
    if kind == "reassigned":
        return "unclear", "truce"
    if sighting.not_there_at is not None and sighting.not_there_at >= lead.received_at:
        return "lead", "truce"
    if sighting.noticed_at <= lead.received_at:
        return "enquiry", "truce"
    dated = sighting.was_dated or sighting.enquiry.date
    return "lead" if dated > lead.received_at else "enquiry", "1c"


def _collision(id_: UUID, lead: Lead, kind: CollisionKind, sighting: Sighting, now: datetime) -> Collision:
    first, clock = _order(lead, kind, sighting)
    return Collision(
        id=id_,
        lead_id=lead.lead_id,
        partner_id=lead.partner_id,
        kind=kind,
        enquiry=sighting.enquiry.ref,
        enquiry_number=sighting.enquiry.number,
        enquiry_date=sighting.enquiry.date,
        received_at=lead.received_at,
        detected_at=now,
        first_seen_at=sighting.first_seen_at,
        first=first,
        clock=clock,
        not_there_at=sighting.not_there_at,
        was_dated=sighting.was_dated,
        in_1c_at=sighting.in_1c_at,
        alive_at=sighting.alive_at,
    )


def event_of(client: ClientState, collision: Collision) -> CollisionDetected:
    """The event that publishes a collision."""
    reservation = client.reservations.get(collision.lead_id)
    return CollisionDetected(
        lead_id=collision.lead_id,
        client_key=client.key,
        partner_id=collision.partner_id,
        kind=collision.kind,
        enquiry=collision.enquiry,
        enquiry_number=collision.enquiry_number,
        enquiry_date=collision.enquiry_date,
        received_at=collision.received_at,
        confirmed_at=reservation.confirmed_at if reservation is not None else None,
        reserved_through=reservation.reserved_through if reservation is not None else None,
        first_seen_at=collision.first_seen_at,
        not_there_at=collision.not_there_at,
        was_dated=collision.was_dated,
        collision_id=collision.id,
        evidence=CollisionEvidence(
            first=collision.first,
            clock=collision.clock,
            date_changed=collision.was_dated is not None,
            in_1c_at=collision.in_1c_at,
            alive_at=collision.alive_at,
        ),
        card=collision.card,
        other_lead_id=collision.other_lead_id,
        other_partner_id=collision.other_partner_id,
    )
