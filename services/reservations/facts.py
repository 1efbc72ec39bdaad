"""What is known of one client: reservations, requests about them, sales, claims, and the history that proves it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from uuid import UUID

from chassis.decision import Cause
from contracts.leads import ReturnRequested, RewardClaimed, RewardSettlementRequested, WithdrawalRequested
from services.reservations.history import Entry, Head, appended

Status = Literal["live", "expired", "won", "withdrawn"]
Booking = Literal["accrual", "correction", "reversal"]
Request = ReturnRequested | WithdrawalRequested | RewardClaimed | RewardSettlementRequested


# Tuples, since they are made a hundred thousand at once: a frozen dataclass of as many fields takes four times as long.


class Reservation(NamedTuple):
    """One granted reservation. `client` stays sealed: this service has no key to it.

    Its end is `returns` terms after the anchor `confirmed_at`; `rule` and `zone` say by which calendar. `next_due` is
    when the clock looks at it again, `next_step` why: so many days left, or 0 for the end. `since` is the local day
    the term was set on, `cause` what set it. `earlier` are the (first, last) days of terms before a reinstatement.
    """

    reservation_id: UUID
    lead_id: UUID
    client_key: str
    partner_id: str
    client: str
    confirmed_at: datetime
    reserved_through: date
    reserved_until: datetime
    rule: str
    zone: str
    cause: Cause
    since: date
    next_due: datetime
    next_step: int = 0
    told_step: int | None = None
    status: Status = "live"
    extensions: int = 0
    returns: int = 0
    ended_at: datetime | None = None
    deal: str | None = None
    earlier: tuple[tuple[date, date], ...] = ()


# All entries of a batch have one time.
_text_of = lru_cache(16)(datetime.isoformat)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, answered or waiting. `until`: when it is refused if nothing has come of it."""

    message: Request
    cause: Cause
    state: Literal["waiting", "asked", "answered"] = "waiting"
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deal:
    """A sale in 1C. `inside`: made within a reservation of this lead; `claim_id`: the claim made for it."""

    ref: str
    lead_id: UUID
    amount: Decimal
    currency: str
    contract_number: str
    sold_on: date
    inside: bool
    cancelled: bool = False
    claim_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that was accepted. `accrued` is what the ledger holds for it, all entries together."""

    claim_id: UUID
    lead_id: UUID
    partner_id: str
    deal: str
    state: Literal["accepted", "accrued", "declined"] = "accepted"
    accrued: Decimal = Decimal(0)
    currency: str = ""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A line of a partner's account. Nothing is ever edited: what was wrong has an entry against it."""

    entry_id: UUID
    partner_id: str
    client_key: str
    lead_id: UUID
    claim_id: UUID
    deal: str
    contract_number: str
    kind: Booking
    amount: Decimal
    currency: str
    decided_by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Rejected:
    """A lead that was refused: nothing can be asked about it, but the partner's account of its leads counts it."""

    partner_id: str
    received_at: datetime


class Client(NamedTuple):
    """All that is known of one client. `rejected`: leads that were refused. `written`, `booked`: what this
    transaction adds to the history and to the ledger."""

    key: str = ""
    reservations: Mapping[UUID, Reservation] = MappingProxyType({})
    rejected: Mapping[UUID, Rejected] = MappingProxyType({})
    requests: Mapping[UUID, Asked] = MappingProxyType({})
    deals: Mapping[str, Deal] = MappingProxyType({})
    claims: Mapping[UUID, Claim] = MappingProxyType({})
    head: Head = Head()
    written: tuple[Entry, ...] = ()
    booked: tuple[LedgerEntry, ...] = ()

    def live(self) -> Reservation | None:
        return next((one for one in self.reservations.values() if one.status == "live"), None)

    def with_reservation(self, reservation: Reservation) -> "Client":
        return self._replace(reservations=MappingProxyType({**self.reservations, reservation.lead_id: reservation}))

    def with_request(self, asked: Asked) -> "Client":
        return self._replace(requests=MappingProxyType({**self.requests, asked.message.request_id: asked}))

    def with_deal(self, deal: Deal) -> "Client":
        return self._replace(deals=MappingProxyType({**self.deals, deal.ref: deal}))

    def with_claim(self, claim: Claim) -> "Client":
        return self._replace(claims=MappingProxyType({**self.claims, claim.claim_id: claim}))

    def changed(self, reservation: Reservation, key: bytes, at: datetime, what: str, **facts: Any) -> "Client":
        """With the reservation as it is now, and an entry in the history about it: both at the price of one."""
        said = {"at": _text_of(at), "what": what, "lead": str(reservation.lead_id), **facts}
        head, entry = appended(self.head, key, self.key, said)
        return self._replace(
            reservations=MappingProxyType({**self.reservations, reservation.lead_id: reservation}),
            head=head,
            written=(*self.written, entry),
        )

    def noted(self, key: bytes, at: datetime, what: str, lead_id: UUID, **facts: Any) -> "Client":
        """With an entry in the history. `facts` are texts and numbers."""
        said = {"at": _text_of(at), "what": what, "lead": str(lead_id), **facts}
        head, entry = appended(self.head, key, self.key, said)
        return self._replace(head=head, written=(*self.written, entry))
