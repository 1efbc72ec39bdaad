"""Rules about buyers' cards: several clients on one card, and cards without an enquiry.

Facts of other clients on a card are read under their locks, in the transaction that decides. If they were not loaded
with the input at hand, the lead waits for an input that names them (`LeadWaits`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from services.onec_gateway.domain.cards import Card, Order, phones_on
from services.onec_gateway.domain.model import ClientState, Hold, Lead, Policy

Related = Mapping[str, ClientState]
NONE: Final[Related] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class HeldOnCard:
    """Another client on a card of this one is held. `client_key` is that client's."""

    card: Card
    client_key: str
    hold: Hold


def related_keys(lead: Lead) -> tuple[str, ...]:
    """The keys of all other clients on the lead's cards, sorted."""
    return phones_on(lead.cards)


def is_loaded(client: ClientState, lead: Lead) -> bool:
    """Whether the states of all other clients on the lead's cards were loaded with the input at hand."""
    return all(key in client.related for key in related_keys(lead))


def has_earlier(client: ClientState, lead: Lead) -> bool:
    """Whether another client on the lead's cards has an undecided lead that was received earlier."""
    return any(
        other.verdict is None and other.queue_position < lead.queue_position
        for key in related_keys(lead)
        for other in client.related[key].leads.values()
    )


def held_on_cards(client: ClientState, lead: Lead) -> list[HeldOnCard]:
    """The live holds of the other clients on the lead's cards, by card and client key."""
    return [
        HeldOnCard(card, key, hold)
        for card in lead.cards
        for key in card.phones
        if key in client.related and (hold := live_hold(client.related[key])) is not None
    ]


def held_by_others(client: ClientState, lead: Lead) -> list[HeldOnCard]:
    """Those of them that other partners have."""
    return [held for held in held_on_cards(client, lead) if held.hold.partner_id != lead.partner_id]


def counting(client: ClientState, lead: Lead, policy: Policy) -> Iterator[tuple[Card, Order]]:
    """The cards that may block the lead by themselves, and whether the client was on them at the receipt.

    Left out are the gateway's own cards, those of partners and employees, those too old, and those with an enquiry from
    before the receipt: that one decides.
    """
    if not policy.card_blocks:
        return
    for card in lead.cards:
        has_enquiry = card.enquired_at is not None and card.enquired_at <= lead.received_at + policy.clock_skew
        insiders = any(key in client.related and client.related[key].insider is not None for key in card.phones)
        age = policy.max_enquiry_age
        is_too_old = age is not None and card.since + age <= lead.received_at
        if not (card.ours or has_enquiry or insiders or is_too_old):
            yield card, card.order(lead.received_at, policy.clock_skew, policy.card_look_age)


def cleared(lead: Lead) -> frozenset[str]:
    """The 1C references of which a person ruled that they do not block the lead."""
    ruling = lead.ruling
    return frozenset(ruling.about) if ruling is not None and ruling.confirmed else frozenset()


def with_baseline(lead: Lead, began: datetime) -> Lead:
    """The lead after the first complete read of all cards, which began at `began`: what it found was there then."""
    cards = tuple(
        replace(card, in_baseline=False, first_seen_at=min(card.first_seen_at, began)) if card.in_baseline else card
        for card in lead.cards
    )
    return replace(lead, cards=cards)


def live_hold(client: ClientState) -> Hold | None:
    """The client's hold if no end of its reservation was seen."""
    hold = client.hold
    if hold is None:
        return None
    reservation = client.reservations.get(hold.lead_id)
    return hold if reservation is None or reservation.ended_at is None else None
