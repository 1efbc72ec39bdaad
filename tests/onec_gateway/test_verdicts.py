"""The rules that decide a lead: who holds the client, what 1C knows, what people rule."""

from dataclasses import replace
from datetime import timedelta

import isodate
import pytest

from contracts.verdicts import LeadCheckDelayed, LeadConfirmed, LeadRejected
from services.onec_gateway.domain.inputs import CheckOverdue, Ruled
from services.onec_gateway.domain.model import Policy, Ruling
from tests.onec_gateway.driver import DomainDriver, kinds
from tests.onec_gateway.samples import DAY, MINUTE, NOON, SECOND, UNTIL, answered, cause_of, lead_id, opened, submitted

CONFIRMED = f"confirmed at {NOON + MINUTE}"
BY_LEAD_1 = f"({lead_id(1)})"


def test_new_lead_is_checked_in_1c_exactly_once() -> None:
    driver = DomainDriver().submit(1).submit(2, "p2", NOON + MINUTE)

    assert driver.calls == [("check", "1")]
    assert driver.verdicts == {}


def test_client_unknown_to_1c_is_confirmed_and_held() -> None:
    driver = DomainDriver().confirm()

    assert driver.verdicts == {1: CONFIRMED}
    assert driver.client.hold is not None
    assert driver.client.hold.lead_id == lead_id(1)


def test_verdict_names_its_own_lead_as_cause() -> None:
    driver = DomainDriver().submit(1).submit(2, "p2").apply(answered(1), NOON + MINUTE)

    assert [event.cause for event in driver.events] == [cause_of(submitted(1)), cause_of(submitted(2))]


@pytest.mark.parametrize("before", [timedelta(0), timedelta(seconds=1), 400 * DAY])
def test_enquiry_dated_at_or_before_receipt_rejects(before: timedelta) -> None:
    driver = DomainDriver().submit(1).apply(answered(1, NOON - before), NOON + MINUTE)

    assert driver.verdicts == {1: "known-to-builder (ref-1)"}
    assert driver.client.hold is None


def test_later_enquiry_does_not_block_but_is_kept_as_evidence() -> None:
    driver = DomainDriver().submit(1).apply(answered(1, NOON + timedelta(seconds=1)), NOON + MINUTE)

    assert driver.verdicts == {1: CONFIRMED}
    assert [enquiry.ref for enquiry in driver.client.leads[lead_id(1)].enquiries] == ["ref-1"]


def test_rejection_names_the_earliest_enquiry_as_evidence() -> None:
    driver = DomainDriver().submit(1).apply(answered(1, NOON - DAY, NOON - 2 * DAY), NOON + MINUTE)

    assert driver.verdicts == {1: "known-to-builder (ref-2)"}


def test_second_partner_is_rejected_while_the_first_holds_the_client() -> None:
    driver = DomainDriver().confirm().open().submit(2, "p2", NOON + DAY)

    assert driver.verdicts[2] == f"held-by-partner {BY_LEAD_1}"


def test_second_lead_of_the_holder_is_already_yours() -> None:
    driver = DomainDriver().confirm().open().submit(2, "p1", NOON + DAY)

    assert driver.verdicts[2] == f"already-yours {BY_LEAD_1}"


def test_lead_rejected_by_a_hold_costs_no_call_to_1c() -> None:
    driver = DomainDriver().confirm().open().submit(2, "p2", NOON + DAY)

    assert driver.calls == [("check", "1"), ("partner-journal", "1")]


def test_racing_lead_is_decided_before_the_reservation_opens() -> None:
    driver = DomainDriver().submit(1).submit(2, "p2", NOON + MINUTE).apply(answered(1), NOON + MINUTE)

    assert driver.verdicts[2] == f"held-by-partner {BY_LEAD_1}"


def test_lead_after_the_grant_waits_until_the_reservation_is_known() -> None:
    driver = DomainDriver().confirm().submit(2, "p2", NOON + 2 * MINUTE)
    assert 2 not in driver.verdicts

    driver.apply(opened(1), NOON + 3 * MINUTE)

    assert driver.verdicts[2] == f"held-by-partner {BY_LEAD_1}"


def test_hold_is_live_until_its_end_arrives() -> None:
    driver = DomainDriver().confirm().open().submit(2, "p2", UNTIL)
    assert 2 not in driver.verdicts

    driver.expire()

    assert driver.verdicts[2] == f"known-to-builder {BY_LEAD_1}"


