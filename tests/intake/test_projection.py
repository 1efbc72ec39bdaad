"""What a portal sees of a lead after events of other services: rules without I/O."""

from datetime import date
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.domain.projection import record_rejection
from tests.intake.driver import CAUSE, NOW, DomainDriver, rejected


def test_portal_sees_already_yours_or_client_taken_and_no_other_reason() -> None:
    driver = DomainDriver()
    lead = driver.take()
    reasons = ["held-by-partner", "known-to-builder", "not-a-client", "already-sold", "already-yours"]

    public = {
        reason: record_rejection(driver.state, rejected(lead, reason), CAUSE, NOW)
        .state.leads[lead.lead_id]
        .public_reason
        for reason in reasons
    }

    assert public == dict.fromkeys(reasons[:4], "client-taken") | {"already-yours": "already-yours"}


def test_lead_is_confirmed_only_when_it_is_reserved() -> None:
    driver = DomainDriver()
    lead = driver.take()
    assert lead.status == "under-review"

    after = driver.record(lead, "opened")

    assert after.status == "confirmed"
    assert after.reserved_through == date(2027, 5, 24)


@given(st.lists(st.sampled_from(["rejected", "opened", "expired"]), max_size=9))
def test_any_interleaving_of_two_topics_with_repeats_gives_one_state(order: list[str]) -> None:
    driver, other = DomainDriver(), DomainDriver()
    lead = driver.take()
    other.take()

    assert driver.record(lead, *order) == other.record(lead, *sorted(set(order)))


@pytest.mark.parametrize("order", list(permutations(["opened", "expired", "opened", "expired"])))
def test_lead_is_expired_in_whatever_order_and_however_often_events_come(order: tuple[str, ...]) -> None:
    driver = DomainDriver()

    after = driver.record(driver.take(), *order)

    assert after.status == "expired"
    assert [name for _, name, _ in after.history()] == ["received", "confirmed", "expired"]
