"""Sales in 1C: each is published once, and once that it was cancelled."""

from dataclasses import replace
from decimal import Decimal

from contracts.verdicts import DealCancelled, DealClosed
from services.onec_gateway.domain.inputs import SaleSeen
from tests.onec_gateway.driver import DomainDriver, held_client
from tests.onec_gateway.samples import DAY, NOON, SALE, lead_id


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
    assert (message.lead_id, message.linked_by) == (lead_id(1), "Менеджер")
