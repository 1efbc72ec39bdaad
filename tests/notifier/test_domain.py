"""Who is told what and when, without any I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decision import Cause, Decision, Task, derived_id
from contracts.base import ClientMessage, RejectionReason
from contracts.base import Message as Contract
from contracts.partners import Partner
from contracts.sms import SmsStatus
from services.notifier import domain, texts
from services.notifier.answers import Outcome, Settled
from services.notifier.domain import (
    Client,
    Message,
    MessageDue,
    Policy,
    Postponed,
    Recipient,
    Reported,
    Resend,
    SmsSettled,
    message_of,
)
from tests.notifier.samples import (
    MOSCOW,
    NOON,
    POLICY,
    accrued,
    cause,
    claim_accepted,
    closed,
    declined,
    delayed,
    expired,
    expiring,
    extended,
    opened,
    partner,
    reinstated,
    rejected,
    reopened,
)

NIGHT = datetime(2026, 11, 24, 23, 30, tzinfo=MOSCOW).astimezone(UTC)
MORNING = datetime(2026, 11, 25, 9, tzinfo=MOSCOW).astimezone(UTC)
HOUR = timedelta(hours=1)


def told(client: Client, event: ClientMessage, number: int = 1, now: datetime = NOON) -> Decision[Client]:
    return domain.told(client, event, cause(number), now, policy=POLICY)


def due(client: Client, message: Message, now: datetime) -> Decision[Client]:
    return domain.message_due(client, MessageDue(message.message_id), cause(99), now, policy=POLICY)


def settled(client: Client, message: Message, status: Settled = "sent", now: datetime = NOON) -> Decision[Client]:
    return domain.sms_settled(client, SmsSettled(message.message_id, status, "smsc", "8"), cause(1), now)


def reported(client: Client, message: Message, outcome: Outcome) -> Decision[Client]:
    return domain.reported(client, Reported(message.message_id, "smsc", outcome, "status 1"), cause(50), NOON)


def resend(client: Client, message: Message, now: datetime = NOON) -> Decision[Client]:
    return domain.resend(client, Resend(message.message_id, "Смирнова", "звонил"), cause(60), now, policy=POLICY)


def statuses(client: Client) -> list[tuple[str, str]]:
    return [(message.text.name, message.status) for message in client.messages]


# --- what is said ---


def test_a_reservation_is_told_to_its_partner_with_its_last_day() -> None:
    event = opened()
    decision = told(Client(), event)

    [message] = decision.state.messages
    assert (message.template, message.partner_id, message.facts) == ("confirmed.v1", "p1", {"through": "24.05.2027"})
    ref = f"{derived_id(cause(1).id, 'confirmed.v1')}.1"
    assert decision.tasks == (Task("sms", ref, {"lead_id": str(event.lead_id), "partner_id": "p1"}),)
    assert decision.events == ()


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (delayed(), texts.DELAYED),
        (expiring(), texts.EXPIRING),
        (expired(), texts.EXPIRED),
        (extended(), texts.EXTENDED),
        (reinstated(), texts.REINSTATED),
        (reopened(), texts.REOPENED),
        (closed("won"), texts.WON),
        (closed("withdrawn"), texts.WITHDRAWN),
        (claim_accepted(), texts.CLAIM_ACCEPTED),
        (accrued("1500.00"), texts.ACCRUED),
        (accrued("-200.00"), texts.CORRECTED),
        (declined(), texts.DECLINED),
    ],
)
def test_each_kind_of_event_has_its_text_and_all_that_the_text_needs(event: ClientMessage, text: texts.Text) -> None:
    now = datetime(2027, 5, 18, 12, tzinfo=UTC) if text is texts.EXPIRING else NOON
    decision = told(Client(), event, now=now)

    [message] = decision.state.messages
    assert message.template == str(text)
    assert len(decision.tasks) == 1
    assert texts.render(message.template, "Иванов Иван", message.lead_id, message.facts)


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("already-yours", texts.ALREADY_YOURS),
        ("held-by-partner", texts.REJECTED),
        ("known-to-builder", texts.REJECTED),
        ("not-a-client", texts.REJECTED),
        ("already-sold", texts.REJECTED),
    ],
)
def test_only_the_realtors_own_hold_is_told_apart(reason: RejectionReason, text: texts.Text) -> None:
    event = rejected(reason=reason)
    decision = told(Client(), event)

    [message] = decision.state.messages
    assert message.template == str(text)
    assert str(event.evidence) not in repr(decision)
    if text is texts.REJECTED:
        assert reason not in repr(decision)


def test_the_same_event_again_asks_for_nothing() -> None:
    first = told(Client(), opened())
    again = told(first.state, opened())

    assert again.state is first.state
    assert again.tasks == ()


def test_a_call_for_work_holds_ids_only() -> None:
    event = opened()
    [task] = told(Client(), event).tasks

    assert set(task.payload) == {"lead_id", "partner_id"}
    assert event.client not in repr(task)


# --- quiet hours ---


@pytest.mark.parametrize(
    ("at", "says_at"),
    [
        (time(20, 59, 59), None),
        (time(21), time(9)),
        (time(23, 59), time(9)),
        (time(0), time(9)),
        (time(8, 59, 59), time(9)),
        (time(9), None),
    ],
)
def test_nothing_but_verdicts_is_said_at_night(at: time, says_at: time | None) -> None:
    now = datetime.combine(NOON.date(), at, MOSCOW).astimezone(UTC)
    speak = POLICY.speak_at("expired.v1", now)

    assert POLICY.speak_at("confirmed.v1", now) == now
    assert speak == now if says_at is None else now < speak <= now + 12 * HOUR
    assert says_at is None or speak.astimezone(MOSCOW).time() == says_at


def test_hours_within_one_day_and_none_at_all() -> None:
    siesta = replace(POLICY, quiet=(time(13), time(15)))
    at_two = datetime(2026, 11, 24, 14, tzinfo=MOSCOW)

    assert siesta.speak_at("expired.v1", at_two).astimezone(MOSCOW).time() == time(15)
    assert Policy(MOSCOW, None, POLICY.quiet_texts).speak_at("expired.v1", NIGHT) == NIGHT


def test_a_reminder_of_the_night_waits_for_the_morning_and_a_verdict_does_not() -> None:
    night = told(Client(), extended(), now=NIGHT)
    verdict = told(night.state, rejected(2), 2, now=NIGHT)

    assert night.tasks == ()
    assert [(message.status, message.due_at) for message in night.state.messages] == [("scheduled", MORNING)]
    assert len(verdict.tasks) == 1
    [message] = night.state.messages
    assert due(night.state, message, MORNING - timedelta(seconds=1)).state is night.state
    morning = due(night.state, message, MORNING)
    assert len(morning.tasks) == 1
    assert due(morning.state, message, MORNING).tasks == ()


def test_what_was_due_in_an_outage_does_not_come_at_night_either() -> None:
    night = told(Client(), extended(), now=NIGHT)
    [message] = night.state.messages
    late = due(night.state, message, MORNING + 14 * HOUR)

    assert late.tasks == ()
    assert late.state.messages[0].due_at == MORNING + 24 * HOUR


def test_a_later_message_of_the_lead_does_not_overtake_one_that_waits() -> None:
    policy = replace(POLICY, quiet_texts=frozenset({"claim-accepted"}))
    first = domain.told(Client(), claim_accepted(), cause(1), NIGHT, policy=policy)
    second = domain.told(first.state, closed("won"), cause(2), NIGHT, policy=policy)

    assert second.tasks == ()
    assert [message.due_at for message in second.state.messages] == [MORNING, MORNING]


# --- truth at sending ---


def test_a_deadline_extended_between_scheduling_and_sending_leaves_the_reminder_unsaid() -> None:
    midnight = datetime(2027, 5, 18, 0, tzinfo=MOSCOW).astimezone(UTC)
    reminder = told(Client(), expiring(days_left=7), now=midnight)
    after = told(reminder.state, extended(), 2, now=midnight + HOUR)

    assert statuses(reminder.state) == [("expiring", "scheduled")]
    assert statuses(after.state) == [("expiring", "dropped"), ("extended", "scheduled")]
    assert after.state.messages[0].detail == "superseded"
    assert due(after.state, after.state.messages[0], midnight + 9 * HOUR).tasks == ()


@pytest.mark.parametrize("after", [extended(), closed("won"), closed("withdrawn"), expired()])
def test_what_waits_for_its_call_is_marked_when_it_is_no_longer_true(after: ClientMessage) -> None:
    client = told(told(Client(), opened()).state, after, 2).state

    assert client.messages[0].untrue(NOON) == "superseded"
    assert client.messages[1].untrue(NOON) is None


def test_an_untrue_message_is_dropped_and_nothing_is_told_of_it() -> None:
    client = told(told(Client(), opened()).state, closed(), 2).state
    decision = domain.sms_settled(
        client, SmsSettled(client.messages[0].message_id, "dropped", "", "superseded"), cause(1), NOON
    )

    assert statuses(decision.state) == [("confirmed", "dropped"), ("won", "waiting")]
    assert decision.events == ()


def test_every_amount_of_the_ledger_is_told_and_the_claim_is_not_once_it_is_decided() -> None:
    client = Client()
    for number, event in enumerate((claim_accepted(), accrued("1500.00"), accrued("-200.00"), accrued("50.00"))):
        client = told(client, event, number, now=NIGHT).state

    assert statuses(client) == [
        ("claim-accepted", "dropped"),
        ("accrued", "scheduled"),
        ("corrected", "scheduled"),
        ("accrued", "scheduled"),
    ]


def test_a_delay_that_the_verdict_has_overtaken_is_not_told() -> None:
    decision = told(told(Client(), opened()).state, delayed(), 2)

    assert decision.tasks == ()
    assert statuses(decision.state) == [("confirmed", "waiting"), ("delayed", "dropped")]


def test_days_left_are_true_for_one_day_of_the_builders_calendar() -> None:
    [message] = told(Client(), expiring(days_left=7), now=datetime(2027, 5, 17, 21, tzinfo=UTC)).state.messages

    assert message.valid_until == datetime(2027, 5, 19, 0, tzinfo=MOSCOW)
    assert message.untrue(message.valid_until) == "too-late"
    assert message.untrue(message.valid_until - timedelta(seconds=1)) is None


def test_a_message_that_would_be_untrue_by_the_morning_is_dropped_at_once() -> None:
    decision = told(Client(), expiring(days_left=1), now=datetime(2027, 5, 24, 22, tzinfo=MOSCOW).astimezone(UTC))

    assert [(message.status, message.detail) for message in decision.state.messages] == [("dropped", "too-late")]


def test_a_postponed_message_is_asked_for_anew_and_does_not_outlive_its_truth() -> None:
    client = told(Client(), closed("won")).state
    [message] = client.messages
    later = domain.postponed(client, Postponed(message.message_id, NOON + HOUR), cause(1), NOON).state
    [task] = due(later, message, NOON + HOUR).tasks
    never = domain.postponed(client, Postponed(message.message_id, message.valid_until), cause(1), NOON).state

    assert task.ref == f"{message.message_id}.2"
    assert message_of(task.ref) == message.message_id
    assert statuses(never) == [("won", "dropped")]


# --- outcomes and reports ---


@pytest.mark.parametrize("status", ["sent", "failed", "unknown"])
def test_an_outcome_is_told_once_and_stays(status: Settled) -> None:
    client = told(Client(), opened()).state
    [message] = client.messages
    first = settled(client, message, status)
    again = settled(first.state, message, "sent")

    [event] = first.events
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
    assert first.state.messages[0].status == status
    assert again.state is first.state
    assert again.events == ()


def test_an_outcome_of_a_message_nobody_wrote_changes_nothing() -> None:
    decision = domain.sms_settled(Client(), SmsSettled(UUID(int=1), "sent", "smsc"), cause(1), NOON)

    assert decision == Decision(Client())


@given(st.lists(st.sampled_from(["sent", "delivered", "failed"]), max_size=8), st.booleans())
def test_reports_in_any_order_and_number_take_nothing_back(reports: list[Outcome], answered: bool) -> None:
    client = told(Client(), opened()).state
    [message] = client.messages
    if answered:
        client = settled(client, message, "sent").state
    rank = [domain._KNOWN[client.messages[0].status]]
    said: list[str] = []
    for outcome in reports:
        decision = reported(client, message, outcome)
        client = decision.state
        rank.append(domain._KNOWN[client.messages[0].status])
        said.extend(event.message.status for event in decision.events if isinstance(event.message, SmsStatus))

    assert rank == sorted(rank)
    assert len(said) == len(set(said)) <= 2


def test_a_report_settles_what_nobody_could_tell() -> None:
    client = told(Client(), opened()).state
    [message] = client.messages
    unknown = settled(client, message, "unknown").state

    assert statuses(reported(unknown, message, "delivered").state) == [("confirmed", "delivered")]
    assert reported(unknown, message, "delivered").reply is True


def test_a_report_that_overtakes_the_answer_settles_the_message() -> None:
    client = told(Client(), opened()).state
    [message] = client.messages
    overtaken = reported(client, message, "delivered").state

    assert settled(overtaken, message, "sent").state is overtaken


# --- resending ---


def test_an_operator_has_an_unknown_message_said_again_and_it_is_on_record() -> None:
    client = told(Client(), opened()).state
    unknown = settled(client, client.messages[0], "unknown").state
    decision = resend(unknown, unknown.messages[0])

    first, again = decision.state.messages
    assert (again.resend_of, again.resent_by, again.resent_why) == (first.message_id, "Смирнова", "звонил")
    assert decision.reply == again.message_id
    assert [message_of(task.ref) for task in decision.tasks] == [again.message_id]
    assert resend(decision.state, first).reply == "already-resent"


@pytest.mark.parametrize("status", ["sent", "delivered"])
def test_what_went_out_is_not_said_again(status: Settled) -> None:
    client = told(Client(), opened()).state
    sent = settled(client, client.messages[0], status).state

    assert resend(sent, sent.messages[0]) == Decision(sent, reply="not-failed")


def test_what_is_no_longer_true_is_not_said_again() -> None:
    client = told(Client(), opened()).state
    failed = settled(client, client.messages[0], "failed").state
    moved_on = told(failed, closed(), 2).state

    assert resend(moved_on, moved_on.messages[0]).reply == "superseded"
    assert resend(failed, failed.messages[0], now=failed.messages[0].valid_until).reply == "too-late"
    assert resend(Client(), failed.messages[0]).reply == "no-such-message"


# --- partners ---


def test_a_partner_told_again_is_the_same_row() -> None:
    word = partner()
    first = domain.partner_changed(None, word, cause(1), NOON).state

    assert first == Recipient("p1", word.person, "active")
    assert domain.partner_changed(first, word, cause(2), NOON).state is first


# --- any interleaving, any repeats ---

STATUSES: tuple[Settled, ...] = ("sent", "failed", "unknown")
OLD, NEW = partner(), partner()
TOPICS: tuple[tuple[Contract, ...], ...] = (
    (OLD, NEW),
    (opened(1), extended(1), expired(1), opened(5, "p2"), expired(5, "p2"), claim_accepted(1), accrued(lead=1)),
    (delayed(1), rejected(2, "p2"), rejected(3, "p1", "already-yours"), delayed(4, "p2"), rejected(4, "p2")),
)
CAUSES = {id(event): cause(number) for number, event in enumerate(event for topic in TOPICS for event in topic)}


@dataclass
class World:
    """The notifier as the chassis would drive it: states by key, work made once, outcomes decided."""

    states: dict[str, Any] = field(default_factory=dict)
    work: dict[str, tuple[str, Cause]] = field(default_factory=dict)
    told: dict[UUID, str] = field(default_factory=dict)

    def hear(self, key: str, body: Any, because: Cause) -> None:
        state: Any = self.states.get(key, None if isinstance(body, Partner) else Client())
        match body:
            case Partner():
                decision: Decision[Any] = domain.partner_changed(state, body, because, NOON)
            case SmsSettled():
                decision = domain.sms_settled(state, body, because, NOON)
            case _:
                decision = domain.told(state, body, because, NOON, policy=POLICY)
        self.states[key] = decision.state
        for task in decision.tasks:
            assert task.ref not in self.work
            self.work[task.ref] = (key, because)
        for event in decision.events:
            event_id = derived_id((event.cause or because).id, event.message.ce_type)
            assert event_id not in self.told
            self.told[event_id] = event.message.model_dump_json()

    def settle(self) -> None:
        """As the worker would: in order, the untrue ones not at all."""
        for ref, (key, because) in self.work.items():
            message = self.states[key].find(message_of(ref))
            reason = message.untrue(NOON)
            status: Settled = "dropped" if reason else STATUSES[message.message_id.int % 3]
            self.hear(key, SmsSettled(message.message_id, status, "smsc", reason), because)

    def said(self) -> dict[UUID, str]:
        return {
            one.message_id: one.template for state in self.states.values() for one in getattr(state, "messages", ())
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


STEPS = st.lists(st.integers(0, 2), max_size=40)
MOMENTS = st.lists(st.integers(0, 40), max_size=6)


@given(order=STEPS, rewinds=MOMENTS, settle_at=MOMENTS)
def test_any_interleaving_and_any_repeat_say_the_same_once_and_nothing_untrue(
    order: list[int], rewinds: list[int], settle_at: list[int]
) -> None:
    plain, world = run([], [], []), run(order, rewinds, settle_at)
    messages = [one for state in world.states.values() for one in getattr(state, "messages", ())]

    assert world.said() == plain.said()
    assert all(one.status in (*STATUSES, "dropped") for one in messages)
    assert len(world.told) == sum(one.status != "dropped" for one in messages)
    # The last word about each matter is always said.
    for about in {one.about for one in messages}:
        *_, last = [one for one in messages if one.about == about and one.text is not texts.DELAYED]
        assert last.status != "dropped"
