"""Requests about a lead: returns and withdrawals."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from services.reservations.domain.terms import Term
from services.reservations.domain.verdicts import UnknownReturn
from tests.reservations.driver import DAY, LEAD, MOSCOW, POLICY, DomainDriver, expired, names, reserved, sold

OTHER = UUID(int=2)


class TestReturn:
    def test_live_reservation_is_extended_by_six_months_from_the_same_anchor(self) -> None:
        driver = DomainDriver(now=datetime(2026, 8, 31, 9, tzinfo=UTC))
        driver.confirm()
        assert driver.reservation().reserved_through == date(2027, 2, 28)

        (first,) = driver.return_client()
        (second,) = driver.return_client(again=True)

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

    @pytest.mark.parametrize("again", [False, True])
    def test_second_return_is_refused_while_the_gateway_decides_on_the_first(self, again: bool) -> None:
        driver = expired()
        driver.return_client()

        (refused,) = driver.return_client(again=again)

        assert (refused.reason, refused.request_type) == ("already-returned", "return-lead.v1")
        assert names(driver.confirm_reinstatement()) == ["ReservationReinstated"]

    def test_two_returns_that_wait_for_the_verdict_give_one_term(self) -> None:
        driver = DomainDriver()
        assert driver.return_client() == []

        assert [message.reason for message in driver.return_client()] == ["already-returned"]
        assert names(driver.confirm()) == ["ReservationOpened", "ReservationExtended"]

    @pytest.mark.parametrize("start", [reserved, expired])
    def test_second_return_within_a_day_must_say_that_it_is_meant(self, start: Callable[[], DomainDriver]) -> None:
        driver = start()
        driver.return_client()
        if driver.reservation().status == "expired":
            driver.confirm_reinstatement()
        through = driver.reservation().reserved_through
        driver.now += DAY - timedelta(seconds=1)

        refusals = [driver.return_client()[0].reason for _ in range(3)]

        assert refusals == ["already-returned"] * 3
        assert driver.reservation().reserved_through == through
        assert names(driver.return_client(again=True)) == ["ReservationExtended"]

    def test_return_a_day_after_the_last_needs_no_word(self) -> None:
        driver = reserved()
        driver.return_client()
        driver.now += DAY

        assert names(driver.return_client()) == ["ReservationExtended"]

    def test_return_that_the_gateway_refused_may_be_filed_again_at_once(self) -> None:
        driver = expired()
        driver.return_client()
        driver.reject_reinstatement()

        assert names(driver.return_client()) == ["ReinstatementRequested"]

    def test_limit_of_returns_holds_also_for_a_return_that_is_meant(self) -> None:
        driver = DomainDriver(replace(POLICY, extension_limit=1))
        driver.confirm()
        driver.return_client()

        (refused,) = driver.return_client(again=True)

        assert refused.reason == "extension-limit"

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

    def test_manager_may_withdraw_also_after_the_expiry(self) -> None:
        driver = expired()
        driver.now += 10 * DAY
        (refused,) = driver.withdraw()

        (closed,) = driver.withdraw(manager="manager-3")

        assert refused.reason == "too-late"
        assert (closed.outcome, closed.closed_at) == ("withdrawn", driver.now)
        assert [message.reason for message in driver.return_client()] == ["unknown-lead"]

    def test_manager_may_withdraw_between_the_end_and_the_clock(self) -> None:
        driver = reserved()
        driver.now = driver.reservation().reserved_until

        assert names(driver.withdraw(manager="manager-3")) == ["ReservationClosed"]

    def test_sold_client_is_not_withdrawn(self) -> None:
        (refused,) = sold().withdraw(manager="manager-3")

        assert refused.reason == "too-late"

    def test_withdrawal_waits_while_the_gateway_decides_on_a_return(self) -> None:
        driver = expired()
        driver.return_client()

        assert driver.withdraw(manager="manager-3") == []
        assert names(driver.confirm_reinstatement()) == ["ReservationReinstated", "ReservationClosed"]

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


class TestErased:
    def test_erased_client_is_neither_returned_nor_withdrawn(self) -> None:
        driver = expired()
        driver.erase()

        (returned,), (withdrawn,) = driver.return_client(), driver.withdraw(manager="manager-3")

        assert returned.reason == withdrawn.reason == "unknown-lead"

    def test_return_granted_after_the_erasure_is_refused_so_that_the_hold_ends(self) -> None:
        driver = expired()
        driver.return_client()
        driver.erase()

        (refused,) = driver.confirm_reinstatement()

        assert (refused.reason, refused.request_type) == ("unknown-lead", "return-lead.v1")
        assert driver.client.live() is None

    def test_sale_noticed_after_the_erasure_is_recorded_and_not_published(self) -> None:
        driver = expired()
        driver.erase()
        driver.now += DAY

        assert driver.sell(driver.reservation().reserved_through) == []
        assert driver.reservation().status == "won"
        assert names(driver.claim()) == ["RewardClaimAccepted"]
        assert names(driver.cancel_sale()) == ["RewardDeclined"]


def test_return_that_nobody_requested_is_parked_not_dropped() -> None:
    driver, stranger = expired(), expired()
    driver.return_client()
    stranger.published.append(driver.published[-1])

    with pytest.raises(UnknownReturn):
        stranger.confirm_reinstatement()


class TestChangedTerm:
    """The term that is configured later changes nothing about the reservations that run."""

    def test_extension_counts_by_the_term_with_which_the_reservation_began(self) -> None:
        driver = reserved()
        driver.now = datetime(2026, 8, 14, 9, tzinfo=UTC)
        driver.policy = replace(POLICY, term=Term.parse("P2M"))

        (extended,) = driver.return_client()

        assert extended.reserved_through == date(2027, 3, 14)
        assert json.loads(driver.entries[-1].text)["term"] == "P6M"

    def test_extension_counts_in_the_calendar_in_which_the_reservation_began(self) -> None:
        driver = reserved()
        driver.policy = replace(POLICY, zone=ZoneInfo("Asia/Vladivostok"))

        (extended,) = driver.return_client()

        assert extended.reserved_until == datetime(2027, 3, 15, tzinfo=MOSCOW)

    def test_reinstatement_gives_the_term_that_is_configured_now(self) -> None:
        driver = expired()
        driver.policy = replace(POLICY, term=Term.parse("P2M"))
        driver.return_client()

        (reinstated,) = driver.confirm_reinstatement()

        assert reinstated.reserved_through == date(2026, 11, 15)
        assert driver.reservation().term == "P2M"

    def test_extension_never_ends_before_the_present_end(self) -> None:
        driver = reserved()
        # An earlier version extended this reservation of two months by a term of twelve.
        long = driver.reservation()._replace(term="P2M", reserved_until=datetime(2027, 3, 15, tzinfo=MOSCOW))
        driver.client = driver.client.with_reservation(long)

        (extended,) = driver.return_client()

        assert extended.reserved_through == date(2027, 5, 14)
