"""The gate to 1C as a whole: throttle, breaker and maintenance together, on a clock that the test moves."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.onec_gateway.onec.errors import INFOBASE_LOCKED, NoAnswer, NotReached, OneCError, Paused, Refused
from services.onec_gateway.onec.gate import Gate
from services.onec_gateway.onec.throttle import Throttle

TIMEOUT = NoAnswer("timeout")
BROKEN = NoAnswer("broken-off")
LOCKED = NotReached(INFOBASE_LOCKED, 403)
NO_LICENCE = NotReached("no-licence", 406)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_locked_infobase_closes_the_gate_at_once_and_a_good_probe_opens_it() -> None:
    clock = Clock(100.0)
    gate = Gate(Throttle(4, 1000.0), clock=clock)

    gate.record(LOCKED, 0.1)
    assert (gate.closed_by, gate.next_probe_at) == (INFOBASE_LOCKED, 160.0)

    clock.now = 160.0
    gate.record_probe(LOCKED)
    assert gate.next_probe_at == 220.0

    gate.record_probe(TIMEOUT)
    assert gate.closed_by == INFOBASE_LOCKED

    gate.record_probe(None)
    assert gate.closed_by is None


def test_later_report_of_1c_replaces_the_earlier_one() -> None:
    gate = Gate(Throttle(4, 1000.0), clock=Clock())

    gate.record(LOCKED, 0.1)
    gate.record(NO_LICENCE, 0.1)
    assert (gate.closed_by, gate.next_probe_at) == ("no-licence", 10.0)

    gate.record(LOCKED, 0.1)
    assert (gate.closed_by, gate.next_probe_at) == (INFOBASE_LOCKED, 60.0)


async def test_held_gate_admits_only_requests_that_ignore_holds() -> None:
    gate = Gate(Throttle(4, 1000.0))
    gate.hold("not-verified")

    with pytest.raises(Paused, match="not-verified"):
        async with gate.admitted():
            pass
    async with gate.admitted(ignore_holds=True):
        assert gate.throttle.in_flight == 1

    gate.release("not-verified")
    async with gate.admitted():
        assert gate.throttle.in_flight == 1


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
def test_never_more_at_once_than_allowed_and_none_while_the_gate_is_closed(
    at_once: int, steps: list[tuple[str, float]]
) -> None:
    clock = Clock()
    throttle = Throttle(at_once, 1000.0)
    gate = Gate(throttle, clock=clock)
    results: dict[str, OneCError | None] = {
        "good": None,
        "timeout": TIMEOUT,
        "broken": BROKEN,
        "locked": LOCKED,
        "refused": Refused("refused"),
    }
    locked_at: float | None = None
    for step, passed in steps:
        clock.now += passed
        if step == "go":
            if gate.pause() is None and throttle.wait_s(clock.now) == 0.0:
                throttle.enter(clock.now)
        elif throttle.in_flight:
            throttle.leave()
            gate.record(results[step], 0.1)
        if gate.closed_by is not None and clock.now >= gate.next_probe_at:
            if gate.closed_by == INFOBASE_LOCKED and locked_at is not None:
                assert clock.now - locked_at >= 60.0
            gate.record_probe(LOCKED if step == "locked" else None)
        locked_at = gate.next_probe_at - 60.0 if gate.closed_by == INFOBASE_LOCKED else None
        assert 0 <= throttle.in_flight <= at_once
        assert 1 <= throttle.limit <= at_once
