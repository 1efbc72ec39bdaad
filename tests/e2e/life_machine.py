"""A state machine over the rules of gateway and reservations, for one client.

Both services' rules run as they are. Topics are lists, which each service reads at its own pace; a repeated message is
recognised by its id, as in the inbox. Beside the rules run the models `Treaty`, which checks every event, and
`OneCModel`, which makes the calls that the gateway requests.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import orjson
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
from contracts.verdicts import LeadConfirmed, ReinstatementConfirmed
from services.onec_gateway.domain.inputs import EnquirySeen, NotApplied, Ruled, SaleSeen
from services.onec_gateway.domain.model import Ruling
from services.reservations.domain.history import Entry, Head, flaws
from services.reservations.domain.terms import Term
from services.reservations.store.clients import ClientStore, restored
from services.reservations.store.tables import FactRow, ReservationRow
from tests.e2e.onec_model import OneCModel
from tests.e2e.rules import (
    GATEWAY,
    GATEWAY_POLICY,
    HISTORY_KEY,
    MOSCOW,
    POLICY,
    RESERVATIONS,
    ClientState,
    GatewayState,
    Sale,
    TermReached,
    WaitOver,
    held_until,
    waits_for_people,
)
from tests.e2e.treaty import DAY, Treaty

KEY = "k1:" + "0" * 64
START = datetime(2026, 8, 28, 9, tzinfo=UTC)
TICK = timedelta(seconds=1)
PARTNERS = ("anna", "boris")
MONTHS = {"P2M": 2, "P6M": 6, "P12M": 12}
CLIENTS = ClientStore(HISTORY_KEY)


class LifeMachine(RuleBasedStateMachine):
    """Portals send requests, people sell and rule, the office enters enquiries, time passes, and each service reads
    each topic at its own pace.

    `topics` are lists of (id, message); `read` is the position of each reader on each topic; `processed` are the ids
    that each reader has handled, as its inbox has them.
    """

    TOPICS: ClassVar = {
        "leads": ("gateway", "reservations"),
        "verdicts": ("reservations",),
        "reservations": ("gateway",),
    }

    @initialize()
    def begin(self) -> None:
        self.now = START
        self.gateway = GatewayState(KEY)
        self.reservations = ClientState(KEY)
        self.topics: dict[str, list[tuple[str, Any]]] = {name: [] for name in self.TOPICS}
        self.read = {(reader, topic): 0 for topic, readers in self.TOPICS.items() for reader in readers}
        self.processed: set[tuple[str, str]] = set()
        self.treaty = Treaty()
        self.onec = OneCModel()
        self.policy = POLICY
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
    @rule(data=st.data(), doubled=st.booleans(), again=st.booleans(), foreign=st.integers(0, 9))
    def return_client(self, data: st.DataObject, doubled: bool, again: bool, foreign: int) -> None:
        message = ReturnRequested(**self._request_fields(data, foreign == 0), manager="m", reason="r", again=again)
        self._send(message, doubled)

    @precondition(lambda self: self.treaty.submitted)
    @rule(data=st.data(), manager=st.booleans(), foreign=st.integers(0, 9))
    def withdraw(self, data: st.DataObject, manager: bool, foreign: int) -> None:
        message = WithdrawalRequested(
            **self._request_fields(data, foreign == 0), manager="m" if manager else None, reason="r"
        )
        self._send(message)

    @precondition(lambda self: self.treaty.submitted)
    @rule(data=st.data(), doubled=st.booleans())
    def claim(self, data: st.DataObject, doubled: bool) -> None:
        fields = self._request_fields(data, False)
        self._send(RewardClaimed(**fields, claim_id=fields["request_id"]), doubled)

    @precondition(lambda self: self.treaty.claims)
    @rule(data=st.data(), amount=st.sampled_from([None, "100.00", "250.00"]))
    def settle(self, data: st.DataObject, amount: str | None) -> None:
        claim = data.draw(st.sampled_from(sorted(self.treaty.claims)))
        message = RewardSettlementRequested(
            **self._request_fields(data, False),
            claim_id=claim,
            decision="decline" if amount is None else "accrue",
            amount=None if amount is None else Decimal(amount),
            currency=None if amount is None else "RUB",
            reason="r",
            decided_by="a",
        )
        self._send(message)

    @rule(days_ago=st.integers(0, 40))
    def sell(self, days_ago: int) -> None:
        ref = f"d{len(self.onec.sales) + 1}"
        sold_on = self.now.astimezone(MOSCOW).date() - days_ago * DAY
        self.onec.sales[ref] = Sale(ref, Decimal("1000.00"), "RUB", ref, sold_on)
        self._decide("gateway", SaleSeen(self.onec.sales[ref], self.now))

    @precondition(lambda self: self.onec.sales)
    @rule(data=st.data(), cancelled=st.booleans())
    def sale_is_seen_again(self, data: st.DataObject, cancelled: bool) -> None:
        sale = self.onec.sales[data.draw(st.sampled_from(sorted(self.onec.sales)))]
        self.onec.sales[sale.ref] = replace(sale, cancelled=sale.cancelled or cancelled)
        self._decide("gateway", SaleSeen(self.onec.sales[sale.ref], self.now))

    @precondition(lambda self: self.onec.sales and self.treaty.submitted)
    @rule(data=st.data())
    def sale_is_linked_by_hand(self, data: st.DataObject) -> None:
        sale = self.onec.sales[data.draw(st.sampled_from(sorted(self.onec.sales)))]
        lead_id = data.draw(st.sampled_from(sorted(self.treaty.submitted)))
        self._decide_by_hand(SaleSeen(sale, self.now, lead_id, "m", "r"))

    @precondition(lambda self: self.treaty.submitted)
    @rule(data=st.data(), confirm=st.booleans())
    def manager_rules(self, data: st.DataObject, confirm: bool) -> None:
        lead_id = data.draw(st.sampled_from(sorted(self.treaty.submitted)))
        self._decide_by_hand(Ruled(lead_id, Ruling(confirm, "m", "r")))

    @precondition(lambda self: waits_for_people(self.gateway) is not None)
    @rule(confirm=st.booleans())
    def manager_rules_on_the_lead_that_waits(self, confirm: bool) -> None:
        assert self._decide_by_hand(Ruled(waits_for_people(self.gateway), Ruling(confirm, "m", "r")))

    # --- what the sales office does: cards of two phones and cards without enquiries belong here, too ---

    @precondition(lambda self: self.treaty.submitted)
    @rule(seconds=st.sampled_from([-30, 0, 30, 3600, -86400]), seen=st.booleans())
    def client_walks_in(self, seconds: int, seen: bool) -> None:
        self._see_enquiry(self.onec.enter_enquiry(self.now + timedelta(seconds=seconds)), seen)

    @precondition(lambda self: self.onec.office)
    @rule(data=st.data())
    def enquiry_is_seen(self, data: st.DataObject) -> None:
        self._see_enquiry(data.draw(st.sampled_from(sorted(self.onec.office))), True)

    @precondition(lambda self: self.onec.office)
    @rule(data=st.data(), seen=st.booleans())
    def enquiry_is_deleted(self, data: st.DataObject, seen: bool) -> None:
        enquiry = self.onec.delete_enquiry(data.draw(st.sampled_from(sorted(self.onec.office))))
        if seen:
            self._decide("gateway", EnquirySeen(enquiry, self.now, deleted=True))

    @precondition(lambda self: self.onec.calls)
    @rule(many=st.integers(1, 4))
    def onec_answers(self, many: int) -> None:
        for _ in range(min(many, len(self.onec.calls))):
            self._decide("gateway", self.onec.perform(self.now))

    @rule(term=st.sampled_from(sorted(MONTHS)))
    def term_is_changed(self, term: str) -> None:
        self.policy = replace(POLICY, term=Term.parse(term))
        self.treaty.months = MONTHS[term]

    @precondition(lambda self: self.reservations.reservations)
    @rule()
    def client_is_erased(self) -> None:
        """The command `erase` of reservations, which is refused while a reservation is live."""
        if self.reservations.live() is None:
            for reservation in self.reservations.reservations.values():
                self.reservations = self.reservations.with_reservation(reservation._replace(client=None))

    # --- time, topics, restarts ---

    @rule(hours=st.sampled_from([1, 12, 24, 24 * 6, 24 * 30, 24 * 90, 24 * 185]))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @precondition(lambda self: self.reservations.reservations)
    @rule(data=st.data(), wait=st.booleans())
    def clock_fires(self, data: st.DataObject, wait: bool) -> None:
        reservation = self.reservations.reservations[data.draw(st.sampled_from(sorted(self.reservations.reservations)))]
        if wait and reservation.status == "live":
            self.now = max(self.now, reservation.next_due)
        self._decide("reservations", TermReached(reservation.lead_id))

    @precondition(lambda self: self.reservations.requests)
    @rule(data=st.data())
    def wait_is_over(self, data: st.DataObject) -> None:
        self._decide("reservations", WaitOver(data.draw(st.sampled_from(sorted(self.reservations.requests)))))

    @rule(data=st.data(), many=st.integers(1, 4))
    def messages_arrive(self, data: st.DataObject, many: int) -> None:
        for _ in range(many):
            behind = [place for place, read in sorted(self.read.items()) if read < len(self.topics[place[1]])]
            if not behind:
                return
            self._deliver(*data.draw(st.sampled_from(behind)))

    @rule(data=st.data(), back=st.integers(1, 5))
    def offsets_are_lost(self, data: st.DataObject, back: int) -> None:
        place = data.draw(st.sampled_from(sorted(self.read)))
        self.read[place] = max(0, self.read[place] - back)

    @rule()
    def reservations_restarts(self) -> None:
        """The rows hold the whole state: it is the same when it is read back from them, with JSON as text."""
        rows = {rows.model: list(rows.values) for rows in CLIENTS.save({KEY: (ClientState(KEY), self.reservations)})}
        kept = [
            {**row, **{name: orjson.loads(as_json([row[name]]))[0] for name in ("cause", "earlier_terms")}}
            for row in rows[ReservationRow]
        ]
        facts = [{**row, "value": orjson.loads(as_json([row["value"]]))[0]} for row in rows[FactRow]]
        assert restored(KEY, None, kept, facts) == self.reservations._replace(head=Head())

    # --- what must hold ---

    @invariant()
    def at_most_one_reservation_is_live_and_its_clock_is_set(self) -> None:
        if not hasattr(self, "reservations"):
            return
        live = [reservation for reservation in self.reservations.reservations.values() if reservation.status == "live"]
        assert len(live) <= 1
        for reservation in live:
            assert reservation.next_due <= reservation.reserved_until, "the clock never fires at its end"
        assert self.treaty.live() == [reservation.lead_id for reservation in live]

    def teardown(self) -> None:
        if not hasattr(self, "reservations"):
            return
        self._settle_down()
        assert set(self.treaty.verdicts) == set(self.treaty.submitted), "a lead without a verdict"
        live = self.reservations.live()
        held = (live.lead_id, live.reserved_until) if live is not None else None
        assert held_until(self.gateway) == held, "gateway and reservations disagree on who holds the client"
        waiting = {ref for ref, request in self.reservations.requests.items() if request.state != "answered"}
        assert set(self.treaty.requests) - set(self.treaty.answered) == waiting
        assert all(isinstance(self.treaty.requests[ref], RewardClaimed) for ref in waiting), "a request was forgotten"
        assert sum((line.amount for line in self.ledger), Decimal(0)) == self.treaty.balance
        entries = {str(lead_id): one.status for lead_id, one in self.treaty.held.items()}
        shown = {lead: "live" if state == "active" else state for lead, state in self.onec.entries.items()}
        assert shown == entries, "the partner journal shows another state"
        expired = [lead for lead, state in entries.items() if state == "expired"]
        assert [lead for lead, _ in self.onec.handed_over.values()] == expired, "the general journal is wrong"
        withdrawn = {lead for lead, state in entries.items() if state == "withdrawn"}
        assert withdrawn.isdisjoint(self.onec.marks.values()), "a withdrawn lead is still marked on an enquiry"
        seal = self.reservations.head.seal(HISTORY_KEY, KEY)
        assert list(flaws(HISTORY_KEY, KEY, self.entries, self.reservations.head, seal)) == []

    # --- helpers ---

    def _request_fields(self, data: st.DataObject, foreign: bool) -> dict[str, Any]:
        lead_id = data.draw(st.sampled_from(sorted(self.treaty.submitted)))
        partner = self.treaty.submitted[lead_id]
        self.number += 1
        self.now += TICK
        return {
            "lead_id": lead_id,
            "client_key": KEY,
            "partner_id": next(other for other in PARTNERS if (other != partner) == foreign),
            "request_id": UUID(int=self.number),
            "portal": "demo",
            "portal_request_id": str(self.number),
            "requested_at": self.now,
        }

    def _send(self, message: Any, doubled: bool = False) -> None:
        self.treaty.requests[message.request_id] = message
        self._publish("leads", message)
        if doubled:
            self._publish("leads", message)

    def _see_enquiry(self, ref: str, seen: bool) -> None:
        if seen:
            self._decide("gateway", EnquirySeen(self.onec.office[ref], self.now))

    def _decide_by_hand(self, message: Any) -> bool:
        """Decide a person's input. Return whether it was applied; a refused one changes nothing."""
        before = self.gateway
        reply = self._decide("gateway", message)
        assert not isinstance(reply, NotApplied) or self.gateway is before
        return not isinstance(reply, NotApplied)

    def _publish(self, topic: str, message: Any) -> None:
        self.topics[topic].append((f"{topic}-{len(self.topics[topic])}", message))

    def _deliver(self, reader: str, topic: str) -> None:
        identity, message = self.topics[topic][self.read[reader, topic]]
        self.read[reader, topic] += 1
        rules = GATEWAY if reader == "gateway" else RESERVATIONS
        if (reader, identity) not in self.processed and type(message) in rules:
            self.processed.add((reader, identity))
            self._decide(reader, message, identity)

    def _decide(self, service: str, message: Any, identity: str | None = None) -> Any:
        """Decide a message or an input; return the rule's reply."""
        self.number += 1
        cause = Cause(identity or f"input-{self.number}", "correlation")
        if service == "gateway":
            before = self.gateway.holder()
            done: Decision[Any] = GATEWAY[type(message)](self.gateway, message, cause, self.now, policy=GATEWAY_POLICY)
            self.gateway = done.state
            self.onec.request(done.tasks)
            self._check_one_holder(before.lead_id if before is not None else None, done)
        else:
            done = RESERVATIONS[type(message)](self.reservations, message, cause, self.now, policy=self.policy)
            self.entries += done.state.new_history
            self.ledger += done.state.new_ledger
            self.reservations = done.state._replace(new_history=(), new_ledger=())
        ids: set[tuple[str, str, str]] = set()
        for event in done.events:
            self.treaty.observe(event.message, self.now)
            self._publish("verdicts" if service == "gateway" else "reservations", event.message)
            if event.cause is not None:
                ids.add((service, event.cause.id, event.message.ce_type))
        assert not ids & self.ids, "events of different decisions have the same id"
        self.ids |= ids
        return done.reply

    def _check_one_holder(self, before: UUID | None, done: Decision[Any]) -> None:
        """The gateway grants the client once in a decision, and never while another lead holds it."""
        granted = [
            event.message.lead_id
            for event in done.events
            if isinstance(event.message, (LeadConfirmed, ReinstatementConfirmed))
        ]
        assert len(granted) <= 1, "two leads got the client in one decision"
        if granted and before is not None and before != granted[0]:
            assert self.gateway.reservations[before].ended_at is not None, "granted while another lead holds the client"

    def _settle_down(self) -> None:
        """Deliver every message, make every call, rule on every question and fire every due clock; the time does not
        move."""
        for _ in range(1000):
            behind = [place for place, read in sorted(self.read.items()) if read < len(self.topics[place[1]])]
            if behind:
                self._deliver(*behind[0])
            elif self.onec.calls:
                self._decide("gateway", self.onec.perform(self.now))
            elif (waiting := waits_for_people(self.gateway)) is not None:
                self._decide_by_hand(Ruled(waiting, Ruling(False, "m", "r")))
            elif due := [
                reservation
                for reservation in self.reservations.reservations.values()
                if reservation.status == "live" and reservation.next_due <= self.now
            ]:
                self._decide("reservations", TermReached(due[0].lead_id))
            else:
                return
        raise AssertionError("the services never settle")
