"""Requests about a lead: returns and withdrawals."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from tests.reservations.driver import DAY, LEAD, POLICY, DomainDriver, expired, names, reserved

OTHER = UUID(int=2)


class TestReturn:
    def test_live_reservation_is_extended_by_six_months_from_the_same_anchor(self) -> None:
        driver = DomainDriver(now=datetime(2026, 8, 31, 9, tzinfo=UTC))
        driver.confirm()
        assert driver.reservation().reserved_through == date(2027, 2, 28)

        (first,) = driver.return_client()
        (second,) = driver.return_client()

        assert (first.reserved_through, second.reserved_through) == (date(2027, 8, 31), date(2028, 2, 29))
        assert first.confirmed_at == second.confirmed_at == datetime(2026, 8, 31, 9, tzinfo=UTC)

    def test_repeated_request_extends_once(self) -> None:
        driver, request = reserved(), uuid4()

        driver.return_client(request=request)

        assert driver.return_client(request=request) == []

    def test_expired_client_gets_a_fresh_term_if_the_gateway_confirms(self) -> None:
        driver = expired()
        driver.now += 10 * DAY

        assert names(driver.return_client()) == ["ReinstatementRequested"]
        (reinstated,) = driver.confirm_reinstatement()

        assert reinstated.confirmed_at == driver.now
        assert reinstated.reserved_through == date(2027, 3, 25)

    def test_client_held_by_another_partner_by_now_is_not_returned(self) -> None:
        driver = expired()
        driver.return_client()

        (refused,) = driver.reject_reinstatement()

        assert (refused.reason, refused.request_type) == ("held-by-partner", "return-lead.v1")
        assert driver.client.live() is None

    def test_repeated_answer_of_the_gateway_changes_nothing(self) -> None:
        driver = expired()
        driver.return_client()
        driver.confirm_reinstatement()

        assert driver.confirm_reinstatement() == []

    def test_return_between_the_end_and_the_clock_goes_to_the_gateway(self) -> None:
        driver = reserved()
        driver.now = driver.reservation().reserved_until

        assert names(driver.return_client()) == ["ReservationExpired", "ReinstatementRequested"]

    def test_second_return_waits_for_the_answer_to_the_first(self) -> None:
        driver = expired()
        driver.return_client()

        assert driver.return_client() == []
        assert names(driver.confirm_reinstatement()) == ["ReservationReinstated", "ReservationExtended"]

    def test_number_of_returns_can_be_limited(self) -> None:
        driver = DomainDriver(replace(POLICY, extension_limit=1))
        driver.confirm()
        driver.return_client()

        (refused,) = driver.return_client()

        assert refused.reason == "extension-limit"

    def test_returns_can_be_limited_to_a_window_before_the_end(self) -> None:
        driver = DomainDriver(replace(POLICY, extension_window=30 * DAY))
        driver.confirm()
        until = driver.reservation().reserved_until
        (refused,) = driver.return_client()
        driver.now = until - 29 * DAY

        assert refused.reason == "outside-window"
        assert names(driver.return_client()) == ["ReservationExtended"]

    @pytest.mark.parametrize(("before", "reason"), [("withdraw", "unknown-lead"), ("sell", "already-sold")])
    def test_withdrawn_or_sold_client_is_not_returned(self, before: str, reason: str) -> None:
        driver = reserved()
        getattr(driver, before)()

        (refused,) = driver.return_client()

        assert refused.reason == reason

    def test_each_term_of_a_reservation_ends_with_an_event_of_its_own(self) -> None:
        driver = expired()
        driver.return_client()
        driver.confirm_reinstatement()
        driver.fire_clock(driver.reservation().reserved_until)

        ends = [
            cause.id
            for message, cause in zip(driver.published, driver.causes, strict=True)
            if names([message])[0] == "ReservationExpired"
        ]
        assert len(set(ends)) == 2


class TestWithdrawal:
    def test_partner_may_withdraw_within_a_day_and_the_client_is_free(self) -> None:
        driver = reserved()
        driver.now += timedelta(hours=23)

        (closed,) = driver.withdraw()

        assert (closed.outcome, closed.closed_at) == ("withdrawn", driver.now)
        assert names(driver.confirm(OTHER, "p2")) == ["ReservationOpened"]

    def test_after_a_day_only_a_manager_may_withdraw(self) -> None:
        driver = reserved()
        driver.now += timedelta(hours=25)
        (refused,) = driver.withdraw()

        assert refused.reason == "too-late"
        assert names(driver.withdraw(manager="manager-3")) == ["ReservationClosed"]

    def test_another_partner_may_not_withdraw(self) -> None:
        (refused,) = reserved().withdraw(partner="p2")

        assert refused.reason == "not-yours"

    def test_request_that_arrives_before_the_verdict_waits_for_it(self) -> None:
        driver = DomainDriver()

        assert driver.withdraw() == []
        assert names(driver.confirm()) == ["ReservationOpened", "ReservationClosed"]

    def test_request_about_a_rejected_lead_is_refused_in_either_order(self) -> None:
        early, late = DomainDriver(), DomainDriver()
        early.withdraw()
        (first,) = early.reject(LEAD)
        late.reject(LEAD)
        (second,) = late.withdraw()

        assert first.reason == second.reason == "unknown-lead"


def test_erased_client_is_not_returned() -> None:
    driver = expired()
    driver.client = driver.client.with_reservation(driver.reservation()._replace(client=None))

    (refused,) = driver.return_client()

    assert refused.reason == "unknown-lead"
