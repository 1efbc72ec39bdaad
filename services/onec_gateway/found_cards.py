"""Cards that a check found, as the rules read them: since when each is known, and whose numbers are on it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.onec_gateway.domain.cards import SHORTLY, Card
from services.onec_gateway.domain.inputs import GoneEnquiry
from services.onec_gateway.onec import phones
from services.onec_gateway.onec.search import ClientRecords, FoundCard
from services.onec_gateway.store.mirror import Mirror, Sight
from services.onec_gateway.unsealing import Unsealer

Keys = tuple[str, str]
"""The key of a whole number and of its last digits."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client that a check read at some time: its keys, its records in 1C, and the enquiries that it has no more."""

    keys: Keys
    records: ClientRecords
    gone: Sequence[GoneEnquiry]


async def cards_of(
    clients: Sequence[Client], mirror: Mirror, unsealer: Unsealer, read_at: datetime
) -> list[tuple[Card, ...]]:
    """The cards of each client, in the order of `clients`. The mirror takes note of the cards."""
    sights = await mirror.note_cards(
        ((client.keys, card) for client in clients for card in client.records.cards), read_at
    )
    held = [card for client in clients for card in client.records.held]
    tails = {unsealer.key_of(tail) for card in held for tail in card.numbers.tails}
    with_tails = await mirror.clients_with_tails(tails)
    on_cards = {card.ref: frozenset(_clients_on(card, unsealer, with_tails)) for card in held}
    return [tuple(_cards(client, sights, on_cards, read_at)) for client in clients]


def _clients_on(card: FoundCard, unsealer: Unsealer, with_tails: Mapping[str, Sequence[str]]) -> Iterable[str]:
    yield from (unsealer.key_of(number) for number in card.numbers.full if phones.is_possible(number))
    for tail in card.numbers.tails:
        yield from with_tails.get(unsealer.key_of(tail), ())


def _cards(
    client: Client, sights: Mapping[tuple[str, str], Sight], on_cards: Mapping[str, frozenset[str]], read_at: datetime
) -> Iterable[Card]:
    key = client.keys[0]
    own: set[str] = set()
    # People copy cards with their comments: of several cards with one marker the gateway created the first.
    for card in sorted(
        client.records.held, key=lambda card: (card.created or sights[key, card.ref].first_seen_at, card.ref)
    ):
        sight = sights[key, card.ref]
        is_own = bool(card.made_for) and card.made_for not in own
        own.add(card.made_for)
        yield Card(
            ref=card.ref,
            first_seen_at=sight.first_seen_at,
            not_there_at=sight.not_there_at,
            created=card.created,
            created_before=card.created_before,
            phones=tuple(sorted(on_cards[card.ref] - {key})),
            in_baseline=sight.in_baseline,
            ours=is_own,
            enquired_at=min(_enquired_at(card, client, read_at), default=None),
        )


def _enquired_at(card: FoundCard, client: Client, read_at: datetime) -> Iterable[datetime]:
    for seen in client.records.read:
        if seen.card == card.ref and not seen.ours and not seen.deleted:
            yield seen.date
    for one in client.gone:
        if one.card == card.ref and not one.enquiry.ours and (one.alive_at or one.enquiry.date) >= read_at - SHORTLY:
            yield one.enquiry.date
