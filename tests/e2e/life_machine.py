"""A state machine over the rules of gateway and reservations, for one client.

Both services' rules run as they are. Topics are lists, which each service reads at its own pace; a repeated message is
recognised by its id, as in the inbox. Beside the rules run the models `Treaty`, which checks every event, and
`OneCModel`, which makes the calls that the gateway requests.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import orjson
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from chassis.database.writing import as_json
from contracts.leads import (
    LeadSubmitted,
    ReturnRequested,
    RewardClaimed,
    RewardSettlementRequested,
    WithdrawalRequested,
)
from contracts.portal import Consent
from services.onec_gateway.domain.inputs import EnquirySeen, Ruled, SaleSeen
from services.onec_gateway.domain.model import Ruling
from services.reservations.domain.history import Head, flaws
from services.reservations.domain.terms import Term
from services.reservations.store.clients import ClientStore, restored
from services.reservations.store.tables import FactRow, ReservationRow
from tests.e2e.life_world import KEY, PARTNERS, START, TICK, LifeWorld
from tests.e2e.rules import HISTORY_KEY, MOSCOW, POLICY, ClientState, Sale, TermReached, WaitOver, held_until
from tests.e2e.treaty import DAY

MONTHS = {"P2M": 2, "P6M": 6, "P12M": 12}
CLIENTS = ClientStore(HISTORY_KEY)


class LifeMachine(LifeWorld):
    """Portals send requests, people sell and rule, the office enters enquiries, time passes, and each service reads
    each topic at its own pace.
    """

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

    @precondition(lambda self: self.treaty.held)
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

    @precondition(lambda self: self.waiting_for_people() is not None)
    @rule(confirm=st.booleans())
    def manager_rules_on_the_lead_that_waits(self, confirm: bool) -> None:
        waiting = self.waiting_for_people()
        assert waiting is not None
        assert self._decide_by_hand(Ruled(waiting, Ruling(confirm, "m", "r")))

    # --- what the sales office does: cards of two phones and cards without enquiries belong here, too ---

    @precondition(lambda self: len(self.onec.office) < 2 and (self.treaty.held or self.onec.calls))
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
    @rule(data=st.data(), wait_for=st.sampled_from(["nothing", "next_due", "reserved_until"]))
    def clock_fires(self, data: st.DataObject, wait_for: str) -> None:
        reservation = self.reservations.reservations[data.draw(st.sampled_from(sorted(self.reservations.reservations)))]
        if wait_for != "nothing" and reservation.status == "live":
            self.now = max(self.now, getattr(reservation, wait_for))
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

    @rule()
    def everything_arrives(self) -> None:
        while self._delivers():
            pass

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
        open_states = ("waiting", "forwarded")
        waiting = {ref for ref, request in self.reservations.requests.items() if request.state in open_states}
        assert set(self.treaty.requests) - set(self.treaty.answered) == waiting
        assert all(isinstance(self.treaty.requests[ref], RewardClaimed) for ref in waiting), "a request was forgotten"
        assert sum((line.amount for line in self.ledger), Decimal(0)) == self.treaty.balance
        entries = {str(lead_id): one.status for lead_id, one in self.treaty.held.items()}
        shown = {lead: "live" if state == "active" else state for lead, state in self.onec.entries.items()}
        assert shown == entries, "the partner journal shows another state"
        handed_over = {lead for lead, _ in self.onec.handed_over.values()}
        expired = {lead for lead, state in entries.items() if state == "expired"}
        # By the age rule an expired client may have got another holder.
        assert handed_over <= expired if self.gateway_policy.max_enquiry_age else handed_over == expired
        withdrawn = {lead for lead, state in entries.items() if state == "withdrawn"}
        assert withdrawn.isdisjoint(self.onec.marks.values()), "a withdrawn lead is still marked on an enquiry"
        seal = self.reservations.head.seal(HISTORY_KEY, KEY)
        assert list(flaws(HISTORY_KEY, KEY, self.entries, self.reservations.head, seal)) == []