def test_after_expiry_the_client_is_the_builders_for_every_partner() -> None:
    driver = DomainDriver().confirm().open().expire().submit(2, "p1", UNTIL + DAY).submit(3, "p2", UNTIL + DAY)

    assert driver.verdicts[2] == driver.verdicts[3] == f"known-to-builder {BY_LEAD_1}"


def test_lead_received_before_the_end_is_rejected_however_late_it_arrives() -> None:
    driver = DomainDriver().confirm().open().expire().submit(2, "p2", UNTIL - MINUTE)

    assert driver.verdicts[2] == f"held-by-partner {BY_LEAD_1}"


def test_after_a_rejection_the_next_lead_in_the_queue_is_checked() -> None:
    driver = DomainDriver().submit(1).submit(2, "p2", NOON + DAY).apply(answered(1, NOON), NOON + DAY)

    assert driver.calls == [("check", "1"), ("check", "2")]


def test_leads_are_decided_in_order_of_receipt() -> None:
    driver = DomainDriver().submit(1).submit(3, "p3", NOON + 2 * MINUTE).submit(2, "p2", NOON + MINUTE)
    driver.apply(answered(1, NOON), NOON + DAY)

    assert driver.calls[-1] == ("check", "2")


def test_same_lead_twice_changes_nothing() -> None:
    driver = DomainDriver().submit(1)
    before = driver.client

    driver.submit(1)

    assert driver.client is before
    assert driver.calls == [("check", "1")]


def test_lead_that_arrives_after_its_reservation_gets_the_same_verdict_again() -> None:
    driver = DomainDriver().open().submit(1)

    assert driver.verdicts == {1: CONFIRMED}
    assert ("check", "1") not in driver.calls


def test_verdicts_carry_the_client_still_sealed() -> None:
    driver = DomainDriver().confirm().open().submit(2, "p2", NOON + DAY)

    for event in driver.events:
        assert isinstance(event.message, LeadConfirmed | LeadRejected)
        assert event.message.client == "sealed"


def test_enquiry_over_the_maximum_age_blocks_no_lead() -> None:
    old = NOON - timedelta(days=400)

    assert DomainDriver().submit(1).apply(answered(1, old), NOON).verdicts[1].startswith("known-to-builder")
    lenient = (
        DomainDriver(Policy(max_enquiry_age=isodate.parse_duration("P12M"))).submit(1).apply(answered(1, old), NOON)
    )
    assert lenient.verdicts[1].startswith("confirmed")
    assert kinds(lenient.open()) == []


@pytest.mark.parametrize("off", [-30, 0, 30])
def test_lead_with_an_enquiry_within_the_clock_skew_is_decided_by_a_person(off: int) -> None:
    driver = DomainDriver(Policy(clock_skew=timedelta(minutes=1))).submit(1)
    driver.apply(answered(1, NOON + off * SECOND), NOON + MINUTE)

    assert driver.verdicts == {}
    assert kinds(driver) == ["within-skew"]

    driver.apply(Ruled(lead_id(1), Ruling(confirmed=True, who="Менеджер", why="видел журнал")), NOON + DAY)

    assert driver.verdicts[1].startswith("confirmed")
    assert kinds(driver.open()) == ["within-skew"]


def test_phone_of_a_partner_or_of_the_staff_is_not_a_client() -> None:
    driver = DomainDriver()
    driver.client = replace(driver.client, insider="partner:p9")

    assert driver.submit(1).apply(answered(1), NOON).verdicts[1] == "not-a-client (partner:p9)"


def test_enquiry_is_the_reason_even_if_the_phone_is_the_staffs() -> None:
    driver = DomainDriver()
    driver.client = replace(driver.client, insider="staff")

    assert driver.submit(1).apply(answered(1, NOON - DAY), NOON).verdicts[1] == "known-to-builder (ref-1)"


def test_delay_is_published_once_and_only_while_the_lead_is_under_review() -> None:
    driver = DomainDriver().submit(1)

    for _ in range(2):
        driver.apply(CheckOverdue(lead_id(1)), NOON + 10 * MINUTE)
    assert len(driver.published(LeadCheckDelayed)) == 1

    assert DomainDriver().confirm().apply(CheckOverdue(lead_id(1)), NOON + DAY).published(LeadCheckDelayed) == []
