"""Who is told what, without any I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decision import Cause, Decision, Task, derived_id
from contracts.message import Message as Contract
from contracts.message import RejectionReason
from contracts.messages import SmsStatus
from contracts.partners import Partner
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.verdicts import LeadRejected
from services.notifier import domain, texts
from services.notifier.domain import Client, Recipient, SmsSettled
from tests.notifier.samples import NOON, cause, expired, opened, partner, rejected


def test_a_reservation_is_told_to_its_partner_with_its_last_day() -> None:
    event = opened()
    decision = domain.reservation_opened(Client(), event, cause(1), NOON)

    [message] = decision.state.messages
    assert (message.template, message.partner_id, message.through) == ("confirmed.v1", "p1", event.reserved_through)
    assert decision.tasks == (
        Task("sms", str(derived_id(cause(1).id, "confirmed.v1")), {"lead_id": str(event.lead_id), "partner_id": "p1"}),
    )
    assert decision.events == ()


def test_an_expiry_is_told() -> None:
    decision = domain.reservation_expired(Client(), expired(), cause(1), NOON)

    assert [message.template for message in decision.state.messages] == [texts.EXPIRED]
    assert len(decision.tasks) == 1


@pytest.mark.parametrize(
    ("reason", "template"),
    [
        ("already-yours", texts.ALREADY_YOURS),
        ("held-by-partner", texts.REJECTED),
        ("known-to-builder", texts.REJECTED),
        ("not-a-client", texts.REJECTED),
        ("already-sold", texts.REJECTED),
    ],
)
def test_only_the_realtors_own_hold_is_told_apart(reason: RejectionReason, template: str) -> None:
    event = rejected(reason=reason)
    decision = domain.lead_rejected(Client(), event, cause(1), NOON)

    [message] = decision.state.messages
    assert message.template == template
    assert str(event.evidence) not in repr(decision)
    if template == texts.REJECTED:
        assert reason not in repr(decision)


def test_the_same_event_again_asks_for_nothing() -> None:
    first = domain.reservation_opened(Client(), opened(), cause(1), NOON)
    again = domain.reservation_opened(first.state, opened(), cause(1), NOON)

    assert again.state is first.state
    assert again.tasks == ()


def test_a_call_for_work_holds_ids_only() -> None:
    event = opened()
    [task] = domain.reservation_opened(Client(), event, cause(1), NOON).tasks

    assert set(task.payload) == {"lead_id", "partner_id"}
    assert event.client not in repr(task)


@pytest.mark.parametrize("status", ["sent", "failed", "unknown"])
def test_an_outcome_is_told_once_and_stays(status: domain.Settled) -> None:
    client = domain.reservation_opened(Client(), opened(), cause(1), NOON).state
    [message] = client.messages
    settled = domain.sms_settled(client, SmsSettled(message.message_id, status, "smsc", "8"), cause(1), NOON)
    again = domain.sms_settled(settled.state, SmsSettled(message.message_id, "sent", "smsc"), cause(1), NOON)

    [event] = settled.events
    assert event.message == SmsStatus(
        lead_id=message.lead_id,
        client_key=message.client_key,
        partner_id="p1",
        message_id=message.message_id,
        template="confirmed.v1",
        status=status,
        provider="smsc",
        at=NOON,
        detail="8",
    )
    assert settled.state.messages[0].status == status
    assert again.state is settled.state
    assert again.events == ()


def test_an_outcome_of_a_message_nobody_wrote_changes_nothing() -> None:
    decision = domain.sms_settled(Client(), SmsSettled(UUID(int=1), "sent", "smsc"), cause(1), NOON)

    assert decision == Decision(Client())


def test_a_partner_told_again_is_the_same_row() -> None:
    told = partner()
    first = domain.partner_changed(None, told, cause(1), NOON).state

    assert first == Recipient("p1", told.person, "active")
    assert domain.partner_changed(first, told, cause(2), NOON).state is first


# --- any interleaving, any repeats ---

STATUSES: tuple[domain.Settled, ...] = ("sent", "failed", "unknown")
RULES: dict[type, Any] = {
    Partner: domain.partner_changed,
    ReservationOpened: domain.reservation_opened,
    ReservationExpired: domain.reservation_expired,
    LeadRejected: domain.lead_rejected,
    SmsSettled: domain.sms_settled,
}
OLD, NEW = partner(), partner()
TOPICS: tuple[tuple[Contract, ...], ...] = (
    (OLD, NEW),
    (opened(1), expired(1), opened(5, "p2"), expired(5, "p2")),
    (rejected(2, "p2"), rejected(3, "p1", "already-yours"), rejected(4, "p2", "known-to-builder")),
)
CAUSES = {id(event): cause(number) for number, event in enumerate(event for topic in TOPICS for event in topic)}


@dataclass
class World:
    """The notifier as the chassis would drive it: states by key, work made once, outcomes decided."""

    states: dict[str, Any] = field(default_factory=dict)
    work: dict[str, tuple[str, Cause]] = field(default_factory=dict)
    told: dict[UUID, str] = field(default_factory=dict)

    def hear(self, key: str, body: Any, because: Cause) -> None:
        state = self.states.get(key, None if isinstance(body, Partner) else Client())
        decision = RULES[type(body)](state, body, because, NOON)
        self.states[key] = decision.state
        for task in decision.tasks:
            assert task.ref not in self.work
            self.work[task.ref] = (key, because)
        for event in decision.events:
            event_id = derived_id((event.cause or because).id, event.message.ce_type)
            assert event_id not in self.told
            self.told[event_id] = event.message.model_dump_json()

    def settle(self) -> None:
        for ref, (key, because) in self.work.items():
            status = STATUSES[UUID(ref).int % 3]
            self.hear(key, SmsSettled(UUID(ref), status, "smsc"), because)

    def rows(self) -> dict[str, Any]:
        return {
            key: sorted(state.messages, key=repr) if isinstance(state, Client) else state
            for key, state in self.states.items()
        }


def run(order: Sequence[int], rewinds: Sequence[int], settle_at: Sequence[int]) -> World:
    """Topics are read in order, each its own; a rewind reads one again from its start."""
    world, position = World(), [0, 0, 0]
    steps = [*order, *(topic for topic in range(3) for _ in TOPICS[topic])]
    for step, topic in enumerate(steps):
        if step in rewinds:
            position[topic] = 0
        if position[topic] < len(TOPICS[topic]):
            event = TOPICS[topic][position[topic]]
            position[topic] += 1
            world.hear(event.key, event, CAUSES[id(event)])
        if step in settle_at:
            world.settle()
    for topic in range(3):
        for event in TOPICS[topic][position[topic] :]:
            world.hear(event.key, event, CAUSES[id(event)])
    world.settle()
    world.settle()
    return world


STEPS = st.lists(st.integers(0, 2), max_size=30)
MOMENTS = st.lists(st.integers(0, 30), max_size=6)


@given(order=STEPS, rewinds=MOMENTS, settle_at=MOMENTS)
def test_any_interleaving_and_any_repeat_end_in_the_same_rows_and_events(
    order: list[int], rewinds: list[int], settle_at: list[int]
) -> None:
    plain, world = run([], [], []), run(order, rewinds, settle_at)

    assert world.rows() == plain.rows()
    assert world.told == plain.told
    assert world.work == plain.work
    assert len(world.told) == 7
