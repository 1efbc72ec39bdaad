"""What must hold between gateway and reservations, whatever the interleaving: a model beside the real rules."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from dateutil.relativedelta import relativedelta

from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExpired,
    ReservationExpiring,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
    ReservationRequestRefused,
    RewardAccrued,
    RewardClaimAccepted,
    RewardDeclined,
)
from contracts.verdicts import DealCancelled, DealClosed, LeadConfirmed, LeadRejected, ReinstatementConfirmed
from tests.e2e.rules import MOSCOW

DAY = timedelta(days=1)


@dataclass
class HeldLead:
    """A reservation as the model has it. `months`: the length of its term. `terms`: (first, last) local days of all its
    terms, the current term last. `returned_at`: when the last return was granted."""

    partner: str
    anchor: datetime
    months: int
    extensions: int = 0
    returned_at: datetime | None = None
    status: str = "live"
    reminded: set[tuple[date, int]] = field(default_factory=set)
    terms: list[tuple[date, date]] = field(default_factory=list)

    def end(self) -> tuple[date, datetime]:
        """Return the last local day of the current term and the first instant after it."""
        day = self.anchor.astimezone(MOSCOW).date()
        last = day + relativedelta(months=self.months * (self.extensions + 1))
        return last, datetime(last.year, last.month, last.day, tzinfo=MOSCOW).astimezone(UTC) + DAY


@dataclass
class Treaty:
    """A plain model of one client: who may hold the client and until when, what may follow what, who is owed what.

    `observe` takes every event when it is published and raises AssertionError if the event breaks the treaty.
    `months`: the term that is configured now. `pending`: returns on which the gateway decides.
    """

    months: int = 6
    pending: set[UUID] = field(default_factory=set)

    submitted: dict[UUID, str] = field(default_factory=dict)
    verdicts: dict[UUID, str] = field(default_factory=dict)
    confirmed_at: dict[UUID, datetime] = field(default_factory=dict)
    reinstated_at: dict[UUID, tuple[UUID, datetime]] = field(default_factory=dict)
    held: dict[UUID, HeldLead] = field(default_factory=dict)
    requests: dict[UUID, Any] = field(default_factory=dict)
    answered: Counter[UUID] = field(default_factory=Counter)
    sales: dict[str, tuple[UUID, date]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    claims: dict[UUID, str] = field(default_factory=dict)
    balance: Decimal = Decimal(0)
    claim_balance: dict[UUID, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    history_count: int = 0

    def observe(self, event: Any, now: datetime) -> None:
        if (number := getattr(event, "history_count", None)) is not None:
            assert number > self.history_count, "the history count in the events decreases"
            self.history_count = number
        match event:
            case LeadConfirmed() | LeadRejected():
                assert event.lead_id not in self.verdicts, "two verdicts on one lead"
                self.verdicts[event.lead_id] = type(event).__name__
                if isinstance(event, LeadConfirmed):
                    self.confirmed_at[event.lead_id] = event.confirmed_at
            case ReinstatementConfirmed():
                self.reinstated_at[event.request_id] = (event.lead_id, event.confirmed_at)
            case ReservationOpened():
                assert not self.live(), "two live reservations of one client"
                anchor = self.confirmed_at[event.lead_id]
                self.held[event.lead_id] = held = HeldLead(event.partner_id, anchor, self.months)
                self._starts_term(event, held)
            case ReinstatementRequested():
                assert not self.pending, "two returns of one client are pending"
                self.pending.add(event.request_id)
            case ReservationExtended():
                held = self.held[event.lead_id]
                assert held.status == "live"
                assert now < held.end()[1], "extended after its end"
                held.extensions += 1
                held.terms.pop()
                self._starts_term(event, held)
                assert event.reserved_until > now, "extended to a date in the past"
                self._returns(event, held, now)
            case ReservationExpiring():
                held = self.held[event.lead_id]
                last = held.end()[0]
                assert held.status == "live"
                assert now.astimezone(MOSCOW).date() == last - event.days_left * DAY, "reminded on another day"
                assert (last, event.days_left) not in held.reminded, "reminded twice"
                held.reminded.add((last, event.days_left))
            case ReservationExpired():
                held = self.held[event.lead_id]
                assert held.status == "live" or (held.status == "won" and self.live())
                assert now >= held.end()[1] == event.expired_at, "expired early"
                held.status = "expired"
            case ReservationReinstated():
                held = self.held[event.lead_id]
                assert held.status == "expired"
                assert not self.live(), "two live reservations of one client"
                assert self.reinstated_at[event.request_id] == (event.lead_id, event.confirmed_at)
                held.anchor, held.months, held.extensions = event.confirmed_at, self.months, 0
                held.status = "live"
                self._starts_term(event, held)
                self._returns(event, held, event.confirmed_at)
            case ReservationClosed(outcome="withdrawn"):
                held = self.held[event.lead_id]
                assert event.request_id is not None
                request = self.requests[event.request_id]
                assert held.status == "live" or (held.status == "expired" and request.manager)
                assert request.manager or request.requested_at <= held.anchor + DAY, "withdrawn too late"
                held.status = "withdrawn"
                self._answers(event)
            case ReservationClosed(outcome="won"):
                held = self.held[event.lead_id]
                assert event.deal is not None
                lead_id, sold_on = self.sales[event.deal]
                assert held.status == (event.corrects or "live")
                assert lead_id == event.lead_id
                assert any(first <= sold_on <= last for first, last in held.terms), "won by a sale outside the terms"
                held.status = "won"
            case ReservationReopened():
                held = self.held[event.lead_id]
                assert held.status == "won"
                assert not self.live(), "two live reservations of one client"
                held.status = "live"
            case RewardClaimAccepted():
                lead_id, sold_on = self.sales[event.deal]
                held = self.held[lead_id]
                assert any(first <= sold_on <= last for first, last in held.terms)
                assert event.partner_id == held.partner
                assert event.deal not in set(self.claims.values()) - self.cancelled, "claimed twice"
                self.claims[event.claim_id] = event.deal
                self._answers(event)
            case RewardAccrued():
                self.balance += event.amount
                self.claim_balance[event.claim_id] += event.amount
                assert self.claim_balance[event.claim_id] >= 0
                self._answers(event)
            case RewardDeclined():
                assert self.claim_balance[event.claim_id] == 0, "declined, but the accrual was not reversed"
                self._answers(event, again=True)
            case ReservationRequestRefused():
                self.pending.discard(event.request_id)
                self._answers(event)
            case DealClosed():
                self.sales[event.deal] = (event.lead_id, event.sold_on)
            case DealCancelled():
                self.cancelled.add(event.deal)

    def live(self) -> list[UUID]:
        return [lead_id for lead_id, held in self.held.items() if held.status == "live"]

    def _starts_term(self, event: Any, held: HeldLead) -> None:
        last, until = held.end()
        assert (event.reserved_through, event.reserved_until) == (last, until)
        held.terms.append((held.anchor.astimezone(MOSCOW).date(), last))

    def _returns(self, event: Any, held: HeldLead, granted_at: datetime) -> None:
        request, before = self.requests[event.request_id], held.returned_at
        assert before is None or request.again or request.requested_at >= before + DAY, "one return gave two terms"
        held.returned_at = granted_at
        self.pending.discard(event.request_id)
        self._answers(event)

    def _answers(self, event: Any, *, again: bool = False) -> None:
        if event.request_id is not None:
            self.answered[event.request_id] += 1
            assert again or self.answered[event.request_id] == 1, "a request was answered twice"
