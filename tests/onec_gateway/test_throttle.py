"""The throttle: how many requests at the same time, how many a second."""

from services.onec_gateway.onec.errors import NoAnswer
from services.onec_gateway.onec.throttle import Throttle

TIMEOUT = NoAnswer("timeout")


def test_timeouts_halve_the_limit_and_good_answers_restore_it() -> None:
    throttle = Throttle(8, 1000.0)

    throttle.record(TIMEOUT, 60.0)
    throttle.record(TIMEOUT, 60.0)
    assert throttle.limit == 2

    for _ in range(2 + 3 + 4 + 5 + 6 + 7):
        throttle.record(None, 0.1)
    assert throttle.limit == 8


def test_slow_answer_halves_the_limit_although_it_is_good() -> None:
    throttle = Throttle(4, 1000.0)

    throttle.record(None, 11.0)

    assert throttle.limit == 2


def test_no_more_requests_a_second_than_the_rate() -> None:
    throttle, now, sent = Throttle(100, per_second=10), 0.0, []
    while now < 5.0:
        if throttle.wait_s(now) == 0.0:
            throttle.enter(now)
            throttle.leave()
            sent.append(now)
        now += 0.01

    assert all(len([moment for moment in sent if start <= moment < start + 1]) <= 10 for start in sent)
    assert len(sent) >= 49
