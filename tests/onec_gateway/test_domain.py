"""The arbiter's rules, without any I/O."""

from datetime import timedelta

import pytest

from contracts.verdicts import LeadConfirmed, LeadRejected
from services.onec_gateway.domain import Contradiction, HandedOver, JournalEntered
from tests.onec_gateway.samples import (
    MINUTE,
    NOON,
    UNTIL,
    Story,
    answered,
    cause_of,
    expired,
    lead_id,
    opened,
    submitted,
)

DAY = timedelta(days=1)
CONFIRMED = f"confirmed at {NOON + MINUTE}"
BY_LEAD_1 = f"({lead_id(1)})"


def test_new_lead_asks_1c_exactly_once() -> None:
    story = Story().submit(1).submit(2, "p2", NOON + MINUTE)

    assert story.asked == [("check", "1")]
    assert story.verdicts == {}


def test_client_unknown_to_1c_is_confirmed_and_held() -> None:
    story = Story().confirm()

    assert story.verdicts == {1: CONFIRMED}
    assert story.client.hold is not None
    assert story.client.hold.lead_id == lead_id(1)


def test_verdict_names_its_own_lead_as_cause() -> None:
    story = Story().submit(1).submit(2, "p2").tell(answered(1), NOON + MINUTE)

    assert [event.cause for event in story.events] == [cause_of(submitted(1)), cause_of(submitted(2))]


@pytest.mark.parametrize("before", [timedelta(0), timedelta(seconds=1), 400 * DAY])
def test_enquiry_dated_at_or_before_receipt_rejects(before: timedelta) -> None:
    story = Story().submit(1).tell(answered(1, NOON - before), NOON + MINUTE)

    assert story.verdicts == {1: "known-to-builder (ref-1)"}
    assert story.client.hold is None


def test_later_enquiry_does_not_block_but_is_kept_as_evidence() -> None:
    story = Story().submit(1).tell(answered(1, NOON + timedelta(seconds=1)), NOON + MINUTE)

    assert story.verdicts == {1: CONFIRMED}
    assert [enquiry.ref for enquiry in story.client.leads[lead_id(1)].enquiries] == ["ref-1"]


def test_rejection_rests_on_the_earliest_enquiry() -> None:
    story = Story().submit(1).tell(answered(1, NOON - DAY, NOON - 2 * DAY), NOON + MINUTE)

    assert story.verdicts == {1: "known-to-builder (ref-2)"}


def test_second_partner_is_refused_while_first_holds() -> None:
    story = Story().confirm().open().submit(2, "p2", NOON + DAY)

    assert story.verdicts[2] == f"held-by-partner {BY_LEAD_1}"


def test_own_client_again_is_already_yours() -> None:
    story = Story().confirm().open().submit(2, "p1", NOON + DAY)

    assert story.verdicts[2] == f"already-yours {BY_LEAD_1}"


def test_lead_refused_by_a_hold_costs_no_call_to_1c() -> None:
    story = Story().confirm().open().submit(2, "p2", NOON + DAY)

    assert story.asked == [("check", "1"), ("partner-journal", "1")]


def test_racing_lead_is_decided_before_the_reservation_opens() -> None:
    story = Story().submit(1).submit(2, "p2", NOON + MINUTE).tell(answered(1), NOON + MINUTE)

    assert story.verdicts[2] == f"held-by-partner {BY_LEAD_1}"


def test_lead_after_the_grant_waits_until_the_term_is_known() -> None:
    story = Story().confirm().submit(2, "p2", NOON + 2 * MINUTE)
    assert 2 not in story.verdicts

    story.tell(opened(1), NOON + 3 * MINUTE)

    assert story.verdicts[2] == f"held-by-partner {BY_LEAD_1}"


def test_hold_counts_as_live_until_its_end_was_seen() -> None:
    story = Story().confirm().open().submit(2, "p2", UNTIL)
    assert 2 not in story.verdicts

    story.expire()

    assert story.verdicts[2] == f"known-to-builder {BY_LEAD_1}"


def test_after_expiry_the_client_is_the_builders_for_every_partner() -> None:
    story = Story().confirm().open().expire().submit(2, "p1", UNTIL + DAY).submit(3, "p2", UNTIL + DAY)

    assert story.verdicts[2] == story.verdicts[3] == f"known-to-builder {BY_LEAD_1}"


def test_lead_received_before_the_end_is_covered_however_late_it_comes() -> None:
    story = Story().confirm().open().expire().submit(2, "p2", UNTIL - MINUTE)

    assert story.verdicts[2] == f"held-by-partner {BY_LEAD_1}"


def test_rejected_head_lets_the_next_lead_be_checked() -> None:
    story = Story().submit(1).submit(2, "p2", NOON + DAY).tell(answered(1, NOON), NOON + DAY)

    assert story.asked == [("check", "1"), ("check", "2")]


def test_leads_are_decided_in_order_of_receipt() -> None:
    story = Story().submit(1).submit(3, "p3", NOON + 2 * MINUTE).submit(2, "p2", NOON + MINUTE)
    story.tell(answered(1, NOON), NOON + DAY)

    assert story.asked[-1] == ("check", "2")


def test_same_lead_twice_changes_nothing() -> None:
    story = Story().submit(1)
    before = story.client

    story.submit(1)

    assert story.client is before
    assert story.asked == [("check", "1")]


def test_opened_reservation_is_entered_in_the_partner_journal_once() -> None:
    story = Story().confirm().open().open()

    assert story.asked.count(("partner-journal", "1")) == 1


def test_expired_reservation_is_handed_over_once() -> None:
    story = Story().confirm().open().expire().expire()

    assert story.asked.count(("hand-over", "1")) == 1


def test_reservation_seen_before_its_lead_is_kept_and_the_same_verdict_is_said_again() -> None:
    story = Story().open().submit(1)

    assert story.verdicts == {1: CONFIRMED}
    assert ("check", "1") not in story.asked


def test_reservation_of_another_lead_than_the_holder_is_a_contradiction() -> None:
    story = Story().confirm()

    with pytest.raises(Contradiction):
        story.tell(opened(2, "p2"), NOON + DAY)
    with pytest.raises(Contradiction):
        story.tell(expired(2, "p2"), NOON + DAY)


def test_what_was_done_in_1c_is_remembered() -> None:
    story = Story().confirm().open().expire()
    story.tell(JournalEntered(lead_id(1), NOON + DAY), NOON + DAY)
    story.tell(HandedOver(lead_id(1), UNTIL + DAY, "ref-9"), UNTIL + DAY)

    term = story.client.terms[lead_id(1)]
    assert (term.journal_at, term.handed_over_at, term.enquiry_ref) == (NOON + DAY, UNTIL + DAY, "ref-9")


def test_verdicts_carry_the_client_still_sealed() -> None:
    story = Story().confirm().open().submit(2, "p2", NOON + DAY)

    for event in story.events:
        assert isinstance(event.message, LeadConfirmed | LeadRejected)
        assert event.message.client == "sealed"
