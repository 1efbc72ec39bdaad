"""Inputs of the rules that do not come from topics: results of calls to 1C, findings of the watch, clock, people."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.onec_gateway.domain.model import Enquiry, Ruling, Sale


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far the watch has read 1C's enquiries: the highest document number it has read, and when that read began.

    An enquiry with a higher number did not exist in 1C at `at`.
    """

    number: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CheckAnswered:
    """The result of a check in 1C: every direct enquiry and every sale of the lead's client.

    `watermark` is that of the watch when the check began; None before the first read of the watch.
    """

    lead_id: UUID
    checked_at: datetime
    enquiries: tuple[Enquiry, ...] = ()
    sales: tuple[Sale, ...] = ()
    watermark: Watermark | None = None


@dataclass(frozen=True, slots=True)
class JournalEntered:
    """1C's partner journal has the entry of this lead. `enquiries`: the result of the second check before the entry."""

    lead_id: UUID
    at: datetime
    enquiries: tuple[Enquiry, ...] = ()
    watermark: Watermark | None = None


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
class CheckOverdue:
    """A timer found that this lead has waited for its verdict too long. The rule checks again under the lock."""

    lead_id: UUID


@dataclass(frozen=True, slots=True)
class EnquirySeen:
    """The watch read an enquiry of this client in 1C: a new one, a changed one, or (`deleted`) one that is gone.

    `not_there_at`: the last time when the watch read 1C and 1C did not have the enquiry, if there is such a time.
    """

    enquiry: Enquiry
    at: datetime
    not_there_at: datetime | None = None
    deleted: bool = False


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
class NotApplied:
    """Reply: a person's decision was refused and changed nothing.

    `reason`: the published code `unknown-lead` or `not-waiting`, or what forbids the link of a sale: `not-confirmed`,
    `deal-cancelled`, `already-linked`. `because`: what a lead that waits for no person waits for: `check`,
    `reservation` (the end of a hold) or `queue` (an earlier lead); or `confirmed` or `rejected` if it is decided.
    `lead_id`: the earlier lead, the holder, or the lead that a sale is linked to.
    """

    reason: str
    because: str | None = None
    lead_id: UUID | None = None
