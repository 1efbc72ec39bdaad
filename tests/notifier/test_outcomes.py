"""What became of an SMS: outcomes of calls, delivery reports, and any order in which everything may be read."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decision import Decision
from contracts.base import Message
from contracts.sms import SmsStatus
from services.notifier.domain import wording
from services.notifier.domain.answers import ProviderOutcome, SettledStatus
from services.notifier.domain.model import ClientState, PartnerState, SmsSettled
from services.notifier.domain.outcomes import KNOWLEDGE, sms_settled
from services.notifier.domain.partners import partner_changed
from tests.notifier.decisions import notify, report, settle, statuses
from tests.notifier.driver import OUTCOMES, DomainDriver
from tests.notifier.samples import (
    NOON,
    accrued,
    cause,
    claim_accepted,
    delayed,
    expired,
    extended,
    opened,
    partner,
    rejected,
)


@pytest.mark.parametrize("status", ["sent", "failed", "unknown"])
def test_an_outcome_is_published_once_and_stays(status: SettledStatus) -> None:
    client = notify(ClientState(), opened()).state
    [sms] = client.messages
    first = settle(client, sms, status)
    again = settle(first.state, sms, "sent")

    [event] = first.events
    assert event.message == SmsStatus(
        lead_id=sms.lead_id,
        client_key=sms.client_key,
        partner_id="p1",
        message_id=sms.message_id,
        template="confirmed.v1",
        status=status,
        provider="smsc",
        at=NOON,
        detail="8",
    )
    assert first.state.messages[0].status == status
    assert again.state is first.state
    assert again.events == ()


def test_an_outcome_of_an_sms_that_does_not_exist_changes_nothing() -> None:
    decision = sms_settled(ClientState(), SmsSettled(UUID(int=1), "sent", "smsc"), cause(1), NOON)

    assert decision == Decision(ClientState())


@given(st.lists(st.sampled_from(["sent", "delivered", "failed"]), max_size=8), st.booleans())
def test_reports_in_any_order_and_number_never_reduce_what_is_known(
    reports: list[ProviderOutcome], answered: bool
) -> None:
    client = notify(ClientState(), opened()).state
    [sms] = client.messages
    if answered:
        client = settle(client, sms, "sent").state
    knowledge = [KNOWLEDGE[client.messages[0].status]]
    published: list[str] = []
    for outcome in reports:
        decision = report(client, sms, outcome)
        client = decision.state
        knowledge.append(KNOWLEDGE[client.messages[0].status])
        published.extend(event.message.status for event in decision.events if isinstance(event.message, SmsStatus))

    assert knowledge == sorted(knowledge)
    assert len(published) == len(set(published)) <= 2


def test_a_report_settles_an_sms_whose_outcome_was_unknown() -> None:
    client = notify(ClientState(), opened()).state
    [sms] = client.messages
    unknown = settle(client, sms, "unknown").state

    assert statuses(report(unknown, sms, "delivered").state) == [("confirmed", "delivered")]
    assert report(unknown, sms, "delivered").reply is True


def test_a_report_that_comes_before_the_answer_of_the_call_settles_the_sms() -> None:
    client = notify(ClientState(), opened()).state
    [sms] = client.messages
    reported = report(client, sms, "delivered").state

    assert settle(reported, sms, "sent").state is reported


def test_a_repeated_message_about_a_partner_changes_nothing() -> None:
    message = partner()
    first = partner_changed(None, message, cause(1), NOON).state

    assert first == PartnerState("p1", message.person, "active")
    assert partner_changed(first, message, cause(2), NOON).state is first


# --- any interleaving of the topics, any repeats ---

OLD, NEW = partner(), partner()
TOPICS: tuple[tuple[Message, ...], ...] = (
    (OLD, NEW),
    (opened(1), extended(1), expired(1), opened(5, "p2"), expired(5, "p2"), claim_accepted(1), accrued(lead=1)),
    (delayed(1), rejected(2, "p2"), rejected(3, "p1", "already-yours"), delayed(4, "p2"), rejected(4, "p2")),
)
CAUSES = {id(event): cause(number) for number, event in enumerate(event for topic in TOPICS for event in topic)}


def run(order: Sequence[int], rewinds: Sequence[int], work_at: Sequence[int]) -> DomainDriver:
    """Read one event at each step, from the topic that `order` names; at the steps `rewinds` that topic is read again
    from its start, and after the steps `work_at` all work is performed. Then read every topic to its end."""
    driver, position = DomainDriver(), [0, 0, 0]
    steps = [*order, *(topic for topic in range(3) for _ in TOPICS[topic])]
    for step, topic in enumerate(steps):
        if step in rewinds:
            position[topic] = 0
        if position[topic] < len(TOPICS[topic]):
            event = TOPICS[topic][position[topic]]
            position[topic] += 1
            driver.handle(event.key, event, CAUSES[id(event)])
        if step in work_at:
            driver.perform_work()
    for topic in range(3):
        for event in TOPICS[topic][position[topic] :]:
            driver.handle(event.key, event, CAUSES[id(event)])
    driver.perform_work()
    driver.perform_work()
    return driver


STEPS = st.lists(st.integers(0, 2), max_size=40)
MOMENTS = st.lists(st.integers(0, 40), max_size=6)


@given(order=STEPS, rewinds=MOMENTS, work_at=MOMENTS)
def test_any_interleaving_and_any_repeat_give_the_same_sms_once_and_none_untrue(
    order: list[int], rewinds: list[int], work_at: list[int]
) -> None:
    plain, driver = run([], [], []), run(order, rewinds, work_at)
    messages = [sms for state in driver.states.values() for sms in getattr(state, "messages", ())]

    assert driver.templates() == plain.templates()
    assert all(sms.status in (*OUTCOMES, "dropped") for sms in messages)
    assert len(driver.published) == sum(sms.status != "dropped" for sms in messages)
    # The latest SMS about each lead or claim is always sent.
    for about in {sms.about for sms in messages}:
        *_, last = [sms for sms in messages if sms.about == about and sms.text is not wording.DELAYED]
        assert last.status != "dropped"
