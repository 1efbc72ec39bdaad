"""Who may stake a client, in which order it was received, and what a portal sees of it afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Literal, TypeVar
from uuid import UUID

from chassis.decision import Cause, Decision, Event, derived_id
from contracts.leads import LeadSubmitted, RequestRefused
from contracts.partners import Partner
from contracts.portal import Agreement, Consent
from contracts.reservations import (
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
    ReservationRequestRefused,
    RewardAccrued,
    RewardClaimAccepted,
    RewardDeclined,
)
from contracts.verdicts import LeadRejected

Scope = Literal["leads", "partners", "returns", "rewards"]
LeadStatus = Literal["under-review", "confirmed", "rejected", "expired", "won", "withdrawn"]

S = TypeVar("S")

_TICK = timedelta(microseconds=1)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose request it is. `key` is the portal's own id of it; `digest` a keyed hash of its content.

    `answered` says that an HTTP client waits: what is refused to it is not remembered and may be tried again.
    """

    portal: str
    key: str
    digest: str
    kind: str
    answered: bool

    @property
    def request_id(self) -> UUID:
        return derived_id(f"{self.portal}/{self.key}", "request")

    @property
    def lead_id(self) -> UUID:
        return derived_id(f"{self.portal}/{self.key}", "lead")


@dataclass(frozen=True, slots=True)
class LeadRequest:
    """A portal stakes a client for a partner. `refusal`: what its content alone already says against it."""

    origin: Origin
    partner_id: str
    client_key: str = ""
    client: str = ""
    consent: Consent | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class PartnerRequest:
    """A portal registers a partner or changes one. `digest` is a keyed hash of the person."""

    origin: Origin
    partner_id: str
    agreement: Agreement
    status: Literal["active", "suspended"]
    person: str = ""
    digest: str = ""
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was taken before. `done_at`: when what it asked for was done; until then it is pending, or
    refused with a `reason`. `result`: what the portal may want to know of it."""

    origin: Origin
    reason: str | None = None
    lead_id: UUID | None = None
    done_at: datetime | None = None
    result: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead as its portal knows it: facts, from which the status follows whatever order they came in.

    `story`: when, what and in which words, of its reservation; `told`: how far the client's history had come with the
    newest of it.
    """

    lead_id: UUID
    number: int
    portal: str
    partner_id: str
    client_key: str
    client: str
    received_at: datetime
    rejected_at: datetime | None = None
    reason: str | None = None
    confirmed_at: datetime | None = None
    reserved_through: date | None = None
    reserved_until: datetime | None = None
    expired_at: datetime | None = None
    closed_at: datetime | None = None
    closed_as: Literal["won", "withdrawn"] | None = None
    story: tuple[tuple[str, str, str | None], ...] = ()
    told: int = -1

    @property
    def status(self) -> LeadStatus:
        if self.closed_as is not None:
            return self.closed_as
        if self.expired_at is not None:
            return "expired"
        if self.reserved_until is not None:
            return "confirmed"
        return "under-review" if self.rejected_at is None else "rejected"

    @property
    def public_reason(self) -> str | None:
        """All that a realtor may know; the true reason would make the check an oracle."""
        if self.reason is None:
            return None
        return "already-yours" if self.reason == "already-yours" else "client-taken"

    def history(self) -> list[tuple[datetime, str, str | None]]:
        """When, what, and in which words, oldest first."""
        story: list[tuple[datetime, str, str | None]] = [(self.received_at, "received", None)]
        if self.rejected_at is not None:
            story.append((self.rejected_at, "rejected", self.public_reason))
        story.extend((datetime.fromisoformat(at), what, detail) for at, what, detail in self.story)
        return story


