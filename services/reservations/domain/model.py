"""The state of one client and the inputs of the clock.

A client's state holds its reservations, requests about them, sales, reward claims, and the head of its history.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from chassis.decision import Cause
from contracts.base import Sealed
from contracts.leads import ReturnRequested, RewardClaimed, RewardSettlementRequested, WithdrawalRequested
from services.reservations.domain.history import Entry, Head

Status = Literal["live", "expired", "won", "withdrawn"]
RequestState = Literal["waiting", "forwarded", "answered", "refused"]
LedgerKind = Literal["accrual", "correction", "reversal"]
Request = ReturnRequested | WithdrawalRequested | RewardClaimed | RewardSettlementRequested

END: Final = 0
"""The step of a reservation's clock that ends the term; every other step is a reminder, as a number of days left."""


@dataclass(frozen=True, slots=True)
class TermReached:
    """Input of the clock: `next_due` of this lead's reservation has come. The rule checks the time again."""

    lead_id: UUID


@dataclass(frozen=True, slots=True)
class WaitOver:
    """Input of the clock: `until` of this waiting request has come. The rule checks the time again."""

    request_id: UUID


# Reservation and ClientState are tuples, because a sweep makes a hundred thousand of each: a frozen dataclass with as
# many fields takes four times as long to make.


class Reservation(NamedTuple):
    """A granted reservation, live or over.

    `client`: the sealed name and phone, to which this service has no key; None once the personal data is erased.
    `confirmed_at`: the anchor that terms are counted from. `term`: ISO 8601 duration of one term; it ends in the
    calendar of `zone`. `reserved_through`: the last local day; `reserved_until`: the first instant after it.
    `cause`: the message that set the current term; `term_set_on`: the local day on which it did.
    `next_due`: when the clock fires next; `next_step`: why, as the number of days left, or `END`.
    `previous_step`: the last reminder of this term that was sent or dropped, as days left; None before the first.
    `extensions`: by how many terms the current anchor was extended; `returns`: all extensions and reinstatements, the
    last of them granted at `returned_at`.
    `earlier_terms`: (first, last) local days of the terms before each reinstatement.
    """

    reservation_id: UUID
    lead_id: UUID
    client_key: str
    partner_id: str
    client: Sealed | None
    confirmed_at: datetime
    reserved_through: date
    reserved_until: datetime
    term: str
    zone: str
    cause: Cause
    term_set_on: date
    next_due: datetime
    next_step: int = END
    previous_step: int | None = None
    status: Status = "live"
    extensions: int = 0
    returns: int = 0
    ended_at: datetime | None = None
    deal: str | None = None
    earlier_terms: tuple[tuple[date, date], ...] = ()
    returned_at: datetime | None = None

    @property
    def calendar(self) -> ZoneInfo:
        """The time zone in which the days of this reservation are counted."""
        return ZoneInfo(self.zone)

    def local_day(self, moment: datetime) -> date:
        """Return the day of `moment` in the calendar of this reservation."""
        return moment.astimezone(self.calendar).date()


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A request about a lead, kept after its answer too, so that a repeated request is recognised.

    `state`: `waiting` until the facts suffice for an answer, `forwarded` while the gateway decides on a reinstatement,
    then `answered` or `refused`. `until`: when a waiting request is refused; None if it waits without a limit.
    """

    message: Request
    cause: Cause
    state: RequestState = "waiting"
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deal:
    """A sale in 1C. `inside`: whether it was made within the reservation of its lead; `claim_id`: the claim for it."""

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
    """An accepted reward claim. `accrued`: the sum of all ledger entries for it, in `currency`."""

    claim_id: UUID
    lead_id: UUID
    partner_id: str
    deal: str
    state: Literal["accepted", "accrued", "declined"] = "accepted"
    accrued: Decimal = Decimal(0)
    currency: str = ""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A line of a partner's account. Entries are never edited: a mistake is corrected by another entry."""

    entry_id: UUID
    partner_id: str
    client_key: str
    lead_id: UUID
    claim_id: UUID
    deal: str
    contract_number: str
    kind: LedgerKind
    amount: Decimal
    currency: str
    decided_by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RejectedLead:
    """A lead that the gateway rejected. Requests about it are refused; the report on partners counts it."""

    partner_id: str
    received_at: datetime


class ClientState(NamedTuple):
    """All that this service knows about one client.

    `head` is the head of the client's history. `new_history` and `new_ledger` are the entries that the current
    transaction adds; a loaded state has none.
    """

    key: str = ""
    reservations: Mapping[UUID, Reservation] = MappingProxyType({})
    rejected: Mapping[UUID, RejectedLead] = MappingProxyType({})
    requests: Mapping[UUID, PendingRequest] = MappingProxyType({})
    deals: Mapping[str, Deal] = MappingProxyType({})
    claims: Mapping[UUID, Claim] = MappingProxyType({})
    head: Head = Head()
    new_history: tuple[Entry, ...] = ()
    new_ledger: tuple[LedgerEntry, ...] = ()

    def live(self) -> Reservation | None:
        """Return the client's live reservation: there is at most one."""
        return next((reservation for reservation in self.reservations.values() if reservation.status == "live"), None)

    def with_reservation(self, reservation: Reservation) -> "ClientState":
        return self._replace(reservations=MappingProxyType({**self.reservations, reservation.lead_id: reservation}))

    def with_rejected(self, lead_id: UUID, rejected: RejectedLead) -> "ClientState":
        return self._replace(rejected=MappingProxyType({**self.rejected, lead_id: rejected}))

    def with_request(self, request: PendingRequest) -> "ClientState":
        return self._replace(requests=MappingProxyType({**self.requests, request.message.request_id: request}))

    def with_deal(self, deal: Deal) -> "ClientState":
        return self._replace(deals=MappingProxyType({**self.deals, deal.ref: deal}))

    def with_claim(self, claim: Claim) -> "ClientState":
        return self._replace(claims=MappingProxyType({**self.claims, claim.claim_id: claim}))

    def with_ledger_entry(self, entry: LedgerEntry) -> "ClientState":
        return self._replace(new_ledger=(*self.new_ledger, entry))
