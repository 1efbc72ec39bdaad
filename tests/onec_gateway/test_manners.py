"""How 1C is treated: never too many at once, left alone when it is ill, probed gently."""

from datetime import datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.onec_gateway.onec.errors import NoAnswer, NotReached, OneCError, Refused
from services.onec_gateway.onec.manners import FAILURES, MAINTENANCE, Gate, Window, parse_calendar

TIMEOUT = NoAnswer("timeout")
BROKEN = NoAnswer("broken-off")
LOCKED = NotReached(MAINTENANCE, 403)


def gate(at_once: int = 4, per_second: float = 1000.0) -> Gate:
    return Gate(at_once, per_second, 60.0)


def test_timeouts_halve_the_number_and_good_answers_restore_it() -> None:
    one = gate(8)

    one.tell(TIMEOUT, 60.0, 0.0)
    one.tell(TIMEOUT, 60.0, 0.0)
    assert one.allowed == 2

    for _ in range(2 + 3 + 4 + 5 + 6 + 7):
        one.tell(None, 0.1, 1.0)
    assert one.allowed == 8


def test_slow_answer_counts_as_trouble_though_it_is_good() -> None:
    one = gate(4)

    one.tell(None, 11.0, 0.0)

    assert (one.allowed, one.reason) == (2, None)


def test_refusal_of_business_says_that_1c_is_well() -> None:
    one = gate()

    for _ in range(3 * FAILURES):
        one.tell(Refused("refused", 500, "-1"), 0.1, 0.0)

    assert (one.reason, one.allowed) == (None, 4)


def test_maintenance_pauses_at_once_for_a_minute_each_time() -> None:
    one = gate()

    one.tell(LOCKED, 0.1, 100.0)
    assert (one.reason, one.until) == (MAINTENANCE, 160.0)

    one.probed(LOCKED, 160.0)
    assert one.until == 220.0

    one.probed(None, 220.0)
    assert one.reason is None


def test_failures_in_a_row_open_the_breaker_for_longer_each_time() -> None:
    one = gate()
    for _ in range(FAILURES):
        one.tell(BROKEN, 0.1, 0.0)
    pauses = [one.until]

    for _ in range(7):
        now = one.until
        one.probed(BROKEN, now)
        pauses.append(one.until - now)

    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_lock_conflict_is_no_reason_to_leave_1c_alone() -> None:
    one = gate()

    for _ in range(3 * FAILURES):
        one.tell(NotReached("lock-conflict", 500, "-1"), 0.1, 0.0)

    assert one.reason is None


@given(
    st.integers(1, 6),
    st.lists(
        st.tuples(
            st.sampled_from(["go", "good", "timeout", "broken", "locked", "refused"]),
            st.floats(0.0, 5.0),
        ),
        max_size=120,
    ),
)
def test_never_more_at_once_than_allowed_and_none_at_all_while_closed(
    at_once: int, steps: list[tuple[str, float]]
) -> None:
    one, now = gate(at_once), 0.0
    ends: dict[str, OneCError | None] = {
        "good": None,
        "timeout": TIMEOUT,
        "broken": BROKEN,
        "locked": LOCKED,
        "refused": Refused("refused"),
    }
    closed_at: float | None = None
    for step, passed in steps:
        now += passed
        if step == "go":
            if one.reason is None and one.wait_s(now) == 0.0:
                one.enter(now)
        elif one.under_way:
            one.leave()
            one.tell(ends[step], 0.1, now)
        if one.reason is not None and now >= one.until:
            if one.reason == MAINTENANCE and closed_at is not None:
                assert now - closed_at >= 60.0
            one.probed(LOCKED if step == "locked" else None, now)
        closed_at = one.until - 60.0 if one.reason == MAINTENANCE else None
        assert 0 <= one.under_way <= at_once
        assert 1 <= one.allowed <= at_once


def test_no_more_a_second_than_the_rate() -> None:
    one, now, sent = gate(100, per_second=10), 0.0, []
    while now < 5.0:
        if one.wait_s(now) == 0.0:
            one.enter(now)
            one.leave()
            sent.append(now)
        now += 0.01

    assert all(len([moment for moment in sent if start <= moment < start + 1]) <= 10 for start in sent)
    assert len(sent) >= 49


def test_calendar_of_maintenance_is_read_and_kept() -> None:
    nights, saturday = parse_calendar("Mon-Fri 02:00-04:00; Sat 23:30-01:00")

    assert nights == Window(frozenset(range(5)), time(2), time(4))
    assert nights.holds(datetime(2026, 11, 25, 2, 0))
    assert not nights.holds(datetime(2026, 11, 25, 4, 0))
    assert not nights.holds(datetime(2026, 11, 28, 3, 0))
    assert saturday.holds(datetime(2026, 11, 28, 23, 45))
    assert saturday.holds(datetime(2026, 11, 29, 0, 59))
    assert not saturday.holds(datetime(2026, 11, 28, 0, 30))


@pytest.mark.parametrize(
    "wrong", ["Mon 2:00-4:00", "Пн 02:00-04:00", "Mon-Foo 02:00-04:00", "Mon 25:00-26:00", "daily"]
)
def test_calendar_that_cannot_be_read_names_the_part(wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong.split(maxsplit=1)[0]):
        parse_calendar(f"Sun 01:00-02:00; {wrong}")
