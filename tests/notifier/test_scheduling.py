"""When an SMS is sent: quiet hours, texts that are no longer true, and resending."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

import pytest

from chassis.decision import Decision
from contracts.base import ClientMessage
from services.notifier.domain import outcomes, scheduling
from services.notifier.domain.answers import SettledStatus
from services.notifier.domain.model import ClientState, SmsPostponed, SmsSettled, message_id_of
from services.notifier.domain.quiet_hours import Policy
from tests.notifier.decisions import due, notify, resend, settle, statuses
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
    rejected,
)

NIGHT = datetime(2026, 11, 24, 23, 30, tzinfo=MOSCOW).astimezone(UTC)
MORNING = datetime(2026, 11, 25, 9, tzinfo=MOSCOW).astimezone(UTC)
HOUR = timedelta(hours=1)


# --- quiet hours ---


@pytest.mark.parametrize(
    ("at", "sent_at"),
    [
        (time(20, 59, 59), None),
        (time(21), time(9)),
        (time(23, 59), time(9)),
        (time(0), time(9)),
        (time(8, 59, 59), time(9)),
        (time(9), None),
    ],
)
def test_only_verdicts_are_sent_during_quiet_hours(at: time, sent_at: time | None) -> None:
    now = datetime.combine(NOON.date(), at, MOSCOW).astimezone(UTC)
    earliest = POLICY.earliest_send("expired.v1", now)

    assert POLICY.earliest_send("confirmed.v1", now) == now
    assert earliest == now if sent_at is None else now < earliest <= now + 12 * HOUR
    assert sent_at is None or earliest.astimezone(MOSCOW).time() == sent_at


def test_quiet_hours_may_lie_within_one_day_or_be_switched_off() -> None:
    siesta = replace(POLICY, quiet=(time(13), time(15)))
    at_two = datetime(2026, 11, 24, 14, tzinfo=MOSCOW)

    assert siesta.earliest_send("expired.v1", at_two).astimezone(MOSCOW).time() == time(15)
    assert Policy(MOSCOW, None, POLICY.quiet_texts).earliest_send("expired.v1", NIGHT) == NIGHT


def test_at_night_a_reminder_is_scheduled_for_the_morning_and_a_verdict_is_sent() -> None:
    night = notify(ClientState(), extended(), now=NIGHT)
    verdict = notify(night.state, rejected(2), 2, now=NIGHT)

    assert night.tasks == ()
    assert [(sms.status, sms.due_at) for sms in night.state.messages] == [("scheduled", MORNING)]
    assert len(verdict.tasks) == 1
    [sms] = night.state.messages
    assert due(night.state, sms, MORNING - timedelta(seconds=1)).state is night.state
    morning = due(night.state, sms, MORNING)
    assert len(morning.tasks) == 1
    assert due(morning.state, sms, MORNING).tasks == ()


def test_an_sms_that_was_due_during_an_outage_is_not_sent_at_night_either() -> None:
    night = notify(ClientState(), extended(), now=NIGHT)
    [sms] = night.state.messages
    late = due(night.state, sms, MORNING + 14 * HOUR)

    assert late.tasks == ()
    assert late.state.messages[0].due_at == MORNING + 24 * HOUR


def test_an_sms_does_not_overtake_a_scheduled_sms_about_the_same_lead() -> None:
    policy = replace(POLICY, quiet_texts=frozenset({"claim-accepted"}))
    first = scheduling.notify(ClientState(), claim_accepted(), cause(1), NIGHT, policy=policy)
    second = scheduling.notify(first.state, closed("won"), cause(2), NIGHT, policy=policy)

    assert second.tasks == ()
    assert [sms.due_at for sms in second.state.messages] == [MORNING, MORNING]


# --- texts that are no longer true ---


def test_an_extension_drops_the_reminder_that_is_scheduled_for_the_morning() -> None:
    midnight = datetime(2027, 5, 18, 0, tzinfo=MOSCOW).astimezone(UTC)
    reminder = notify(ClientState(), expiring(days_left=7), now=midnight)
    after = notify(reminder.state, extended(), 2, now=midnight + HOUR)

    assert statuses(reminder.state) == [("expiring", "scheduled")]
    assert statuses(after.state) == [("expiring", "dropped"), ("extended", "scheduled")]
    assert after.state.messages[0].detail == "superseded"
    assert due(after.state, after.state.messages[0], midnight + 9 * HOUR).tasks == ()


@pytest.mark.parametrize("after", [extended(), closed("won"), closed("withdrawn"), expired()])
def test_a_waiting_sms_is_marked_when_a_later_event_makes_it_untrue(after: ClientMessage) -> None:
    client = notify(notify(ClientState(), opened()).state, after, 2).state

    assert client.messages[0].drop_reason(NOON) == "superseded"
    assert client.messages[1].drop_reason(NOON) is None


def test_no_event_is_published_about_a_dropped_sms() -> None:
    client = notify(notify(ClientState(), opened()).state, closed(), 2).state
    decision = outcomes.sms_settled(
        client, SmsSettled(client.messages[0].message_id, "dropped", "", "superseded"), cause(1), NOON
    )

    assert statuses(decision.state) == [("confirmed", "dropped"), ("won", "waiting")]
    assert decision.events == ()


def test_every_ledger_entry_is_sent_and_the_claim_is_not_once_it_is_decided() -> None:
    client = ClientState()
    for number, event in enumerate((claim_accepted(), accrued("1500.00"), accrued("-200.00"), accrued("50.00"))):
        client = notify(client, event, number, now=NIGHT).state

    assert statuses(client) == [
        ("claim-accepted", "dropped"),
        ("accrued", "scheduled"),
        ("corrected", "scheduled"),
        ("accrued", "scheduled"),
    ]


def test_a_delay_that_is_read_after_the_verdict_is_not_sent() -> None:
    decision = notify(notify(ClientState(), opened()).state, delayed(), 2)

    assert decision.tasks == ()
    assert statuses(decision.state) == [("confirmed", "waiting"), ("delayed", "dropped")]


def test_an_sms_that_would_be_untrue_by_the_morning_is_dropped_at_once() -> None:
    evening = datetime(2027, 5, 24, 22, tzinfo=MOSCOW).astimezone(UTC)
    decision = notify(ClientState(), expiring(days_left=1), now=evening)

    assert [(sms.status, sms.detail) for sms in decision.state.messages] == [("dropped", "too-late")]


def test_a_postponed_sms_gets_a_new_work_row_unless_it_is_untrue_by_then() -> None:
    client = notify(ClientState(), closed("won")).state
    [sms] = client.messages
    later = scheduling.sms_postponed(client, SmsPostponed(sms.message_id, NOON + HOUR), cause(1), NOON).state
    [task] = due(later, sms, NOON + HOUR).tasks
    never = scheduling.sms_postponed(client, SmsPostponed(sms.message_id, sms.valid_until), cause(1), NOON).state

    assert task.ref == f"{sms.message_id}.2"
    assert message_id_of(task.ref) == sms.message_id
    assert statuses(never) == [("won", "dropped")]


# --- resending ---


def test_an_unknown_sms_is_sent_again_by_order_and_the_order_is_on_record() -> None:
    client = notify(ClientState(), opened()).state
    unknown = settle(client, client.messages[0], "unknown").state
    decision = resend(unknown, unknown.messages[0])

    first, again = decision.state.messages
    assert (again.resend_of, again.resent_by, again.resent_why) == (first.message_id, "Смирнова", "звонил")
    assert decision.reply == again.message_id
    assert [message_id_of(task.ref) for task in decision.tasks] == [again.message_id]
    assert resend(decision.state, first).reply == "already-resent"


@pytest.mark.parametrize("status", ["sent", "delivered"])
def test_an_sms_that_went_out_is_not_sent_again(status: SettledStatus) -> None:
    client = notify(ClientState(), opened()).state
    sent = settle(client, client.messages[0], status).state

    assert resend(sent, sent.messages[0]) == Decision(sent, reply="not-failed")


def test_an_sms_that_is_no_longer_true_is_not_sent_again() -> None:
    client = notify(ClientState(), opened()).state
    failed = settle(client, client.messages[0], "failed").state
    moved_on = notify(failed, closed(), 2).state

    assert resend(moved_on, moved_on.messages[0]).reply == "superseded"
    assert resend(failed, failed.messages[0], now=failed.messages[0].valid_until).reply == "too-late"
    assert resend(ClientState(), failed.messages[0]).reply == "no-such-message"


# --- events that come after later events ---


def counted(event: ClientMessage, count: int) -> ClientMessage:
    """The event with its place in the client's history."""
    return event.model_copy(update={"history_count": count})


def test_sms_about_an_older_event_is_dropped_and_drops_nothing() -> None:
    after = notify(ClientState(), counted(closed("withdrawn"), 3)).state
    late = notify(after, counted(extended(), 2), 2)

    assert statuses(late.state) == [("withdrawn", "waiting"), ("extended", "dropped")]
    assert late.state.messages[0].obsolete is None
    assert late.tasks == ()
    assert late.superseded


def test_sms_about_an_older_entry_of_the_account_is_sent_beside_the_later_decision() -> None:
    later = declined().model_copy(update={"declined_at": NOON + HOUR})
    after = notify(ClientState(), later).state
    late = notify(after, accrued("-200.00"), 2)

    assert statuses(late.state) == [("declined", "waiting"), ("corrected", "waiting")]
    assert late.state.messages[0].obsolete is None


def test_failed_sms_can_be_resent_though_an_older_event_came_after_it() -> None:
    after = notify(ClientState(), counted(closed("withdrawn"), 3)).state
    failed = settle(after, after.messages[0], "failed").state
    late = notify(failed, counted(extended(), 2), 2).state

    assert isinstance(resend(late, late.messages[0]).reply, UUID)
