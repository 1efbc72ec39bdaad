"""The two services in the state machine: their states, the topics between them, and the models beside them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from chassis.decision import Cause, Decision
from contracts.verdicts import LeadConfirmed, ReinstatementConfirmed
from services.onec_gateway.domain.inputs import EnquirySeen, NotApplied, Ruled
from services.onec_gateway.domain.model import Lead, Ruling
from services.onec_gateway.domain.verdict_rules import questions
from services.reservations.domain.history import Entry
from tests.e2e.onec_model import OneCModel
from tests.e2e.rules import (
    GATEWAY,
    GATEWAY_POLICY,
    POLICY,
    RESERVATIONS,
    ClientState,
    GatewayState,
    TermReached,
)
from tests.e2e.treaty import Treaty

KEY = "k1:" + "0" * 64
START = datetime(2026, 8, 28, 9, tzinfo=UTC)
TICK = timedelta(seconds=1)
PARTNERS = ("anna", "boris")


class LifeWorld(RuleBasedStateMachine):
    """Both services' states, and what reads and decides messages.

    `topics` are lists of (id, message); `read` is the position of each reader on each topic; `processed` are the ids
    that each reader has handled, as its inbox has them.
    """

    TOPICS: ClassVar = {
        "leads": ("gateway", "reservations"),
        "verdicts": ("reservations",),
        "reservations": ("gateway",),
    }

    @initialize(is_aged=st.booleans())
    def begin(self, is_aged: bool) -> None:
        """`is_aged`: whether an expiry or an enquiry of the office blocks a lead for a month only, or for ever."""
        self.now = START
        self.gateway_policy = replace(GATEWAY_POLICY, max_enquiry_age=timedelta(days=30) if is_aged else None)
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

    def waiting_for_people(self) -> UUID | None:
        """Return the lead at the head of the client's queue if only a person can decide it."""
        head = self.gateway.next_in_queue()
        return head.lead_id if isinstance(head, Lead) and questions(self.gateway, head, self.gateway_policy) else None

    def _request_fields(self, data: st.DataObject, foreign: bool) -> dict[str, Any]:
        # Most requests are about leads that had a reservation: the others are refused without more ado.
        lead_id = data.draw(st.sampled_from([*sorted(self.treaty.held) * 3, *sorted(self.treaty.submitted)]))
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
            done: Decision[Any] = GATEWAY[type(message)](
                self.gateway, message, cause, self.now, policy=self.gateway_policy
            )
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

    def _delivers(self) -> bool:
        """Deliver the next message or make the next call to 1C. Return whether there was any."""
        behind = [place for place, read in sorted(self.read.items()) if read < len(self.topics[place[1]])]
        if behind:
            self._deliver(*behind[0])
        elif self.onec.calls:
            self._decide("gateway", self.onec.perform(self.now))
        else:
            return False
        return True

    def _settle_down(self) -> None:
        """Deliver every message, make every call, rule on every question and fire every due clock; the time does not
        move."""
        for _ in range(1000):
            if self._delivers():
                continue
            if (waiting := self.waiting_for_people()) is not None:
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
