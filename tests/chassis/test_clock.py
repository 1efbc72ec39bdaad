"""The business clock: it moves for all services of a system, forward only, and only where that is allowed."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from chassis.clock import Clock, ClockSettings, advance

MOSCOW = ZoneInfo("Europe/Moscow")


def test_business_time_moves_for_every_process_that_reads_the_clock_file(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    file.write_text('{"shift_seconds": 0}')
    one, other = (Clock(ClockSettings(allow_clock_shift=True, clock_file=file)) for _ in range(2))
    before = one.now()

    advance(file, "P5M23D", MOSCOW)

    assert one.now() - before > timedelta(days=150)
    assert abs(one.now() - other.now()) < timedelta(seconds=1)


def test_a_clock_without_permission_ignores_the_clock_file(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    file.write_text('{"shift_seconds": 999999}')

    assert abs(Clock(ClockSettings(clock_file=file)).now() - datetime.now(UTC)) < timedelta(seconds=1)


@pytest.mark.parametrize(("allowed", "system_runs"), [("false", True), ("true", False)])
def test_moving_the_clock_is_refused_without_permission_or_system(
    tmp_path: Path, allowed: str, system_runs: bool
) -> None:
    file = tmp_path / "clock.json"
    if system_runs:
        file.write_text('{"shift_seconds": 0}')

    done = subprocess.run(
        [sys.executable, "-m", "chassis.clock", "--advance", "P1D"],
        env={"ALLOW_CLOCK_SHIFT": allowed, "CLOCK_FILE": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("refused: ")


@pytest.mark.parametrize("duration", ["tomorrow", "-P1D", ""])
def test_business_time_moves_by_a_duration_and_forward_only(tmp_path: Path, duration: str) -> None:
    file = tmp_path / "clock.json"
    file.write_text('{"shift_seconds": 0}')

    with pytest.raises(ValueError, match=r"duration|forward"):
        advance(file, duration, MOSCOW)
