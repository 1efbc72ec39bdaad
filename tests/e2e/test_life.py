"""The whole life of one client, gateway and reservations together, in any interleaving of their topics."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.e2e.life_machine import LifeMachine


def machine(name: str, examples: int, steps: int) -> Any:
    """Return a test case for a subclass of its own: Hypothesis keeps the settings of one test for each class."""
    subclass: Any = type(name, (LifeMachine,), {})
    test: Any = subclass.TestCase
    test.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    return test


TestLife = machine("Life", 200, 50)


@pytest.mark.long
@pytest.mark.timeout(1200)
class TestLongLife(machine("LongLife", 5000, 60)):  # type: ignore[misc]  # a class that Hypothesis makes
    """The same with more examples and steps."""
