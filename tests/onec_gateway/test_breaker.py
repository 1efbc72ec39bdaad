"""The circuit breaker: opens when 1C fails again and again, and probes ever more rarely."""

from services.onec_gateway.onec.breaker import FAILURES_TO_OPEN, Breaker
from services.onec_gateway.onec.errors import NoAnswer, NotReached, Refused
from services.onec_gateway.onec.gate import Gate
from services.onec_gateway.onec.throttle import Throttle

BROKEN = NoAnswer("broken-off")


def test_failures_in_a_row_open_the_breaker_for_longer_each_time() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        breaker.record(BROKEN, 0.0)
    pauses = [breaker.until]

    for _ in range(7):
        now = breaker.until
        breaker.record_probe(BROKEN, now)
        pauses.append(breaker.until - now)

    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_good_answer_in_between_starts_the_count_again() -> None:
    breaker = Breaker()

    for failure in ([BROKEN] * (FAILURES_TO_OPEN - 1) + [None]) * 3:
        breaker.record(failure, 0.0)

    assert breaker.reason is None


def test_missing_licence_opens_the_breaker_at_once() -> None:
    breaker = Breaker()

    breaker.record(NotReached("no-licence", 406), 100.0)

    assert (breaker.reason, breaker.until) == ("no-licence", 110.0)


def test_refusal_by_the_rules_of_1c_shows_that_1c_is_well() -> None:
    gate = Gate(Throttle(4, 1000.0))

    for _ in range(3 * FAILURES_TO_OPEN):
        gate.record(Refused("refused", 500, "-1"), 0.1)

    assert (gate.closed_by, gate.throttle.limit) == (None, 4)


def test_lock_conflict_does_not_open_the_breaker() -> None:
    gate = Gate(Throttle(4, 1000.0))

    for _ in range(3 * FAILURES_TO_OPEN):
        gate.record(NotReached("lock-conflict", 500, "-1"), 0.1)

    assert gate.closed_by is None
