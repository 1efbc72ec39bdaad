"""Maintenance of 1C: the administrator's calendar."""

from datetime import datetime, time

import pytest

from services.onec_gateway.onec.gate import Gate
from services.onec_gateway.onec.maintenance import Maintenance, Window, parse_calendar
from services.onec_gateway.onec.throttle import Throttle


def test_calendar_of_maintenance_is_read_and_kept() -> None:
    nights, saturday = parse_calendar("Mon-Fri 02:00-04:00; Sat 23:30-01:00")

    assert nights == Window(frozenset(range(5)), time(2), time(4))
    assert nights.contains(datetime(2026, 11, 25, 2, 0))
    assert not nights.contains(datetime(2026, 11, 25, 4, 0))
    assert not nights.contains(datetime(2026, 11, 28, 3, 0))
    assert saturday.contains(datetime(2026, 11, 28, 23, 45))
    assert saturday.contains(datetime(2026, 11, 29, 0, 59))
    assert not saturday.contains(datetime(2026, 11, 28, 0, 30))


@pytest.mark.parametrize(("hour", "reason"), [(1, None), (3, "calendar")])
def test_no_request_is_admitted_in_the_hours_of_the_calendar(hour: int, reason: str | None) -> None:
    calendar = parse_calendar("Mon-Sun 02:00-04:00")
    maintenance = Maintenance(calendar, local_now=lambda: datetime(2026, 11, 25, hour, 30))

    pause = Gate(Throttle(4, 1000.0), maintenance=maintenance).pause()

    assert (pause.reason if pause is not None else None) == reason


@pytest.mark.parametrize(
    "wrong", ["Mon 2:00-4:00", "Пн 02:00-04:00", "Mon-Foo 02:00-04:00", "Mon 25:00-26:00", "daily"]
)
def test_calendar_that_cannot_be_read_names_the_wrong_part(wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong.split(maxsplit=1)[0]):
        parse_calendar(f"Sun 01:00-02:00; {wrong}")
