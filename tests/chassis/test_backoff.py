"""The backoff: doubled after each attempt, limited, with jitter."""

from hypothesis import given
from hypothesis import strategies as st

from chassis.backoff import backoff_s

first = st.floats(min_value=0.01, max_value=10)
longest = st.floats(min_value=10, max_value=3600)


@given(st.integers(min_value=1, max_value=10_000), first, longest)
def test_a_pause_is_doubled_each_attempt_up_to_its_limit_within_half(
    attempt: int, first_s: float, at_most_s: float
) -> None:
    expected_s = min(at_most_s, first_s * 2.0 ** min(attempt - 1, 100))

    assert 0.5 * expected_s <= backoff_s(attempt, first_s, at_most_s) <= 1.5 * expected_s


@given(st.integers(min_value=1, max_value=10_000), first, longest)
def test_processes_that_fail_together_do_not_retry_together(attempt: int, first_s: float, at_most_s: float) -> None:
    assert len({backoff_s(attempt, first_s, at_most_s) for _ in range(5)}) > 1
