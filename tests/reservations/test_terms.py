"""The builder's calendar."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from services.reservations.domain.terms import Term
from tests.reservations.driver import MOSCOW, NOON

SIX_MONTHS = Term.parse("P6M")
ZONES = ("Europe/Moscow", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Beirut", "Asia/Kolkata")
anchors = st.datetimes(datetime(2005, 1, 1), datetime(2045, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("confirmed_on", "through"),
    [
        (datetime(2026, 8, 31, 12, tzinfo=MOSCOW), date(2027, 2, 28)),
        (datetime(2027, 8, 31, 12, tzinfo=MOSCOW), date(2028, 2, 29)),
        (datetime(2026, 12, 31, 23, 59, tzinfo=MOSCOW), date(2027, 6, 30)),
        # Half past midnight in Moscow is the day before in UTC: the builder's day counts.
        (datetime(2026, 3, 14, 21, 30, tzinfo=UTC), date(2026, 9, 15)),
    ],
)
def test_term_ends_on_the_builders_calendar(confirmed_on: datetime, through: date) -> None:
    assert SIX_MONTHS.end(confirmed_on, MOSCOW)[0] == through


@given(anchor=anchors, months=st.integers(1, 60), zone=st.sampled_from(ZONES))
def test_reservation_lives_through_the_whole_of_its_last_day(anchor: datetime, months: int, zone: str) -> None:
    local = ZoneInfo(zone)

    through, until = Term.parse(f"P{months}M").end(anchor, local)

    assert (until - timedelta(microseconds=1)).astimezone(local).date() == through
    assert until.astimezone(UTC).astimezone(local).date() == through + timedelta(days=1)


@given(anchor=anchors, times=st.integers(1, 8), zone=st.sampled_from(ZONES))
def test_terms_are_counted_from_the_anchor_as_in_dateutil(anchor: datetime, times: int, zone: str) -> None:
    day = anchor.astimezone(ZoneInfo(zone)).date()

    assert SIX_MONTHS.end(anchor, ZoneInfo(zone), times)[0] == day + relativedelta(months=6 * times)


def test_where_clocks_skip_midnight_the_term_ends_at_the_change() -> None:
    zone = ZoneInfo("America/Sao_Paulo")

    _, until = Term.parse("P1D").end(datetime(2017, 10, 13, 15, tzinfo=UTC), zone)

    assert until == datetime(2017, 10, 15, 3, tzinfo=UTC)
    assert until.astimezone(UTC).astimezone(zone) == datetime(2017, 10, 15, 1, tzinfo=zone)


def test_where_midnight_comes_twice_the_term_ends_at_the_first() -> None:
    zone = ZoneInfo("America/Havana")

    _, until = Term.parse("P1D").end(datetime(2025, 10, 31, 15, tzinfo=UTC), zone)

    assert until == datetime(2025, 11, 2, 4, tzinfo=UTC)


def test_term_in_minutes_is_not_rounded_to_a_day() -> None:
    assert Term.parse("PT2M").end(NOON, MOSCOW)[1] == NOON + timedelta(minutes=2)
    assert Term.parse("PT2M").end(NOON, MOSCOW, 2)[1] == NOON + timedelta(minutes=4)


@pytest.mark.parametrize("text", ["", "six months", "P0D", "-P6M", "6", "P1MT2H"])
def test_text_that_is_not_a_positive_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer|both"):
        Term.parse(text)
