"""One client's life, driven message by message through the rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from chassis.decision import Cause, Decision, Event
from contracts.leads import ReturnRequested, RewardClaimed, RewardSettlementRequested, WithdrawalRequested
from contracts.reservations import ReinstatementRequested
from contracts.verdicts import (
    DealCancelled,
    DealClosed,
    LeadConfirmed,
    LeadRejected,
    ReinstatementConfirmed,
    ReinstatementRejected,
)
from services.reservations import domain
from services.reservations.facts import Client, Reservation
from services.reservations.history import Entry
from services.reservations.terms import Term

MOSCOW = ZoneInfo("Europe/Moscow")
KEY = "k1:" + "0" * 64
SECRET = bytes(range(32))
NOON = datetime(2026, 3, 14, 9, tzinfo=UTC)
POLICY = domain.Policy("P6M", Term.parse("P6M"), MOSCOW, SECRET)
LEAD, CLAIM = UUID(int=1), UUID(int=77)
DAY = timedelta(days=1)


def confirmed(lead: UUID = LEAD, at: datetime = NOON, partner: str = "p1") -> LeadConfirmed:
    return LeadConfirmed(
        lead_id=lead,
        client_key=KEY,
        partner_id=partner,
        client="sealed",
        received_at=at,
        checked_at=at,
        confirmed_at=at,
    )


@dataclass
class Life:
    """`now` moves as the test says; everything told is kept, and so is the whole history and ledger."""

    policy: domain.Policy = POLICY
    now: datetime = NOON
    client: Client = field(default_factory=lambda: Client(KEY))
    told: list[Any] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    ledger: list[Any] = field(default_factory=list)

    def decided(self, rule: Any, message: Any, cause: Cause | None = None) -> list[Any]:
        """What this one message made the service tell."""
        cause = cause or Cause(str(uuid4()), "story")
        decision: Decision[Client] = rule(self.client, message, cause, self.now, policy=self.policy)
        events: Sequence[Event] = decision.events
        self.entries += decision.state.written
        self.ledger += decision.state.booked
        self.client = decision.state._replace(written=(), booked=())
        self.told += [event.message for event in events]
        self.causes += [event.cause or cause for event in events]
        return [event.message for event in events]

    def confirm(self, lead: UUID = LEAD, partner: str = "p1") -> list[Any]:
        return self.decided(domain.lead_confirmed, confirmed(lead, self.now, partner))

    def reject(self, lead: UUID, partner: str = "p1") -> list[Any]:
        message = LeadRejected(
            lead_id=lead,
            client_key=KEY,
            partner_id=partner,
            client="sealed",
            received_at=self.now,
            rejected_at=self.now,
            reason="held-by-partner",
        )
        return self.decided(domain.lead_rejected, message)

    def give_back(self, lead: UUID = LEAD, partner: str = "p1", request: UUID | None = None) -> list[Any]:
        message = ReturnRequested(
            **self._request(lead, partner, request), manager="manager-3", reason="ипотека на рассмотрении"
        )
        return self.decided(domain.requested, message)

    def withdraw(self, lead: UUID = LEAD, partner: str = "p1", manager: str | None = None) -> list[Any]:
        message = WithdrawalRequested(**self._request(lead, partner, None), manager=manager, reason="ошибка в номере")
        return self.decided(domain.requested, message)

    def sell(
        self,
        on: date | None = None,
        deal: str = "d1",
        lead: UUID = LEAD,
        amount: str = "12450000.00",
    ) -> list[Any]:
        return self.decided(domain.deal_closed, DealClosed(**self._deal(deal, lead, on, amount), noticed_at=self.now))

    def void(self, deal: str = "d1", lead: UUID = LEAD, cause: Cause | None = None) -> list[Any]:
        message = DealCancelled(**self._deal(deal, lead, None, "12450000.00"), cancelled_at=self.now)
        return self.decided(domain.deal_cancelled, message, cause)

    def claim(self, lead: UUID = LEAD, partner: str = "p1", claim: UUID = CLAIM) -> list[Any]:
        return self.decided(domain.requested, RewardClaimed(**self._request(lead, partner, None), claim_id=claim))

    def settle(
        self,
        decision: Literal["accrue", "decline"] = "accrue",
        amount: str | None = "249000.00",
        claim: UUID = CLAIM,
        currency: str = "RUB",
    ) -> list[Any]:
        message = RewardSettlementRequested(
            **self._request(LEAD, "p1", None),
            claim_id=claim,
            decision=decision,
            amount=Decimal(amount) if amount is not None else None,
            currency=currency if amount is not None else None,
            reason="2 % по договору",
            decided_by="accountant-1",
        )
        return self.decided(domain.requested, message)

    def granted(self) -> list[Any]:
        """The arbiter agrees to the last request to reinstate."""
        asks = self._asks()
        message = ReinstatementConfirmed(
            lead_id=asks.lead_id,
            client_key=KEY,
            partner_id=asks.partner_id,
            request_id=asks.request_id,
            confirmed_at=self.now,
        )
        return self.decided(domain.reinstatement_confirmed, message)

    def denied(self, reason: Literal["held-by-partner", "already-sold"] = "held-by-partner") -> list[Any]:
        asks = self._asks()
        message = ReinstatementRejected(
            lead_id=asks.lead_id,
            client_key=KEY,
            partner_id=asks.partner_id,
            request_id=asks.request_id,
            rejected_at=self.now,
            reason=reason,
        )
        return self.decided(domain.reinstatement_rejected, message)

    def clock(self, at: datetime | None = None, lead: UUID = LEAD) -> list[Any]:
        """The clock fires at that moment, or as soon as it would by itself."""
        self.now = at if at is not None else max(self.now, self.reservation(lead).next_due)
        return self.decided(domain.term_reached, domain.TermReached(lead))

    def reservation(self, lead: UUID = LEAD) -> Reservation:
        return self.client.reservations[lead]

    def _asks(self) -> ReinstatementRequested:
        asks: ReinstatementRequested = [one for one in self.told if isinstance(one, ReinstatementRequested)][-1]
        return asks

    def _request(self, lead: UUID, partner: str, request: UUID | None) -> dict[str, Any]:
        return {
            "lead_id": lead,
            "client_key": KEY,
            "partner_id": partner,
            "request_id": request or uuid4(),
            "portal": "demo",
            "portal_request_id": "r-1",
            "requested_at": self.now,
        }

    def _deal(self, deal: str, lead: UUID, on: date | None, amount: str) -> dict[str, Any]:
        return {
            "lead_id": lead,
            "client_key": KEY,
            "partner_id": "p1",
            "deal": deal,
            "amount": Decimal(amount),
            "currency": "RUB",
            "contract_number": "ДДУ-7",
            "sold_on": on or self.now.astimezone(MOSCOW).date(),
        }


def names(told: Sequence[Any]) -> list[str]:
    """What was told, by the names of the messages."""
    return [type(one).__name__ for one in told]
