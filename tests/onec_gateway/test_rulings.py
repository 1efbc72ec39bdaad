"""Rulings: a person answers the question that a lead waits for, and nothing else."""

from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.verdicts import LeadConfirmed, LeadRejected
from services.onec_gateway.domain.inputs import NotApplied, Ruled
from services.onec_gateway.domain.model import Enquiry, Lead, Policy, Ruling
from tests.onec_gateway.driver import DomainDriver, held_client
from tests.onec_gateway.samples import DAY, MINUTE, NOON, SALE, SECOND, UNTIL, answered, lead_id

SKEW = Policy(clock_skew=timedelta(minutes=1))
CONFIRM = Ruling(confirmed=True, who="Менеджер", why="видел журнал")
REJECT = Ruling(confirmed=False, who="Менеджер", why="клиент звонил сам")


def asked() -> DomainDriver:
    """A lead whose check found an enquiry dated 30 s after its receipt."""
    return DomainDriver(SKEW).submit(1).apply(answered(1, NOON + 30 * SECOND), NOON + MINUTE)


def rule(driver: DomainDriver, ruling: Ruling, number: int = 1) -> DomainDriver:
    return driver.apply(Ruled(lead_id(number), ruling), NOON + DAY)


def test_ruling_on_a_lead_behind_another_is_refused_and_gives_it_no_client() -> None:
    driver = DomainDriver().submit(1).submit(2, "p2", NOON + MINUTE)

    rule(driver, CONFIRM, 2)
    assert driver.reply == NotApplied("not-waiting", "queue", lead_id(1))

    driver.apply(answered(1), NOON + 2 * DAY)
    assert {number: verdict.split()[0] for number, verdict in driver.verdicts.items()} == {
        1: "confirmed",
        2: "held-by-partner",
    }


@pytest.mark.parametrize("ruling", [CONFIRM, REJECT])
def test_ruling_on_a_lead_whose_check_is_not_answered_is_refused(ruling: Ruling) -> None:
    driver = rule(DomainDriver().submit(1), ruling)

    assert driver.reply == NotApplied("not-waiting", "check")
    assert driver.verdicts == {}
    assert rule(driver, ruling, 9).reply == NotApplied("unknown-lead")


def test_ruling_on_a_lead_that_waits_for_the_end_of_a_hold_is_refused() -> None:
    driver = held_client().submit(2, "p2", UNTIL + MINUTE)

    rule(driver, CONFIRM, 2)

    assert driver.reply == NotApplied("not-waiting", "reservation", lead_id(1))
    assert 2 not in driver.verdicts


def test_ruling_on_a_decided_lead_is_refused_and_changes_nothing() -> None:
    driver = held_client()
    before = driver.client

    rule(driver, REJECT)

    assert driver.client is before
    assert driver.reply == NotApplied("not-waiting", "confirmed")


def test_ruling_on_an_enquiry_near_the_receipt_decides_the_lead_with_its_grounds() -> None:
    confirmed, rejected = rule(asked(), CONFIRM), rule(asked(), REJECT)

    (message,) = confirmed.published(LeadConfirmed)
    assert (message.rule, message.evidence, message.ruled_by, message.ruled_why) == (
        "ruling",
        "ref-1",
        "Менеджер",
        "видел журнал",
    )
    (message,) = rejected.published(LeadRejected)
    assert (message.reason, message.rule, message.evidence) == ("known-to-builder", "ruling", "ref-1")
    assert (message.ruled_by, message.ruled_why) == ("Менеджер", "клиент звонил сам")
    assert isinstance(rejected.reply, Lead)
    assert rejected.reply.verdict is not None


def test_ruling_overrides_neither_a_sale_nor_the_phone_of_an_employee() -> None:
    sold, staff = DomainDriver(SKEW).submit(1), DomainDriver(SKEW)
    sold.apply(replace(answered(1, NOON), sales=(SALE,)), NOON + MINUTE)
    staff.client = replace(staff.client, insider="staff")
    staff.submit(1).apply(answered(1, NOON), NOON + MINUTE)

    assert rule(sold, CONFIRM).verdicts == {1: "already-sold (deal-1)"}
    assert rule(staff, CONFIRM).verdicts == {1: "not-a-client (staff)"}


def test_ruling_answers_only_what_it_was_about() -> None:
    driver = DomainDriver(SKEW).submit(1)
    lead = driver.client.leads[lead_id(1)]
    driver.client = driver.client.with_lead(replace(lead, ruling=replace(CONFIRM, about=("ref-1",))))

    driver.apply(answered(1, NOON, NOON), NOON + MINUTE)

    assert driver.verdicts == {}
    assert rule(driver, CONFIRM).verdicts[1].startswith("confirmed")


def test_ruling_that_an_earlier_version_stored_before_the_question_answers_nothing() -> None:
    driver = DomainDriver(SKEW).submit(1)
    driver.client = driver.client.with_lead(replace(driver.client.leads[lead_id(1)], ruling=CONFIRM))

    driver.apply(answered(1), NOON + MINUTE)

    (message,) = driver.published(LeadConfirmed)
    assert (message.rule, message.ruled_by) == ("free", None)


def test_every_verdict_names_its_rule_and_evidence() -> None:
    driver = held_client().submit(2, "p2", NOON + DAY).submit(3, "p1", NOON + DAY)
    by_enquiry = DomainDriver().submit(1).apply(answered(1, NOON - DAY), NOON + MINUTE)

    grounds = [(one.rule, one.evidence) for one in driver.published(LeadConfirmed, LeadRejected)]
    assert grounds == [("free", None), ("others-hold", str(lead_id(1))), ("own-hold", str(lead_id(1)))]
    (rejected,) = by_enquiry.published(LeadRejected)
    assert (rejected.rule, rejected.evidence) == ("enquiry", "ref-1")


def test_enquiry_confirmed_by_a_ruling_is_marked_once_the_reservation_opens() -> None:
    driver = rule(asked(), CONFIRM).open()

    assert driver.calls.count(("mark-enquiry", "1")) == 1


def test_confirmed_lead_is_no_backdated_rejection() -> None:
    driver = DomainDriver(SKEW).submit(1)
    answer = replace(answered(1), enquiries=(Enquiry("ref-1", NOON - 30 * SECOND, "0000-000009"),))
    driver.apply(answer, NOON + MINUTE)

    rule(driver, CONFIRM)

    assert [one.kind for one in (event.message for event in driver.events) if hasattr(one, "kind")] == ["within-skew"]
