"""The whole life of one client, gateway and reservations together, in any interleaving of their topics.

Both services' rules run as they are; topics are lists, read by each service at its own pace, and what is read twice is
known by its id, as the inbox knows it. Beside them runs a plain model that hears every event when it is told, and
holds it against the treaty: who may hold the client, until when, what may follow what, and what is owed to whom.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chassis.database.writing import as_json
from chassis.decision import Cause, Decision
from contracts.leads import (
    LeadSubmitted,
    ReturnRequested,
    RewardClaimed,
    RewardSettlementRequested,
    WithdrawalRequested,
)
from contracts.portal import Consent
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
from contracts.verdicts import (
    DealCancelled,
    DealClosed,
    LeadConfirmed,
    LeadRejected,
    ReinstatementConfirmed,
    ReinstatementRejected,
)
from services.onec_gateway.domain import arbiter, reservation_events
from services.onec_gateway.domain.inputs import CheckAnswered, SaleSeen
from services.onec_gateway.domain.model import ClientState as Arbitrated
from services.onec_gateway.domain.model import Policy as GatewayPolicy
from services.onec_gateway.domain.model import Sale
from services.onec_gateway.domain.sales import sale_seen
from services.onec_gateway.domain.tasks import CHECK
from services.reservations import domain as reservations
from services.reservations.facts import Client
from services.reservations.history import Entry, Head, flaws
from services.reservations.store import Clients, FactRow, ReservationRow, restored
from services.reservations.terms import Term

MOSCOW = ZoneInfo("Europe/Moscow")
KEY = "k1:" + "0" * 64
SECRET = bytes(range(32))
START = datetime(2026, 8, 28, 9, tzinfo=UTC)
DAY, TICK = timedelta(days=1), timedelta(seconds=1)
POLICY = reservations.Policy("P6M", Term.parse("P6M"), MOSCOW, SECRET)
PARTNERS = ("anna", "boris")
CLIENTS = Clients(SECRET)

GATEWAY: dict[type, Any] = {
    LeadSubmitted: arbiter.lead_submitted,
    ReservationOpened: reservation_events.reservation_opened,
    ReservationExtended: reservation_events.reservation_extended,
    ReservationExpired: reservation_events.reservation_expired,
    ReservationClosed: reservation_events.reservation_closed,
    ReservationReopened: reservation_events.reservation_reopened,
    ReservationReinstated: reservation_events.reservation_reinstated,
    ReinstatementRequested: arbiter.reinstatement_requested,
    CheckAnswered: arbiter.check_answered,
    SaleSeen: sale_seen,
}
RESERVATIONS: dict[type, Any] = {
    LeadConfirmed: reservations.lead_confirmed,
    LeadRejected: reservations.lead_rejected,
    ReinstatementConfirmed: reservations.reinstatement_confirmed,
    ReinstatementRejected: reservations.reinstatement_rejected,
    DealClosed: reservations.deal_closed,
    DealCancelled: reservations.deal_cancelled,
    ReturnRequested: reservations.requested,
    WithdrawalRequested: reservations.requested,
    RewardClaimed: reservations.requested,
    RewardSettlementRequested: reservations.requested,
    reservations.TermReached: reservations.term_reached,
    reservations.WaitOver: reservations.wait_over,
}


@dataclass
class Held:
    """A reservation as the treaty has it. `terms`: (first day, last day), the last of them the current one."""

    partner: str
    anchor: datetime
    extensions: int = 0
    status: str = "live"
    reminded: set[tuple[date, int]] = field(default_factory=set)
    terms: list[tuple[date, date]] = field(default_factory=list)

    def end(self) -> tuple[date, datetime]:
        day = self.anchor.astimezone(MOSCOW).date()
        last = day + relativedelta(months=6 * (self.extensions + 1))
        return last, datetime(last.year, last.month, last.day, tzinfo=MOSCOW).astimezone(UTC) + DAY


@dataclass
class Treaty:
    """Hears every event as it is told; complains by AssertionError."""

    submitted: dict[UUID, str] = field(default_factory=dict)
    verdicts: dict[UUID, str] = field(default_factory=dict)
    confirmed_at: dict[UUID, datetime] = field(default_factory=dict)
    reinstated_at: dict[UUID, tuple[UUID, datetime]] = field(default_factory=dict)
    held: dict[UUID, Held] = field(default_factory=dict)
    asked: dict[UUID, Any] = field(default_factory=dict)
    answered: Counter[UUID] = field(default_factory=Counter)
    sales: dict[str, tuple[UUID, date]] = field(default_factory=dict)
    void: set[str] = field(default_factory=set)
    claims: dict[UUID, str] = field(default_factory=dict)
    balance: Decimal = Decimal(0)
    claim_balance: dict[UUID, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    count: int = 0

    def hears(self, event: Any, now: datetime) -> None:
        if (number := getattr(event, "history_count", None)) is not None:
            assert number > self.count, "the history in the events runs back"
            self.count = number
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
                self.held[event.lead_id] = held = Held(event.partner_id, anchor)
                self._ends(event, held)
            case ReservationExtended():
                held = self.held[event.lead_id]
                assert held.status == "live"
                assert now < held.end()[1], "extended after its end"
                held.extensions += 1
                held.terms.pop()
                self._ends(event, held)
                self._done(event)
            case ReservationExpiring():
                held = self.held[event.lead_id]
                last = held.end()[0]
                assert held.status == "live"
                assert now.astimezone(MOSCOW).date() == last - event.days_left * DAY, "reminded on another day"
                assert (last, event.days_left) not in held.reminded, "reminded twice"
                held.reminded.add((last, event.days_left))
            case ReservationExpired():
                held = self.held[event.lead_id]
                assert held.status == "live"
                assert now >= held.end()[1] == event.expired_at, "expired early"
                held.status = "expired"
            case ReservationReinstated():
                held = self.held[event.lead_id]
                assert held.status == "expired"
                assert not self.live(), "two live reservations of one client"
                assert self.reinstated_at[event.request_id] == (event.lead_id, event.confirmed_at)
                held.anchor, held.extensions, held.status = event.confirmed_at, 0, "live"
                self._ends(event, held)
                self._done(event)
            case ReservationClosed(outcome="withdrawn"):
                held = self.held[event.lead_id]
                assert held.status == "live"
                assert event.request_id is not None
                request = self.asked[event.request_id]
                assert request.manager or request.requested_at <= held.anchor + DAY, "withdrawn too late"
                held.status = "withdrawn"
                self._done(event)
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
                assert event.deal not in set(self.claims.values()) - self.void, "claimed twice"
                self.claims[event.claim_id] = event.deal
                self._done(event)
            case RewardAccrued():
                self.balance += event.amount
                self.claim_balance[event.claim_id] += event.amount
                assert self.claim_balance[event.claim_id] >= 0
                self._done(event)
            case RewardDeclined():
                assert self.claim_balance[event.claim_id] == 0, "declined, and not taken back"
                self._done(event, again=True)
            case ReservationRequestRefused():
                self._done(event)
            case DealClosed():
                self.sales[event.deal] = (event.lead_id, event.sold_on)
            case DealCancelled():
                self.void.add(event.deal)

    def live(self) -> list[UUID]:
        return [lead_id for lead_id, held in self.held.items() if held.status == "live"]

    def _ends(self, event: Any, held: Held) -> None:
        last, until = held.end()
        assert (event.reserved_through, event.reserved_until) == (last, until)
        held.terms.append((held.anchor.astimezone(MOSCOW).date(), last))

    def _done(self, event: Any, *, again: bool = False) -> None:
        if event.request_id is not None:
            self.answered[event.request_id] += 1
            assert again or self.answered[event.request_id] == 1, "a request was answered twice"


class Life(RuleBasedStateMachine):
    """Portals ask, people sell, time passes, and each service reads each topic whenever it likes."""

    TOPICS: ClassVar = {"leads": ("g", "r"), "verdicts": ("r",), "reservations": ("g",)}

    @initialize()
    def begin(self) -> None:
        self.now = START
        self.g = Arbitrated(KEY)
        self.r = Client(KEY)
        self.topics: dict[str, list[tuple[str, Any]]] = {name: [] for name in self.TOPICS}
        self.read = {(reader, topic): 0 for topic, readers in self.TOPICS.items() for reader in readers}
        self.seen: set[tuple[str, str]] = set()
        self.treaty = Treaty()
        self.checks: list[UUID] = []
        self.sales: dict[str, Sale] = {}
        self.entries: list[Entry] = []
        self.ledger: list[Any] = []
        self.ids: set[tuple[str, str, str]] = set()
        self.number = 0

    # --- what people do ---

    @rule(partner=st.sampled_from(PARTNERS))
    def submit(self, partner: str) -> None:
        self.number += 1
        self.now += TICK
        lead = LeadSubmitted(
            lead_id=UUID(int=self.number),
            client_key=KEY,
            partner_id=partner,
            client="sealed",
            received_at=self.now,
            number=self.number,
            consent=Consent(given_at=START),
        )
        self.treaty.submitted[lead.lead_id] = partner
        self._publish("leads", lead)

    @precondition(lambda self: self.treaty.submitted)
    @rule(data=st.data(), doubled=st.booleans(), foreign=st.integers(0, 9))
    def give_back(self, data: st.DataObject, doubled: bool, foreign: int) -> None:
        message = ReturnRequested(**self._asking(data, foreign == 0), manager="m", reason="r")
        self._ask(message, doubled)

    @precondition(lambda self: self.treaty.submitted)
    @rule(data=st.data(), manager=st.booleans(), foreign=st.integers(0, 9))
    def withdraw(self, data: st.DataObject, manager: bool, foreign: int) -> None:
        message = WithdrawalRequested(**self._asking(data, foreign == 0), manager="m" if manager else None, reason="r")
        self._ask(message)

    @precondition(lambda self: self.treaty.submitted)
    @rule(data=st.data(), doubled=st.booleans())
    def claim(self, data: st.DataObject, doubled: bool) -> None:
        asking = self._asking(data, False)
        self._ask(RewardClaimed(**asking, claim_id=asking["request_id"]), doubled)

    @precondition(lambda self: self.treaty.claims)
    @rule(data=st.data(), amount=st.sampled_from([None, "100.00", "250.00"]))
    def settle(self, data: st.DataObject, amount: str | None) -> None:
        claim = data.draw(st.sampled_from(sorted(self.treaty.claims)))
        message = RewardSettlementRequested(
            **self._asking(data, False),
            claim_id=claim,
            decision="decline" if amount is None else "accrue",
            amount=None if amount is None else Decimal(amount),
            currency=None if amount is None else "RUB",
            reason="r",
            decided_by="a",
        )
        self._ask(message)

    @rule(days_ago=st.integers(0, 40))
    def sell(self, days_ago: int) -> None:
        ref = f"d{len(self.sales) + 1}"
        sold_on = self.now.astimezone(MOSCOW).date() - days_ago * DAY
        self.sales[ref] = Sale(ref, Decimal("1000.00"), "RUB", ref, sold_on)
        self._notice(self.sales[ref])

    @precondition(lambda self: self.sales)
    @rule(data=st.data(), cancelled=st.booleans())
    def notice_again(self, data: st.DataObject, cancelled: bool) -> None:
        ref = data.draw(st.sampled_from(sorted(self.sales)))
        self.sales[ref] = replace(self.sales[ref], cancelled=self.sales[ref].cancelled or cancelled)
        self._notice(self.sales[ref])

    @precondition(lambda self: self.checks)
    @rule(data=st.data())
    def answer_a_check(self, data: st.DataObject) -> None:
        lead_id = self.checks.pop(data.draw(st.integers(0, len(self.checks) - 1)))
        sales = tuple(sale for sale in self.sales.values())
        self._decide("g", CheckAnswered(lead_id, self.now, (), sales))

    # --- time, topics, restarts ---

    @rule(hours=st.sampled_from([1, 12, 24, 24 * 6, 24 * 30, 24 * 90, 24 * 185]))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @precondition(lambda self: self.r.reservations)
    @rule(data=st.data(), wait=st.booleans())
    def clock_fires(self, data: st.DataObject, wait: bool) -> None:
        reservation = self.r.reservations[data.draw(st.sampled_from(sorted(self.r.reservations)))]
        if wait and reservation.status == "live":
            self.now = max(self.now, reservation.next_due)
        self._decide("r", reservations.TermReached(reservation.lead_id))

    @precondition(lambda self: self.r.requests)
    @rule(data=st.data())
    def wait_is_over(self, data: st.DataObject) -> None:
        self._decide("r", reservations.WaitOver(data.draw(st.sampled_from(sorted(self.r.requests)))))

    @rule(data=st.data(), many=st.integers(1, 4))
    def messages_arrive(self, data: st.DataObject, many: int) -> None:
        for _ in range(many):
            behind = [one for one, read in sorted(self.read.items()) if read < len(self.topics[one[1]])]
            if not behind:
                return
            self._deliver(*data.draw(st.sampled_from(behind)))

    @rule(data=st.data(), back=st.integers(1, 5))
    def offsets_are_lost(self, data: st.DataObject, back: int) -> None:
        place = data.draw(st.sampled_from(sorted(self.read)))
        self.read[place] = max(0, self.read[place] - back)

    @rule()
    def reservations_restarts(self) -> None:
        """All that it knows is in its rows, whose JSON is text."""
        rows = {one.model: list(one.values) for one in CLIENTS.save({KEY: (Client(KEY), self.r)})}
        kept = [
            {**row, **{name: orjson.loads(as_json([row[name]]))[0] for name in ("cause", "earlier")}}
            for row in rows[ReservationRow]
        ]
        facts = [{**row, "value": orjson.loads(as_json([row["value"]]))[0]} for row in rows[FactRow]]
        assert restored(KEY, None, kept, facts) == self.r._replace(head=Head())

    # --- what must hold ---

    @invariant()
    def one_reservation_is_live_at_most_and_has_an_end(self) -> None:
        if not hasattr(self, "r"):
            return
        live = [one for one in self.r.reservations.values() if one.status == "live"]
        assert len(live) <= 1
        for one in live:
            assert one.next_due <= one.reserved_until, "nothing will look at its end"
        assert self.treaty.live() == [one.lead_id for one in live]

    def teardown(self) -> None:
        if not hasattr(self, "r"):
            return
        self._settle_down()
        assert set(self.treaty.verdicts) == set(self.treaty.submitted), "a lead without a verdict"
        holder, live = self.g.holder(), self.r.live()
        assert (holder.lead_id if holder else None) == (live.lead_id if live else None), "they disagree who holds"
        if holder is not None and live is not None:
            assert self.g.reservations[holder.lead_id].reserved_until == live.reserved_until
        waiting = {ref for ref, asked in self.r.requests.items() if asked.state != "answered"}
        assert set(self.treaty.asked) - set(self.treaty.answered) == waiting
        assert all(isinstance(self.treaty.asked[ref], RewardClaimed) for ref in waiting), "a request was forgotten"
        assert sum((line.amount for line in self.ledger), Decimal(0)) == self.treaty.balance
        seal = self.r.head.seal(SECRET, KEY)
        assert list(flaws(SECRET, KEY, self.entries, self.r.head, seal)) == []

    # --- how ---

    def _asking(self, data: st.DataObject, foreign: bool) -> dict[str, Any]:
        lead_id = data.draw(st.sampled_from(sorted(self.treaty.submitted)))
        partner = self.treaty.submitted[lead_id]
        self.number += 1
        self.now += TICK
        return {
            "lead_id": lead_id,
            "client_key": KEY,
            "partner_id": next(one for one in PARTNERS if (one != partner) == foreign),
            "request_id": UUID(int=self.number),
            "portal": "demo",
            "portal_request_id": str(self.number),
            "requested_at": self.now,
        }

    def _ask(self, message: Any, doubled: bool = False) -> None:
        self.treaty.asked[message.request_id] = message
        self._publish("leads", message)
        if doubled:
            self._publish("leads", message)

    def _notice(self, sale: Sale) -> None:
        self._decide("g", SaleSeen(sale, self.now))

    def _publish(self, topic: str, message: Any) -> None:
        self.topics[topic].append((f"{topic}-{len(self.topics[topic])}", message))

    def _deliver(self, reader: str, topic: str) -> None:
        identity, message = self.topics[topic][self.read[reader, topic]]
        self.read[reader, topic] += 1
        rules = GATEWAY if reader == "g" else RESERVATIONS
        if (reader, identity) not in self.seen and type(message) in rules:
            self.seen.add((reader, identity))
            self._decide(reader, message, identity)

    def _decide(self, who: str, message: Any, identity: str | None = None) -> None:
        self.number += 1
        cause = Cause(identity or f"input-{self.number}", "story")
        if who == "g":
            done: Decision[Any] = GATEWAY[type(message)](self.g, message, cause, self.now, policy=GatewayPolicy())
            self.g = done.state
            self.checks += [UUID(task.ref) for task in done.tasks if task.kind == CHECK]
        else:
            done = RESERVATIONS[type(message)](self.r, message, cause, self.now, policy=POLICY)
            self.entries += done.state.written
            self.ledger += done.state.booked
            self.r = done.state._replace(written=(), booked=())
        told: set[tuple[str, str, str]] = set()
        for event in done.events:
            self.treaty.hears(event.message, self.now)
            self._publish("verdicts" if who == "g" else "reservations", event.message)
            if event.cause is not None:
                told.add((who, event.cause.id, event.message.ce_type))
        assert not told & self.ids, "two events at different times have one id"
        self.ids |= told

    def _settle_down(self) -> None:
        """Everything arrives and every check is answered; the clock does not move."""
        for _ in range(1000):
            behind = [one for one, read in sorted(self.read.items()) if read < len(self.topics[one[1]])]
            if behind:
                self._deliver(*behind[0])
            elif self.checks:
                self._decide("g", CheckAnswered(self.checks.pop(0), self.now, (), tuple(self.sales.values())))
            elif due := [
                one for one in self.r.reservations.values() if one.status == "live" and one.next_due <= self.now
            ]:
                self._decide("r", reservations.TermReached(due[0].lead_id))
            else:
                return
        raise AssertionError("it never comes to rest")


def machine(name: str, examples: int, steps: int) -> Any:
    """A test of its own: Hypothesis keeps one for each class."""
    of_its_own: Any = type(name, (Life,), {})
    test: Any = of_its_own.TestCase
    test.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    return test


TestLife = machine("Life", 200, 50)


@pytest.mark.long
class TestLongLife(machine("LongLife", 5000, 60)):  # type: ignore[misc]  # made by Hypothesis
    """The same for long."""
