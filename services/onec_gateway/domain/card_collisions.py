"""Collisions about cards: another partner holds a client on the same card, or the office made a card after a lead."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from chassis.decision import Cause, Decision, Event, derived_id
from contracts.verdicts import CollisionDetected
from services.onec_gateway.domain.card_rules import NONE, Related, counting, held_by_others, live_hold
from services.onec_gateway.domain.cards import Card, Order
from services.onec_gateway.domain.collisions import Collision
from services.onec_gateway.domain.evidence import event_of, with_collision
from services.onec_gateway.domain.inputs import SharedCardSeen
from services.onec_gateway.domain.model import ClientState, Hold, Lead, Policy

Published = tuple[ClientState, list[Event]]


def same_card_collisions(client: ClientState, lead: Lead, now: datetime) -> Published:
    """The collisions with other partners that hold other clients on the lead's cards, those that were not published."""
    events: list[Event] = []
    for held in held_by_others(client, lead):
        client, event = same_card_collision(client, lead, held.card, held.hold, now)
        events.extend(event)
    return client, events


def card_collisions(client: ClientState, lead: Lead, policy: Policy, now: datetime) -> Published:
    """The collisions of a confirmed lead with cards that the office made after it was received."""
    events: list[Event] = []
    for card, order in counting(client, lead, policy):
        if order is Order.AFTER:
            client, event = _publish(client, lead, "card", card, None, now)
            events.extend(event)
    return client, events


def shared_card_seen(
    client: ClientState, seen: SharedCardSeen, _: Cause, now: datetime, related: Related = NONE
) -> Decision[ClientState]:
    """Publish that two partners hold clients of one card, which was merged after their leads were confirmed."""
    holder, other = client.holder(), related.get(seen.other)
    hold = live_hold(other) if other is not None else None
    if holder is None or hold is None or hold.partner_id == holder.partner_id:
        return Decision(client)
    client, events = same_card_collision(client, holder, Card(seen.card, seen.first_seen_at), hold, now)
    return Decision(client, tuple(events))


def same_card_collision(client: ClientState, lead: Lead, card: Card, hold: Hold, now: datetime) -> Published:
    """The collision of a lead with another partner's hold of another client on a card; no event if it was published."""
    return _publish(client, lead, "same-card", card, hold, now)


def _publish(
    client: ClientState, lead: Lead, kind: Literal["card", "same-card"], card: Card, hold: Hold | None, now: datetime
) -> Published:
    other: UUID | None = hold.lead_id if hold is not None else None
    cause = Cause(f"{card.ref}/{lead.lead_id}/{kind}/{other or ''}", lead.cause.correlation, lead.cause.traceparent)
    id_ = derived_id(cause.id, CollisionDetected.ce_type)
    if id_ in client.collisions:
        return client, []
    by_truce = card.not_there_at is not None and card.not_there_at >= lead.received_at
    collision = Collision(
        id=id_,
        lead_id=lead.lead_id,
        partner_id=lead.partner_id,
        kind=kind,
        enquiry=card.ref,
        enquiry_number="",
        enquiry_date=card.since,
        received_at=lead.received_at,
        detected_at=now,
        first_seen_at=card.first_seen_at,
        first="lead" if kind == "card" else "unclear",
        clock="truce" if by_truce or card.created is None or kind == "same-card" else "1c",
        not_there_at=card.not_there_at,
        in_1c_at=card.first_seen_at,
        card=card.ref,
        other_lead_id=other,
        other_partner_id=hold.partner_id if hold is not None else None,
    )
    return with_collision(client, collision), [Event(event_of(client, collision), cause)]
