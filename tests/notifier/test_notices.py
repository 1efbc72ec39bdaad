"""Which text each event gets, and what an SMS may not show."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.decision import Task, derived_id
from contracts.base import ClientMessage, RejectionReason
from services.notifier.domain import wording
from services.notifier.domain.model import ClientState
from tests.notifier.decisions import notify
from tests.notifier.samples import (
    MOSCOW,
    NOON,
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
    reinstated,
    rejected,
    reopened,
)


def test_a_new_reservation_is_sent_to_its_partner_with_its_last_day() -> None:
    event = opened()
    decision = notify(ClientState(), event)

    [sms] = decision.state.messages
    assert (sms.template, sms.partner_id, sms.facts) == ("confirmed.v1", "p1", {"through": "24.05.2027"})
    ref = f"{derived_id(cause(1).id, 'confirmed.v1')}.1"
    assert decision.tasks == (Task("sms", ref, {"lead_id": str(event.lead_id), "partner_id": "p1"}),)
    assert decision.events == ()


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (delayed(), wording.DELAYED),
        (expiring(), wording.EXPIRING),
        (expired(), wording.EXPIRED),
        (extended(), wording.EXTENDED),
        (reinstated(), wording.REINSTATED),
        (reopened(), wording.REOPENED),
        (closed("won"), wording.WON),
        (closed("withdrawn"), wording.WITHDRAWN),
        (claim_accepted(), wording.CLAIM_ACCEPTED),
        (accrued("1500.00"), wording.ACCRUED),
        (accrued("-200.00"), wording.CORRECTED),
        (declined(), wording.DECLINED),
    ],
)
def test_each_kind_of_event_has_its_text_and_all_values_of_the_text(event: ClientMessage, text: wording.Text) -> None:
    now = datetime(2027, 5, 18, 12, tzinfo=UTC) if text is wording.EXPIRING else NOON
    decision = notify(ClientState(), event, now=now)

    [sms] = decision.state.messages
    assert sms.template == str(text)
    assert len(decision.tasks) == 1
    assert wording.render(sms.template, "Иванов Иван", sms.lead_id, sms.facts)


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("already-yours", wording.ALREADY_YOURS),
        ("held-by-partner", wording.REJECTED),
        ("known-to-builder", wording.REJECTED),
        ("not-a-client", wording.REJECTED),
        ("already-sold", wording.REJECTED),
    ],
)
def test_only_the_realtors_own_reservation_has_a_text_of_its_own(reason: RejectionReason, text: wording.Text) -> None:
    event = rejected(reason=reason)
    decision = notify(ClientState(), event)

    [sms] = decision.state.messages
    assert sms.template == str(text)
    assert str(event.evidence) not in repr(decision)
    if text is wording.REJECTED:
        assert reason not in repr(decision)


def test_a_repeated_event_adds_no_sms_and_no_work() -> None:
    first = notify(ClientState(), opened())
    again = notify(first.state, opened())

    assert again.state is first.state
    assert again.tasks == ()


def test_a_work_row_holds_ids_only() -> None:
    event = opened()
    [task] = notify(ClientState(), event).tasks

    assert set(task.payload) == {"lead_id", "partner_id"}
    assert event.client not in repr(task)


def test_days_left_are_true_for_one_day_of_the_builders_calendar() -> None:
    [sms] = notify(ClientState(), expiring(days_left=7), now=datetime(2027, 5, 17, 21, tzinfo=UTC)).state.messages

    assert sms.valid_until == datetime(2027, 5, 19, 0, tzinfo=MOSCOW)
    assert sms.drop_reason(sms.valid_until) == "too-late"
    assert sms.drop_reason(sms.valid_until - timedelta(seconds=1)) is None
