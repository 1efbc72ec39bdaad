"""When `make bench-compare` calls a figure worse."""

import pytest

from tests.bench.compare import compare


@pytest.mark.parametrize(
    ("before", "after", "more_is_better", "worse"),
    [
        ((100, 100), (98, 98), True, False),  # within 3 %
        ((100, 100), (96, 96), True, True),
        ((100, 100), (104, 104), False, True),  # milliseconds: more is worse
        ((100, 100), (90, 90), False, False),
        ((95, 105), (92, 92), True, False),  # the machine itself varies by 10 %
        ((95, 105), (85, 87), True, True),
    ],
)
def test_a_figure_is_worse_beyond_the_machines_own_spread_and_three_percent(
    before: tuple[float, float], after: tuple[float, float], more_is_better: bool, worse: bool
) -> None:
    assert compare("figure", before, after, more_is_better=more_is_better).is_worse is worse
