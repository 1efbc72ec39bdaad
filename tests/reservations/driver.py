"""The domain without I/O: one client, driven through the rules message by message."""

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
from services.reservations.domain import lifecycle, requests, sales, verdicts
from services.reservations.domain.history import Entry
from services.reservations.domain.model import ClientState, Reservation, TermReached, WaitOver
from services.reservations.domain.policy import Policy
from services.reservations.domain.terms import Term

MOSCOW = ZoneInfo("Europe/Moscow")
KEY = "k1:" + "0" * 64
SECRET = bytes(range(32))
NOON = datetime(2026, 3, 14, 9, tzinfo=UTC)
POLICY = Policy(Term.parse("P6M"), MOSCOW, SECRET)
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
class DomainDriver:
    """Feeds messages about one client to the rules and keeps everything that they return.

    `now` is the time of the next decision and moves only as the test sets it. `published` are the messages of all
    events, `causes` their causes, `entries` the whole history, `ledger` all ledger entries.
    """

    policy: Policy = POLICY
    now: datetime = NOON
    client: ClientState = field(default_factory=lambda: ClientState(KEY))
    published: list[Any] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    ledger: list[Any] = field(default_factory=list)

    def decide(self, rule: Any, message: Any, cause: Cause | None = None) -> list[Any]:
        """Decide one message; return the messages that are published."""
        cause = cause or Cause(str(uuid4()), "correlation")
        decision: Decision[ClientState] = rule(self.client, message, cause, self.now, policy=self.policy)
        events: Sequence[Event] = decision.events
        self.entries += decision.state.new_history
        self.ledger += decision.state.new_ledger
        self.client = decision.state._replace(new_history=(), new_ledger=())
        self.published += [event.message for event in events]
        self.causes += [event.cause or cause for event in events]
        return [event.message for event in events]

    def confirm(self, lead: UUID = LEAD, partner: str = "p1") -> list[Any]:
        return self.decide(verdicts.lead_confirmed, confirmed(lead, self.now, partner))

    def reject(self, lead: UUID, partner: str = "p1", **grounds: Any) -> list[Any]:
        message = LeadRejected(
            lead_id=lead,
            client_key=KEY,
            partner_id=partner,
            client="sealed",
            received_at=self.now,
            rejected_at=self.now,
            reason="held-by-partner",
            **grounds,
        )
        return self.decide(verdicts.lead_rejected, message)

    def return_client(
        self, lead: UUID = LEAD, partner: str = "p1", request: UUID | None = None, again: bool = False
    ) -> list[Any]:
        message = ReturnRequested(
            **self._request(lead, partner, request), manager="manager-3", reason="ипотека на рассмотрении", again=again
        )
        return self.decide(requests.requested, message)

    def withdraw(self, lead: UUID = LEAD, partner: str = "p1", manager: str | None = None) -> list[Any]:
        message = WithdrawalRequested(**self._request(lead, partner, None), manager=manager, reason="ошибка в номере")
        return self.decide(requests.requested, message)

    def sell(
        self,
        on: date | None = None,
        deal: str = "d1",
        lead: UUID = LEAD,
        amount: str = "12450000.00",
        **linked: str,
    ) -> list[Any]:
        message = DealClosed(**self._deal(deal, lead, on, amount), noticed_at=self.now, **linked)
        return self.decide(sales.deal_closed, message)

    def cancel_sale(self, deal: str = "d1", lead: UUID = LEAD, cause: Cause | None = None) -> list[Any]:
        message = DealCancelled(**self._deal(deal, lead, None, "12450000.00"), cancelled_at=self.now)
        return self.decide(sales.deal_cancelled, message, cause)

    def claim(self, lead: UUID = LEAD, partner: str = "p1", claim: UUID = CLAIM) -> list[Any]:
        return self.decide(requests.requested, RewardClaimed(**self._request(lead, partner, None), claim_id=claim))

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
        return self.decide(requests.requested, message)

    def confirm_reinstatement(self) -> list[Any]:
        """The gateway confirms the last requested reinstatement."""
        requested = self._last_reinstatement()
        message = ReinstatementConfirmed(
            lead_id=requested.lead_id,
            client_key=KEY,
            partner_id=requested.partner_id,
            request_id=requested.request_id,
            confirmed_at=self.now,
        )
        return self.decide(verdicts.reinstatement_confirmed, message)

    def reject_reinstatement(self, reason: Literal["held-by-partner", "already-sold"] = "held-by-partner") -> list[Any]:
        requested = self._last_reinstatement()
        message = ReinstatementRejected(
            lead_id=requested.lead_id,
            client_key=KEY,
            partner_id=requested.partner_id,
            request_id=requested.request_id,
            rejected_at=self.now,
            reason=reason,
        )
        return self.decide(verdicts.reinstatement_rejected, message)

    def fire_clock(self, at: datetime | None = None, lead: UUID = LEAD) -> list[Any]:
        """Fire the clock at that moment, or as soon as it would fire by itself."""
        self.now = at if at is not None else max(self.now, self.reservation(lead).next_due)
        return self.decide(lifecycle.term_reached, TermReached(lead))

    def end_wait(self, request: UUID) -> list[Any]:
        """Fire the clock of a waiting request."""
        return self.decide(requests.wait_over, WaitOver(request))

    def end_wait_of_claim(self) -> list[Any]:
        """Fire the clock of the waiting reward claim when its wait is over."""
        (waiting,) = [one for one in self.client.requests.values() if one.state == "waiting"]
        assert waiting.until is not None
        self.now = waiting.until
        return self.end_wait(waiting.message.request_id)

    def reservation(self, lead: UUID = LEAD) -> Reservation:
        return self.client.reservations[lead]

    def erase(self, lead: UUID = LEAD) -> None:
        """Erase the client of a lead, as the command does."""
        self.client = self.client.with_reservation(self.reservation(lead)._replace(client=None))

    def _last_reinstatement(self) -> ReinstatementRequested:
        return [message for message in self.published if isinstance(message, ReinstatementRequested)][-1]

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


def names(messages: Sequence[Any]) -> list[str]:
    """Return the class names of messages."""
    return [type(message).__name__ for message in messages]


def reserved() -> DomainDriver:
    """A client with a live reservation."""
    driver = DomainDriver()
    driver.confirm()
    return driver


def expired() -> DomainDriver:
    """A client whose reservation has expired."""
    driver = reserved()
    driver.fire_clock(driver.reservation().reserved_until)
    return driver


def sold() -> DomainDriver:
    """A client who bought thirty days into the reservation."""
    driver = reserved()
    driver.now += 30 * DAY
    driver.sell()
    return driver
