"""Inputs of the rules that do not come from topics: results of calls to 1C, findings of the watch, clock, people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.onec_gateway.domain.cards import Card
from services.onec_gateway.domain.model import Enquiry, Ruling, Sale


@dataclass(frozen=True, slots=True)
class GoneEnquiry:
    """An enquiry that was this client's and is not now: it was deleted, or it or its card was changed.

    `alive_at`: when the gateway last read it as this client's; None if it never did. `in_1c_at`: when the gateway first
    read it, perhaps as a deleted one. `card`: the client's card that had it.
    """

    enquiry: Enquiry
    alive_at: datetime | None
    in_1c_at: datetime
    card: str = ""


@dataclass(frozen=True, slots=True)
class CheckAnswered:
    """The result of a check in 1C: every direct enquiry and every sale of the lead's client.

    `absent_at`: by the reference of an enquiry, when the watching read 1C and 1C did not have it; without an entry no
    such read is known. `gone`: enquiries that the client had before. `cards`: the client's cards.
    """

    lead_id: UUID
    checked_at: datetime
    enquiries: tuple[Enquiry, ...] = ()
    sales: tuple[Sale, ...] = ()
    absent_at: Mapping[str, datetime] = field(default_factory=dict)
    gone: tuple[GoneEnquiry, ...] = ()
    cards: tuple[Card, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalEntered:
    """1C's partner journal has the entry of this lead. `enquiries`: the result of the second check before the entry."""

    lead_id: UUID
    at: datetime
    enquiries: tuple[Enquiry, ...] = ()
    absent_at: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JournalUpdated:
    """The entry in 1C's partner journal, or the mark on an enquiry of the office, shows the reservation's new state."""

    lead_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class HandedOver:
    """1C's general journal has the enquiry `enquiry_ref` of the client, and the partner journal's entry is closed."""

    lead_id: UUID
    at: datetime
    enquiry_ref: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The gateway's enquiry is deleted from the general journal, and the partner journal's entry has its new state."""

    lead_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class WaitIsOver:
    """A timer found that a checked lead no longer waits for other clients on its cards, or for the first complete read
    of all cards, which began at `baseline_began`. The rule decides again under the locks."""

    lead_id: UUID
    baseline_began: datetime | None = None


@dataclass(frozen=True, slots=True)
class SharedCardSeen:
    """The watch found the numbers of two held clients on one card: this one's and that of client key `other`.

    `first_seen_at`: when it first read that the card has both.
    """

    card: str
    other: str
    first_seen_at: datetime


@dataclass(frozen=True, slots=True)
class CheckOverdue:
    """A timer found that this lead has waited for its verdict too long. The rule checks again under the lock."""

    lead_id: UUID


@dataclass(frozen=True, slots=True)
class EnquirySeen:
    """The watch read an enquiry of this client in 1C: a new one, a changed one, or (`deleted`) one that is gone.

    `not_there_at`: the last time when the watch read 1C and 1C did not have the enquiry, if there is such a time.
    `in_1c_at`: when the gateway first read the enquiry, also as another client's.
    """

    enquiry: Enquiry
    at: datetime
    not_there_at: datetime | None = None
    deleted: bool = False
    in_1c_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SaleSeen:
    """The watch read a sale to this client in 1C. If a person linked the sale to a lead by hand, `lead_id` is that
    lead, and `who` linked it and `why`; otherwise all three are None."""

    sale: Sale
    at: datetime
    lead_id: UUID | None = None
    who: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Ruled:
    """A partner manager answers the question that a lead waits for."""

    lead_id: UUID
    ruling: Ruling


@dataclass(frozen=True, slots=True)
class CollisionAcknowledged:
    """A person has seen a collision. `who` is never blank."""

    collision_id: UUID
    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class NotApplied:
    """Reply: a person's decision was refused and changed nothing.

    `reason`: the published code `unknown-lead` or `not-waiting`, or what forbids the link of a sale: `not-confirmed`,
    `deal-cancelled`, `already-linked`. `because`: what a lead that waits for no person waits for: `check`,
    `reservation` (the end of a hold), `queue` (an earlier lead), `earlier-lead` (that of another client on its card) or
    `baseline` (the first complete read of all cards); or `confirmed` or `rejected` if it is decided.
    `lead_id`: the earlier lead, the holder, or the lead that a sale is linked to.
    """

    reason: str
    because: str | None = None
    lead_id: UUID | None = None
