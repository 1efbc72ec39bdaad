"""The state of one client and of one partner, and the builder's policy. All types are frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, TypeVar
from uuid import UUID

import isodate

from chassis.decision import Cause
from contracts.base import RejectionReason
from services.onec_gateway.domain.cards import Card
from services.onec_gateway.domain.collisions import Collision
from services.onec_gateway.domain.reservations import KnownReservation, Reinstatement

WaitsFor = Literal["people", "same-card", "earlier-lead", "baseline", "related"]

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Policy:
    """The builder's policy for verdicts.

    `clock_skew`: by how much the clocks of 1C and of intake may differ. If an enquiry's date is within it of the time
    when a lead was received, a person decides the lead.
    `max_enquiry_age`: an enquiry, a card or an expiry that is older does not block a lead; None means that age does not
    matter. `card_blocks`: a buyer's card blocks a lead, also without an enquiry. `card_look_age`: see `Card.order`.
    """

    clock_skew: timedelta = timedelta(0)
    max_enquiry_age: isodate.Duration | timedelta | None = None
    card_blocks: bool = True
    card_look_age: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Enquiry:
    """A direct enquiry in 1C's general journal, as 1C returned it last.

    `ref` is 1C's reference, `date` and `number` are the document's. `ours`: its comment is the one that the gateway
    writes when a reservation has expired. People copy enquiries with their comments, so this alone does not show that
    the gateway wrote it.
    """

    ref: str
    date: datetime
    number: str = ""
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Sale:
    """A sale in 1C, as 1C returned it last. `ref` is 1C's reference, `amount` is in units of `currency` (ISO 4217)."""

    ref: str
    amount: Decimal
    currency: str
    contract_number: str
    sold_on: date
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """An enquiry and its history since the gateway first saw it.

    `not_there_at`: the last time when the gateway read 1C and 1C did not have the enquiry; None if there is no such
    time. `was_dated`: the enquiry's date before somebody changed it. `deleted`: the enquiry is marked for deletion or
    gone. `in_1c_at`: when the gateway first read the enquiry from 1C, also as another client's; None if that was not
    recorded. `gone_at`: when a check found that the client has the enquiry no more, and `alive_at`: when the gateway
    last read it before; else None.
    """

    enquiry: Enquiry
    first_seen_at: datetime
    not_there_at: datetime | None = None
    was_dated: datetime | None = None
    deleted: bool = False
    in_1c_at: datetime | None = None
    alive_at: datetime | None = None
    gone_at: datetime | None = None

    @property
    def noticed_at(self) -> datetime:
        """When the gateway first read the enquiry, as this client's or as another's."""
        return self.first_seen_at if self.in_1c_at is None else min(self.in_1c_at, self.first_seen_at)


@dataclass(frozen=True, slots=True)
class Deal:
    """A sale that is linked to a lead of this client. `linked_by`, `linked_why`: the person who linked it and the
    reason, None if the gateway linked it by the client's phone."""

    sale: Sale
    lead_id: UUID
    noticed_at: datetime
    linked_by: str | None = None
    cancelled_at: datetime | None = None
    linked_why: str | None = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """A partner manager's answer to the question whether something in 1C blocks a lead. `who` decided, and `why`.

    `about`: the 1C references that the question was about; another reference is another question.
    """

    confirmed: bool
    who: str
    why: str
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about a lead. `reason` is None for a confirmed lead and the true reason for a rejected one.

    `rule` is the name of the rule that decided. `evidence` is the id of a lead or the 1C reference on which the
    decision rests.
    """

    at: datetime
    reason: RejectionReason | None = None
    evidence: str | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead of the client. `client` is sealed.

    `cause` names the lead's lead-submitted event: the verdict is published with this cause, however late it comes.
    `check_requested`: a work row for the check in 1C exists. `enquiries`, `sales` and `cards` are the result of that
    check, which was read at `checked_at`. `delayed_at`: when lead-check-delayed was published. `waits_for`: what the
    checked lead waits for, or None. `people`, `same-card` (also people: another partner holds a client on the card),
    `earlier-lead` (of another client on the card), `baseline` (the first complete read of all cards), or `related` (an
    input that brings the facts of the other clients on the card).
    """

    lead_id: UUID
    partner_id: str
    client: str
    received_at: datetime
    number: int
    cause: Cause
    check_requested: bool = False
    checked_at: datetime | None = None
    enquiries: tuple[Enquiry, ...] = ()
    sales: tuple[Sale, ...] = ()
    cards: tuple[Card, ...] = ()
    waits_for: WaitsFor | None = None
    delayed_at: datetime | None = None
    ruling: Ruling | None = None
    verdict: Verdict | None = None

    @property
    def queue_position(self) -> tuple[datetime, int]:
        """The lead's place in the client's queue: the lowest is decided first."""
        return self.received_at, self.number