@dataclass(frozen=True, slots=True)
class Room:
    """Whether there is room for one lead more of its partner. `hour`, `day`: when the lead was received that must be
    older than that for another to be within quota, if there are as many; `full`: as many are reserved as may be."""

    hour: datetime | None = None
    day: datetime | None = None
    full: bool = False

    def against(self, now: datetime) -> tuple[str | None, datetime | None]:
        """A published code, and when there is room again, if that is known."""
        for received_at, span in ((self.day, _DAY), (self.hour, _HOUR)):
            if received_at is not None and received_at > now - span:
                return "over-quota", min(received_at, now) + span
        return ("over-limit", None) if self.full else (None, None)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a decision about one client looks at. `numbers` and `rooms` are set aside for the leads of this batch, in
    order."""

    leads: Mapping[UUID, Lead] = field(default_factory=dict)
    last_received_at: datetime | None = None
    numbers: tuple[int, ...] = ()
    rooms: tuple[Room, ...] = ()
    partners: Mapping[str, str] = field(default_factory=dict)
    scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    requests: Mapping[tuple[str, str], Request] = field(default_factory=dict)

    def with_lead(self, lead: Lead) -> "Desk":
        return replace(self, leads={**self.leads, lead.lead_id: lead})

    def by_id(self, request_id: UUID) -> Request | None:
        return next((one for one in self.requests.values() if one.origin.request_id == request_id), None)

    def with_request(self, request: Request) -> "Desk":
        return replace(self, requests={**self.requests, (request.origin.portal, request.origin.key): request})


@dataclass(frozen=True, slots=True)
class PartnerFile:
    """What a decision about one partner looks at."""

    partner: PartnerRequest | None = None
    scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    requests: Mapping[tuple[str, str], Request] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taken:
    """The lead is taken, now or, `replayed`, at an earlier time."""

    lead: Lead
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """The partner stands as asked."""

    created: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """`reason` is a published code; `again_at` when it may be asked again, where time mends it."""

    reason: str
    again_at: datetime | None = None


def submit_lead(desk: Desk, asked: LeadRequest, _: Cause, now: datetime) -> Decision[Desk]:
    """Take the lead and give it its place in the order of receipt, or refuse it with a reason."""
    origin = asked.origin
    earlier = desk.requests.get((origin.portal, origin.key))
    if earlier is not None:
        if earlier.origin.digest != origin.digest or earlier.origin.kind != origin.kind:
            return _refuse(desk, asked, "id-conflict", now)
        if earlier.lead_id is not None:
            return Decision(desk, reply=Taken(desk.leads[earlier.lead_id], replayed=True))
        return Decision(desk, reply=Refused(earlier.reason or "id-conflict"))
    room, *rooms = desk.rooms or (Room(),)
    desk = replace(desk, rooms=tuple(rooms))
    full, again_at = room.against(now)
    reason = _against(desk, asked) or full
    if reason is not None:
        refused = _refuse(desk, asked, reason, now, again_at if reason == full else None)
        return refused if origin.answered else refused._replace(state=desk.with_request(Request(origin, reason)))
    assert asked.consent is not None
    number, *rest = desk.numbers
    received_at = now if desk.last_received_at is None else max(now, desk.last_received_at + _TICK)
    lead = Lead(
        lead_id=origin.lead_id,
        number=number,
        portal=origin.portal,
        partner_id=asked.partner_id,
        client_key=asked.client_key,
        client=asked.client,
        received_at=received_at,
    )
    event = LeadSubmitted(
        lead_id=lead.lead_id,
        client_key=lead.client_key,
        partner_id=lead.partner_id,
        client=lead.client,
        received_at=received_at,
        number=number,
        consent=asked.consent,
    )
    after = replace(desk, last_received_at=received_at, numbers=tuple(rest)).with_lead(lead)
    after = after.with_request(Request(origin, lead_id=lead.lead_id, done_at=now))
    return Decision(after, (Event(event),), reply=Taken(lead))


def register_partner(file: PartnerFile, asked: PartnerRequest, _: Cause, now: datetime) -> Decision[PartnerFile]:
    """Record the partner's agreement and whether it is active; tell it only when something changed."""
    origin = asked.origin
    earlier = file.requests.get((origin.portal, origin.key))
    if earlier is not None:
        same = earlier.origin.digest == origin.digest and earlier.origin.kind == origin.kind
        return Decision(file, reply=Registered(False)) if same else _refuse(file, asked, "id-conflict", now)
    reason = "forbidden" if not origin.answered and "partners" not in file.scopes.get(origin.portal, ()) else None
    reason = reason or asked.refusal
    if not origin.answered:
        answered = Request(origin, reason, done_at=now)
        file = replace(file, requests={**file.requests, (origin.portal, origin.key): answered})
    if reason is not None:
        return _refuse(file, asked, reason, now)
    before = file.partner
    if before is not None and _standing(before) == _standing(asked):
        return Decision(file, reply=Registered(created=False))
    event = Partner(partner_id=asked.partner_id, person=asked.person, agreement=asked.agreement, status=asked.status)
    return Decision(replace(file, partner=asked), (Event(event),), reply=Registered(created=before is None))


# A lead is committed together with the event that tells of it, so whatever is said about a lead finds it here. What is
# about an unknown one is about another system's lead, and there is no portal to show it to.


def lead_rejected(desk: Desk, message: LeadRejected, _: Cause, __: datetime) -> Decision[Desk]:
    """The gateway said no."""
    lead = desk.leads.get(message.lead_id)
    if lead is None or lead.rejected_at is not None:
        return Decision(desk)
    return Decision(desk.with_lead(replace(lead, rejected_at=message.rejected_at, reason=message.reason)))


