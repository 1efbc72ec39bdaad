"""Series of document numbers: what a place in a series shows about a document, and what it does not."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.onec_gateway.domain.series import Place, Places, Series, parse, series_of

MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 3, 14, 9, tzinfo=UTC)
MAIN = Series("0000-", 6, 2026)


def test_document_belongs_to_the_series_of_its_prefix_and_of_its_local_year() -> None:
    assert series_of("0000-000123", NOW, MOSCOW) == (MAIN, 123)
    assert series_of("ФР00-000001", datetime(2026, 12, 31, 22, tzinfo=UTC), MOSCOW)[0] == Series("ФР00-", 6, 2027)
    assert series_of("0000-12345", NOW, MOSCOW)[0] == Series("0000-", 5, 2026)
    assert series_of("", datetime.min.replace(tzinfo=UTC), MOSCOW) == (Series("", 0, 1), 0)


@pytest.mark.parametrize("number", ["0000-000123", "ФР00-000001", "7", "без номера"])
def test_series_is_read_from_its_name(number: str) -> None:
    series, _ = series_of(number, NOW, MOSCOW)

    assert parse(series.name) == series


def test_only_a_higher_number_of_the_same_series_was_not_there() -> None:
    places = Places(MOSCOW, {MAIN: Place(9, NOW)})

    assert places.absent_at("0000-000010", NOW) == NOW
    assert places.absent_at("0000-000009", NOW) is None
    assert places.absent_at("ФР00-000010", NOW) is None
    assert places.absent_at("0000-000010", NOW - timedelta(days=365)) is None
    assert places.absent_at("10", NOW) is None


def test_number_that_was_typed_too_high_and_corrected_hides_no_later_number() -> None:
    places = Places(MOSCOW, {MAIN: Place(900, NOW + timedelta(minutes=5))})

    places.settle({MAIN: 12}, NOW)

    assert places.by_series[MAIN] == Place(12, NOW)


def test_complete_read_does_not_take_back_what_a_later_read_showed() -> None:
    later = NOW + timedelta(minutes=5)
    places = Places(MOSCOW, {MAIN: Place(12, later)})

    places.settle({MAIN: 12}, NOW)

    assert places.by_series[MAIN] == Place(12, later)


def test_series_of_older_years_are_left_to_the_complete_reads() -> None:
    old, last = Series("0000-", 6, 2024), Series("0000-", 6, 2025)
    places = Places(MOSCOW, dict.fromkeys((old, last, MAIN), Place(1, NOW)))

    assert places.recent(NOW) == [MAIN, last]
