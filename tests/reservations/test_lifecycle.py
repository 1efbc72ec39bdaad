"""How a reservation is opened, reminded of and ended by the clock."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decision import Cause
from contracts.reservations import ReservationExpired, ReservationOpened
from services.reservations.domain import verdicts
from services.reservations.domain.lifecycle import SecondLiveReservation
from services.reservations.domain.terms import Term
from tests.reservations.driver import DAY, MOSCOW, NOON, POLICY, DomainDriver, confirmed, expired, names, reserved, sold

OTHER = UUID(int=2)
LAST_DAY = date(2026, 9, 14)


class TestOpening:
    def test_confirmed_lead_is_reserved_through_the_same_day_six_months_on(self) -> None:
        (opened,) = DomainDriver().confirm()

        assert isinstance(opened, ReservationOpened)
        assert opened.reserved_through == LAST_DAY
        assert opened.reserved_until == datetime(2026, 9, 15, tzinfo=MOSCOW)

    def test_reservation_keeps_the_term_anchor_and_zone_of_its_end(self) -> None:
        reservation = reserved().reservation()

        assert (reservation.term, reservation.zone, reservation.confirmed_at) == ("P6M", "Europe/Moscow", NOON)

    def test_repeated_confirmation_opens_nothing(self) -> None:
        driver = reserved()

        assert driver.decide(verdicts.lead_confirmed, confirmed()) == []

    def test_second_live_reservation_of_a_client_is_never_opened(self) -> None:
        with pytest.raises(SecondLiveReservation):
            reserved().confirm(OTHER, "p2")

    def test_client_may_be_reserved_again_after_expiry(self) -> None:
        assert names(expired().confirm(OTHER, "p2")) == ["ReservationOpened"]


class TestClock:
    def test_reservation_expires_at_the_first_instant_after_its_last_day(self) -> None:
        driver = reserved()
        until = driver.reservation().reserved_until

        early = driver.fire_clock(until - timedelta(microseconds=1))
        (expired,) = driver.fire_clock(until)

        assert not any(isinstance(message, ReservationExpired) for message in early)
        assert expired.expired_at == until

    def test_expiry_is_published_once_however_often_the_clock_fires(self) -> None:
        driver = reserved()
        first = driver.fire_clock(driver.reservation().reserved_until + 3 * DAY)

        assert names(first) == ["ReservationExpired"]
        assert driver.fire_clock(driver.now) == []

    def test_partner_is_reminded_once_at_thirty_seven_and_one_days_before_the_end(self) -> None:
        driver = reserved()

        for _ in range(4):
            driver.fire_clock()
            assert driver.fire_clock(driver.now) == []

        left = [getattr(message, "days_left", 0) for message in driver.published[1:]]
        assert left == [30, 7, 1, 0]
        assert names(driver.published)[-1] == "ReservationExpired"

    def test_reminder_is_sent_on_its_own_day(self) -> None:
        driver = reserved()

        driver.fire_clock()

        assert driver.now == datetime(2026, 8, 15, tzinfo=MOSCOW)
        assert driver.published[-1].reserved_through - driver.now.astimezone(MOSCOW).date() == 30 * DAY

    def test_reminder_whose_day_has_passed_is_dropped(self) -> None:
        driver = reserved()
        due = driver.reservation().next_due

        assert driver.fire_clock(due + DAY) == []
        assert driver.reservation().next_step == 7

    def test_after_an_outage_only_the_reminder_of_today_is_sent(self) -> None:
        driver = reserved()

        dropped = driver.fire_clock(datetime(2026, 9, 7, 8, tzinfo=UTC))
        published = driver.fire_clock(driver.now)

        assert dropped == []
        assert [message.days_left for message in published] == [7]

    def test_reminders_of_an_extended_reservation_follow_its_new_end(self) -> None:
        driver = reserved()
        old = driver.reservation().next_due
        driver.now = old - timedelta(hours=1)
        driver.return_client()

        assert driver.fire_clock(old) == []
        assert driver.reservation().next_due == datetime(2027, 2, 12, tzinfo=MOSCOW)

    @pytest.mark.parametrize("end", ["withdraw", "sell"])
    def test_no_reminder_is_sent_about_a_closed_reservation(self, end: str) -> None:
        driver = reserved()
        due = driver.reservation().next_due
        getattr(driver, end)()

        assert driver.fire_clock(due) == []

    def test_short_term_has_no_reminder_on_or_before_its_first_day(self) -> None:
        driver = DomainDriver(replace(POLICY, term=Term.parse("P7D")))
        driver.confirm()

        assert driver.reservation().next_step == 1

    @given(st.lists(st.integers(0, 400), min_size=1, max_size=30))
    def test_whenever_the_clock_fires_nothing_is_published_early_or_twice(self, hours: list[int]) -> None:
        driver = reserved()
        for step in hours:
            driver.fire_clock(driver.now + timedelta(hours=step * 3))
        driver.fire_clock(driver.reservation().reserved_until + 2 * DAY)

        published = [(type(message).__name__, getattr(message, "days_left", 0)) for message in driver.published]
        assert len(published) == len(set(published))
        assert published[-1] == ("ReservationExpired", 0)


def test_ids_of_events_differ_whatever_follows_from_one_cause() -> None:
    driver = sold()
    driver.claim()
    driver.settle()
    driver.now = driver.reservation().reserved_until + DAY
    driver.cancel_sale(cause=Cause("cause", "correlation"))

    made = [(cause.id, names([message])[0]) for message, cause in zip(driver.published, driver.causes, strict=True)]
    assert len(made) == len(set(made))