AnyReservation = (
    ReservationOpened
    | ReservationExpired
    | ReservationExtended
    | ReservationReinstated
    | ReservationClosed
    | ReservationReopened
)


def reservation_told(desk: Desk, message: AnyReservation, _: Cause, __: datetime) -> Decision[Desk]:
    """What became of the reservation, as reservations says it: in its order, since it is told on one topic."""
    lead = desk.leads.get(message.lead_id)
    if lead is None:
        return Decision(desk)
    at, what = _moment_of(message)
    detail = None if what == "expired" else message.reserved_through.isoformat()
    entry = (at.isoformat(), what, detail)
    if entry in lead.story:
        return Decision(desk)
    # Before histories were kept a reservation was opened and expired, and nothing else.
    number = message.history_count if message.history_count is not None else int(what != "confirmed")
    story = tuple(sorted((*lead.story, entry), key=lambda one: datetime.fromisoformat(one[0])))
    after = replace(lead, story=story)
    done = {"reserved_through": message.reserved_through.isoformat()}
    if number <= lead.told:
        return Decision(_done(desk.with_lead(after), message, at, **done))
    after = replace(
        after,
        told=number,
        confirmed_at=message.confirmed_at,
        reserved_through=message.reserved_through,
        reserved_until=message.reserved_until,
        expired_at=message.expired_at if isinstance(message, ReservationExpired) else None,
        closed_at=message.closed_at if isinstance(message, ReservationClosed) else None,
        closed_as=message.outcome if isinstance(message, ReservationClosed) else None,
    )
    return Decision(_done(desk.with_lead(after), message, at, **done))


def _moment_of(message: AnyReservation) -> tuple[datetime, str]:
    """When it was, and what it is called in a lead's history."""
    match message:
        case ReservationOpened():
            return message.confirmed_at, "confirmed"
        case ReservationExpired():
            return message.expired_at, "expired"
        case ReservationExtended():
            return message.extended_at, "extended"
        case ReservationReinstated():
            return message.reinstated_at, "reinstated"
        case ReservationClosed():
            return message.closed_at, message.outcome
        case ReservationReopened():
            return message.reopened_at, "reopened"


def reward_told(
    desk: Desk, message: RewardClaimAccepted | RewardAccrued | RewardDeclined, _: Cause, now: datetime
) -> Decision[Desk]:
    """A claim, or a decision about one, is done."""
    facts = {"claim_id": str(message.claim_id)}
    if isinstance(message, RewardAccrued):
        facts |= {"amount": f"{message.amount:.2f}", "currency": message.currency}
    return Decision(_done(desk, message, now, **facts))


def request_refused(desk: Desk, message: ReservationRequestRefused, _: Cause, __: datetime) -> Decision[Desk]:
    """Reservations could not do what was asked."""
    request = desk.by_id(message.request_id)
    if request is None or request.done_at is not None or request.reason is not None:
        return Decision(desk)
    return Decision(desk.with_request(replace(request, reason=message.reason)))


def _done(desk: Desk, message: object, at: datetime, **result: str) -> Desk:
    request_id = getattr(message, "request_id", None)
    request = desk.by_id(request_id) if request_id is not None else None
    if request is None or request.done_at is not None:
        return desk
    return desk.with_request(replace(request, done_at=at, result={**(request.result or {}), **result}))


def _against(desk: Desk, asked: LeadRequest) -> str | None:
    """The first reason against a lead, or None."""
    if not asked.origin.answered and "leads" not in desk.scopes.get(asked.origin.portal, ()):
        return "forbidden"
    if asked.refusal is not None:
        return asked.refusal
    if asked.consent is None:
        return "no-consent"
    standing = desk.partners.get(asked.partner_id)
    if standing is None:
        return "unknown-partner"
    return None if standing == "active" else "partner-suspended"


def _refuse(
    state: S, asked: LeadRequest | PartnerRequest, reason: str, now: datetime, again_at: datetime | None = None
) -> Decision[S]:
    """Somebody who waits gets the answer; who does not reads it on the topic."""
    origin = asked.origin
    if origin.answered:
        return Decision(state, reply=Refused(reason, again_at))
    event = RequestRefused(
        request_id=origin.request_id,
        portal=origin.portal,
        portal_request_id=origin.key,
        request_type=origin.kind,
        reason=reason,
        partner_id=asked.partner_id,
        refused_at=now,
    )
    return Decision(state, (Event(event),), reply=Refused(reason))


def _standing(partner: PartnerRequest) -> tuple[str, Agreement, str]:
    return partner.digest, partner.agreement, partner.status