@dataclass(frozen=True, slots=True)
class Hold:
    """The client was granted to this lead at `confirmed_at`. Its end is recorded in the lead's KnownReservation."""

    lead_id: UUID
    partner_id: str
    confirmed_at: datetime


def _empty() -> Mapping[Any, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ClientState:
    """All facts about one client, by client key. A client has at most one hold.

    `leads`, `reservations` are by lead id, `sightings` and `deals` by 1C reference, `reinstatements` by request id.
    `insider`: the client's phone belongs to a partner (`partner:<id>`) or to the builder's staff (`staff`); None if it
    belongs to neither. `collisions` are those that were published, by id. `own_enquiries`: references of the enquiries
    that the gateway wrote when reservations had expired. `related`: the states of other clients on this one's cards, by
    client key, as far as they were loaded with the input at hand; they are read only, and not kept.
    """

    key: str
    hold: Hold | None = None
    leads: Mapping[UUID, Lead] = field(default_factory=_empty)
    reservations: Mapping[UUID, KnownReservation] = field(default_factory=_empty)
    sightings: Mapping[str, Sighting] = field(default_factory=_empty)
    deals: Mapping[str, Deal] = field(default_factory=_empty)
    reinstatements: Mapping[UUID, Reinstatement] = field(default_factory=_empty)
    insider: str | None = None
    collisions: Mapping[UUID, Collision] = field(default_factory=_empty)
    own_enquiries: frozenset[str] = frozenset()
    related: Mapping[str, "ClientState"] = field(default_factory=_empty, compare=False, repr=False)

    def next_in_queue(self) -> Lead | Reinstatement | None:
        """The undecided lead or unanswered request that was received first; None if there is none."""
        waiting: list[Lead | Reinstatement] = [lead for lead in self.leads.values() if lead.verdict is None]
        if self.reinstatements:
            waiting.extend(request for request in self.reinstatements.values() if request.answered_at is None)
        return (
            min(waiting, key=lambda item: item.queue_position) if len(waiting) > 1 else waiting[0] if waiting else None
        )

    def holder(self) -> Lead | None:
        """The lead that holds the client now: the hold was granted to it, and no end of its reservation was seen."""
        if self.hold is None:
            return None
        reservation = self.reservations.get(self.hold.lead_id)
        if reservation is not None and reservation.ended_at is not None:
            return None
        return self.leads.get(self.hold.lead_id)

    def collided_with(self, lead_id: UUID) -> set[str]:
        """The references of all enquiries for which a collision with this lead was published."""
        return {one.enquiry for one in self.collisions.values() if one.lead_id == lead_id and one.card is None}

    # Two copies are made for nearly every message, and `dataclasses.replace` costs several times as much.

    def with_lead(self, lead: Lead) -> "ClientState":
        """This state with `lead` added or replaced."""
        leads = _with(self.leads, lead.lead_id, lead)
        return ClientState(
            self.key,
            self.hold,
            leads,
            self.reservations,
            self.sightings,
            self.deals,
            self.reinstatements,
            self.insider,
            self.collisions,
            self.own_enquiries,
            self.related,
        )

    def with_reservation(self, reservation: KnownReservation) -> "ClientState":
        """This state with `reservation` added or replaced."""
        reservations = _with(self.reservations, reservation.lead_id, reservation)
        return ClientState(
            self.key,
            self.hold,
            self.leads,
            reservations,
            self.sightings,
            self.deals,
            self.reinstatements,
            self.insider,
            self.collisions,
            self.own_enquiries,
            self.related,
        )

    def with_sighting(self, sighting: Sighting) -> "ClientState":
        """This state with `sighting` added or replaced."""
        return replace(self, sightings=_with(self.sightings, sighting.enquiry.ref, sighting))

    def with_deal(self, deal: Deal) -> "ClientState":
        """This state with `deal` added or replaced."""
        return replace(self, deals=_with(self.deals, deal.sale.ref, deal))

    def with_reinstatement(self, request: Reinstatement) -> "ClientState":
        """This state with `request` added or replaced."""
        return replace(self, reinstatements=_with(self.reinstatements, request.request_id, request))


def _with(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    return MappingProxyType({**mapping, key: value})
