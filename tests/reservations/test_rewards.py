"""Reward claims, their settlement, and the ledger."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from tests.reservations.driver import DAY, names, reserved, sold


class TestReward:
    def test_claim_for_a_sale_inside_the_reservation_is_accepted_and_accrued(self) -> None:
        driver = sold()
        (accepted,) = driver.claim()
        (accrued,) = driver.settle()

        assert (accepted.deal, accepted.contract_number) == ("d1", "ДДУ-7")
        assert (accrued.amount, accrued.currency, accrued.decided_by) == (Decimal("249000.00"), "RUB", "accountant-1")
        assert [(line.kind, line.amount) for line in driver.ledger] == [("accrual", Decimal("249000.00"))]

    def test_claim_that_arrives_before_the_sale_waits_for_it(self) -> None:
        driver = reserved()
        driver.now += DAY

        assert driver.claim() == []
        assert names(driver.sell()) == ["ReservationClosed", "RewardClaimAccepted"]

    def test_claim_without_a_sale_is_refused_when_its_wait_is_over(self) -> None:
        driver = reserved()
        driver.claim()
        ((request_id, asked),) = driver.client.requests.items()
        assert asked.until is not None
        driver.now = asked.until - timedelta(seconds=1)
        assert driver.end_wait(request_id) == []
        driver.now = asked.until

        (refused,) = driver.end_wait(request_id)

        assert (refused.reason, refused.request_type) == ("no-sale", "claim-reward.v1")

    def test_only_the_partner_of_the_lead_may_claim(self) -> None:
        (refused,) = sold().claim(partner="p2")

        assert refused.reason == "not-yours"

    def test_one_sale_is_claimed_once(self) -> None:
        driver = sold()
        driver.claim()

        (refused,) = driver.claim(claim=UUID(int=78))

        assert refused.reason == "already-claimed"

    def test_each_of_two_sales_may_be_claimed(self) -> None:
        driver = sold()
        driver.sell(deal="d2")

        (first,), (second,) = driver.claim(), driver.claim(claim=UUID(int=78))

        assert {first.deal, second.deal} == {"d1", "d2"}

    def test_second_claim_beside_a_waiting_claim_is_refused(self) -> None:
        driver = reserved()
        driver.claim()

        (refused,) = driver.claim(claim=UUID(int=78))

        assert refused.reason == "already-claimed"

    def test_withdrawn_lead_earns_nothing(self) -> None:
        driver = reserved()
        driver.withdraw()

        (refused,) = driver.claim()

        assert refused.reason == "no-sale"

    def test_declined_claim_gives_the_reason_and_adds_no_ledger_entry(self) -> None:
        driver = sold()
        driver.claim()

        (declined,) = driver.settle("decline", None)

        assert declined.reason == "2 % по договору"
        assert driver.ledger == []

    def test_correction_is_a_ledger_entry_of_the_difference(self) -> None:
        driver = sold()
        driver.claim()
        driver.settle(amount="249000.00")

        (corrected,) = driver.settle(amount="200000.00")

        assert corrected.amount == Decimal("-49000.00")
        assert [line.kind for line in driver.ledger] == ["accrual", "correction"]
        assert sum(line.amount for line in driver.ledger) == Decimal("200000.00")

    def test_decision_that_comes_after_a_later_decision_is_refused(self) -> None:
        driver = sold()
        driver.claim()
        driver.now += DAY
        driver.settle(amount="249000.00")

        driver.now -= DAY / 2
        (refused,) = driver.settle(amount="200000.00")

        assert refused.reason == "already-claimed"
        assert sum(line.amount for line in driver.ledger) == Decimal("249000.00")

    def test_decision_that_was_refused_does_not_outdate_an_earlier_decision(self) -> None:
        driver = sold()
        driver.claim()
        driver.settle(amount="249000.00")
        driver.now += DAY
        driver.settle(amount="300.00", currency="EUR")

        driver.now -= DAY / 2
        (corrected,) = driver.settle(amount="200000.00")

        assert corrected.amount == Decimal("-49000.00")

    def test_settlement_that_changes_nothing_is_answered_with_a_refusal(self) -> None:
        driver = sold()
        driver.claim()
        driver.settle(amount="249000.00")

        (refused,) = driver.settle(amount="249000.00")

        assert (refused.reason, refused.request_type) == ("already-claimed", "settle-reward.v1")
        assert [line.kind for line in driver.ledger] == ["accrual"]

    def test_cancelled_sale_reverses_all_that_was_accrued(self) -> None:
        driver = sold()
        driver.claim()
        driver.settle()

        published = driver.cancel_sale()

        assert names(published) == ["RewardAccrued", "RewardDeclined", "ReservationReopened"]
        assert sum(line.amount for line in driver.ledger) == 0
        assert driver.ledger[-1].kind == "reversal"

    def test_claim_under_review_is_declined_when_its_sale_is_cancelled(self) -> None:
        driver = sold()
        driver.claim()

        assert names(driver.cancel_sale()) == ["RewardDeclined", "ReservationReopened"]

    def test_settlement_of_an_unknown_claim_is_refused(self) -> None:
        (refused,) = sold().settle(claim=UUID(int=99))

        assert refused.reason == "no-sale"
