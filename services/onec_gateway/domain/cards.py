"""Buyers' cards in 1C, as facts about a lead. A card shows that the builder knew a client, also without an enquiry."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

SHORTLY: Final = timedelta(days=30)
"""An enquiry that was deleted at most this long before a lead was received is published if the lead is confirmed, and
stands for its card."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card that a check found by the client's number. Cards that are marked for deletion are left out.

    `phones`: client keys of the other numbers on it. `created`: when a person created it, by 1C's clock, or None; if
    only the day is known, that is the day's beginning, and `created_before` its exclusive end. `first_seen_at`: when
    the gateway first read that the card has the client's number. `not_there_at`: when the last complete read of all
    cards before that began, without the number on this card; None if there was none. `in_baseline`: the first complete
    read of all cards had not ended when the card was found. `ours`: the gateway created it. `enquired_at`: the date of
    the office's first enquiry of this card, also of a deleted enquiry; None if it has none.
    """

    ref: str
    first_seen_at: datetime
    not_there_at: datetime | None = None
    created: datetime | None = None
    created_before: datetime | None = None
    phones: tuple[str, ...] = ()
    in_baseline: bool = False
    ours: bool = False
    enquired_at: datetime | None = None

    @property
    def since(self) -> datetime:
        """Since when the client is on the card, as far as anything shows it."""
        return self.created if self.created is not None and not self._came_later() else self.first_seen_at

    def order(self, received_at: datetime, skew: timedelta, look_age: timedelta) -> "Order":
        """Whether the client was on the card when a lead was received.

        `skew`: by how much the clocks of 1C and of intake may differ. `look_age`: a complete read without the card
        counts if it began at most this long before the receipt.
        """
        absent_at = self.not_there_at
        if absent_at is not None and absent_at >= received_at:
            return Order.AFTER
        if self.created is not None and not self._came_later():
            before = self.created_before
            if before is None:
                if abs(self.created - received_at) <= skew and skew:
                    return Order.UNCLEAR
                return Order.BEFORE if self.created <= received_at else Order.AFTER
            if before <= received_at:
                return Order.BEFORE
            if received_at < self.created:
                return Order.AFTER
        if self.first_seen_at <= received_at:
            return Order.BEFORE
        if absent_at is None:
            return Order.BASELINE if self.in_baseline else Order.UNCLEAR
        return Order.AFTER if received_at - absent_at <= look_age else Order.UNCLEAR

    def _came_later(self) -> bool:
        """Whether the number was added after the card was created, so that the date of creation shows nothing."""
        created = self.created_before or self.created
        return created is not None and self.not_there_at is not None and self.not_there_at >= created


def phones_on(cards: Iterable[Card]) -> tuple[str, ...]:
    """The client keys of all other numbers on these cards, each once, sorted."""
    return tuple(sorted({phone for card in cards for phone in card.phones}))


class Order(Enum):
    """Whether a client was on a card when a lead was received; UNCLEAR: people decide; BASELINE: unclear until the
    first complete read of all cards has ended."""

    BEFORE = "before"
    AFTER = "after"
    UNCLEAR = "unclear"
    BASELINE = "baseline"
