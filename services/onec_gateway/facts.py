"""What is known of one client: the state that the arbiter's decisions read and return. Frozen, and free of I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from chassis.decision import Cause
from contracts.base import RejectionReason

Ended = Literal["expired", "won", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Enquiry:
    """A direct enquiry as 1C shows it now. `ours`: the gateway wrote it, when a reservation had run out."""

    ref: str
    date: datetime
    number: str = ""
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Sale:
    """A sale as 1C shows it now."""

    ref: str
    amount: Decimal
    currency: str
    contract_number: str
    sold_on: date
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """An enquiry since we first saw it. `not_there_at`: when we last looked and 1C did not have it."""

    enquiry: Enquiry
    first_seen_at: datetime
    not_there_at: datetime | None = None
    was_dated: datetime | None = None
    deleted: bool = False
    told: str = ""
    """The collision last told of it."""


@dataclass(frozen=True, slots=True)
class Deal:
    """A sale tied to a lead of this client. `linked_by`: by whom, and else by the client's phone."""

    sale: Sale
    lead_id: UUID
    noticed_at: datetime
    linked_by: str | None = None
    cancelled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the partner manager decided of a lead that the facts could not decide."""

    confirmed: bool
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about a lead; `reason` is None for a confirmed one, else the true reason.

    `rule` is the name of the rule that fired, `evidence` the lead or the 1C reference it rests on.
    """

    at: datetime
    reason: RejectionReason | None = None
    evidence: str | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead of the client. `cause` is its lead-submitted event, named by its verdict whenever that comes."""

    lead_id: UUID
    partner_id: str
    client: str
    received_at: datetime
    number: int
    cause: Cause
    check_asked: bool = False
    checked_at: datetime | None = None
    enquiries: tuple[Enquiry, ...] = ()
    sales: tuple[Sale, ...] = ()
    delayed_at: datetime | None = None
    ruling: Ruling | None = None
    verdict: Verdict | None = None

    @property
    def place(self) -> tuple[datetime, int]:
        return self.received_at, self.number


@dataclass(frozen=True, slots=True)
class Hold:
    """The client was granted to this lead. How long that lasts is the reservation's to say."""

    lead_id: UUID
    partner_id: str
    confirmed_at: datetime


@dataclass(frozen=True, slots=True)
class Term:
    """What the reservations service said about a lead's reservation, and what 1C was told of it."""

    lead_id: UUID
    confirmed_at: datetime
    until: datetime
    through: str = ""
    ended_at: datetime | None = None
    ended_as: Ended | None = None
    journal_at: datetime | None = None
    handed_over_at: datetime | None = None
    enquiry_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Reinstatement:
    """A request to return an expired client, waiting in the client's queue or answered."""

    request_id: UUID
    lead_id: UUID
    partner_id: str
    requested_at: datetime
    cause: Cause
    answered_at: datetime | None = None

    @property
    def place(self) -> tuple[datetime, int]:
        return self.requested_at, 0


@dataclass(frozen=True, slots=True)
class Client:
    """All that is known of one client. `insider`: whose phone it is, of a partner or of the builder's staff."""

    key: str
    hold: Hold | None = None
    leads: Mapping[UUID, Lead] = field(default_factory=lambda: MappingProxyType({}))
    terms: Mapping[UUID, Term] = field(default_factory=lambda: MappingProxyType({}))
    sightings: Mapping[str, Sighting] = field(default_factory=lambda: MappingProxyType({}))
    deals: Mapping[str, Deal] = field(default_factory=lambda: MappingProxyType({}))
    reinstatements: Mapping[UUID, Reinstatement] = field(default_factory=lambda: MappingProxyType({}))
    insider: str | None = None

    def head(self) -> Lead | Reinstatement | None:
        """Whose turn it is: leads and requests to return the client stand in one queue, by their receipt."""
        waiting: list[Lead | Reinstatement] = [lead for lead in self.leads.values() if lead.verdict is None]
        if self.reinstatements:
            waiting.extend(one for one in self.reinstatements.values() if one.answered_at is None)
        return min(waiting, key=lambda one: one.place) if len(waiting) > 1 else waiting[0] if waiting else None

    def held_by(self) -> Lead | None:
        """The lead whose hold is live: granted, and its end not seen."""
        if self.hold is None:
            return None
        term = self.terms.get(self.hold.lead_id)
        return None if term is not None and term.ended_at is not None else self.leads.get(self.hold.lead_id)

    def with_lead(self, lead: Lead) -> "Client":
        leads = MappingProxyType({**self.leads, lead.lead_id: lead})
        return Client(
            self.key,
            self.hold,
            leads,
            self.terms,
            self.sightings,
            self.deals,
            self.reinstatements,
            self.insider,
        )

    def with_term(self, term: Term) -> "Client":
        terms = MappingProxyType({**self.terms, term.lead_id: term})
        return Client(
            self.key,
            self.hold,
            self.leads,
            terms,
            self.sightings,
            self.deals,
            self.reinstatements,
            self.insider,
        )

    def with_sighting(self, sighting: Sighting) -> "Client":
        return replace(self, sightings=MappingProxyType({**self.sightings, sighting.enquiry.ref: sighting}))

    def with_deal(self, deal: Deal) -> "Client":
        return replace(self, deals=MappingProxyType({**self.deals, deal.sale.ref: deal}))

    def with_reinstatement(self, asked: Reinstatement) -> "Client":
        return replace(self, reinstatements=MappingProxyType({**self.reinstatements, asked.request_id: asked}))
