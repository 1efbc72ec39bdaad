"""Sales in 1C: each is published once, and once that it was cancelled."""

from dataclasses import replace
from decimal import Decimal

from contracts.verdicts import DealCancelled, DealClosed
from services.onec_gateway.domain.inputs import NotApplied, SaleSeen
from tests.onec_gateway.driver import DomainDriver, held_client
from tests.onec_gateway.samples import DAY, MINUTE, NOON, SALE, answered, lead_id


def test_sale_and_its_cancellation_are_published_once_each() -> None:
    driver = held_client()
    for cancelled in (False, False, True, True):
        driver.apply(SaleSeen(replace(SALE, cancelled=cancelled), NOON + DAY), NOON + DAY)

    (message,) = driver.published(DealClosed)
    assert (message.lead_id, message.deal) == (lead_id(1), "deal-1")
    assert (message.amount, message.linked_by) == (Decimal("100.00"), None)
    assert len(driver.published(DealCancelled)) == 1


def test_sale_to_a_client_without_leads_is_not_published() -> None:
    assert DomainDriver().apply(SaleSeen(SALE, NOON), NOON).events == []


def test_sale_on_a_relatives_phone_can_be_linked_to_a_lead_by_hand() -> None:
    driver = held_client().apply(SaleSeen(SALE, NOON + DAY, lead_id(1), "Менеджер", "договор на супругу"), NOON + DAY)

    (message,) = driver.published(DealClosed)
    assert (message.lead_id, message.linked_by, message.linked_why) == (lead_id(1), "Менеджер", "договор на супругу")


def test_sale_is_linked_by_hand_to_a_confirmed_lead_only() -> None:
    waiting = DomainDriver().submit(1)
    rejected = DomainDriver().submit(1).apply(answered(1, NOON - DAY), NOON + MINUTE)
    link = SaleSeen(SALE, NOON + DAY, lead_id(1), "Менеджер", "супруга")

    assert waiting.apply(link, NOON + DAY).reply == NotApplied("not-confirmed", "check")
    assert rejected.apply(link, NOON + DAY).reply == NotApplied("not-confirmed", "rejected")
    assert waiting.apply(replace(link, lead_id=lead_id(9)), NOON + DAY).reply == NotApplied("unknown-lead")
    assert waiting.published(DealClosed) == rejected.published(DealClosed) == []


def test_void_sale_and_a_sale_of_another_lead_are_not_linked_by_hand() -> None:
    driver = held_client()
    void = SaleSeen(replace(SALE, cancelled=True), NOON + DAY, lead_id(1), "Менеджер", "супруга")
    assert driver.apply(void, NOON + DAY).reply == NotApplied("deal-cancelled")

    driver.submit(2, "p2", NOON + DAY).apply(SaleSeen(SALE, NOON + DAY), NOON + DAY)
    again = SaleSeen(SALE, NOON + DAY, lead_id(2), "Менеджер", "супруга")

    assert driver.apply(again, NOON + DAY).reply == NotApplied("already-linked", lead_id=lead_id(1))
    assert driver.apply(replace(again, lead_id=lead_id(1)), NOON + DAY).reply == lead_id(1)
    assert len(driver.published(DealClosed)) == 1
