"""Sales inside and outside a reservation, and their cancellation."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from contracts.reservations import ReservationClosed
from tests.reservations.driver import DAY, expired, names, reserved, sold

LAST_DAY = date(2026, 9, 14)
OTHER = UUID(int=2)


class TestSale:
    def test_sale_inside_the_term_wins_the_reservation(self) -> None:
        driver = reserved()
        driver.now += 30 * DAY

        (closed,) = driver.sell()

        assert (closed.outcome, closed.deal, closed.corrects) == ("won", "d1", None)

    @pytest.mark.parametrize("on", [date(2026, 3, 13), date(2026, 9, 15)])
    def test_sale_dated_outside_the_term_is_the_builders_own(self, on: date) -> None:
        driver = reserved()

        assert driver.sell(on) == []
        assert driver.reservation().status == "live"

    @pytest.mark.parametrize("on", [date(2026, 3, 14), LAST_DAY])
    def test_first_and_last_day_belong_to_the_term(self, on: date) -> None:
        assert names(reserved().sell(on)) == ["ReservationClosed"]

    def test_sale_and_expiry_on_one_day_are_decided_by_the_date_of_the_sale(self) -> None:
        first, last = reserved(), reserved()
        until = first.reservation().reserved_until
        first.now = until - timedelta(seconds=1)
        first.sell(LAST_DAY)
        first.fire_clock(until)
        last.fire_clock(until)
        last.now = until + 2 * DAY
        (correction,) = last.sell(LAST_DAY)

        assert isinstance(correction, ReservationClosed)
        assert correction.corrects == "expired"
        assert first.reservation().status == last.reservation().status == "won"

    def test_news_of_a_sale_after_the_grace_changes_nothing(self) -> None:
        driver = expired()
        driver.now += 31 * DAY

        assert driver.sell(LAST_DAY) == []
        assert driver.reservation().status == "expired"

    def test_cancelled_sale_reopens_the_rest_of_the_term(self) -> None:
        driver = sold()
        until = driver.reservation().reserved_until

        (reopened,) = driver.cancel_sale()

        assert reopened.reserved_until == until
        assert driver.reservation().status == "live"

    def test_cancelled_sale_after_the_term_reopens_and_expires_at_once(self) -> None:
        driver = sold()
        driver.now = driver.reservation().reserved_until + DAY

        assert names(driver.cancel_sale()) == ["ReservationReopened", "ReservationExpired"]

    def test_cancelled_sale_of_a_client_with_another_holder_only_expires_again(self) -> None:
        driver = expired()
        driver.confirm(OTHER, "p2")
        driver.sell(LAST_DAY)

        assert names(driver.cancel_sale()) == ["ReservationExpired"]
        assert driver.reservation().status == "expired"
        assert driver.reservation(OTHER).status == "live"

    def test_cancelled_sale_beside_another_leaves_the_reservation_won(self) -> None:
        driver = sold()
        driver.sell(deal="d2")

        assert driver.cancel_sale() == []
        assert driver.reservation().deal == "d2"

    def test_repeated_news_of_a_sale_changes_nothing(self) -> None:
        driver = sold()

        assert driver.sell() == []
        driver.cancel_sale()
        assert driver.cancel_sale() == []

    def test_cancelled_sale_whose_news_comes_after_its_cancellation_changes_nothing(self) -> None:
        driver = reserved()
        driver.now += 30 * DAY
        driver.cancel_sale()

        assert driver.sell() == []
        assert driver.reservation().status == "live"
        (refused,) = [*driver.claim(), *driver.end_wait_of_claim()]
        assert refused.reason == "no-sale"

    def test_cancelled_sale_of_an_erased_client_reopens_nothing(self) -> None:
        driver = sold()
        driver.client = driver.client.with_reservation(driver.reservation()._replace(client=None))

        assert driver.cancel_sale() == []
        assert driver.reservation().status == "won"
