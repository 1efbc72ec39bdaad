"""Exponential backoff with jitter: the only one in the project."""

import random

_MAX_DOUBLINGS = 20


def backoff_s(attempt: int, first_s: float, at_most_s: float) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1).

    `first_s` after the first attempt, doubled after each further one, at most `at_most_s`; then multiplied by a random
    factor of 0.5 to 1.5, so that processes that failed together do not retry together.
    """
    doublings = min(attempt - 1, _MAX_DOUBLINGS)
    return min(at_most_s, first_s * float(2**doublings)) * random.uniform(0.5, 1.5)
