"""The business clock of all services of a system. A test or a demonstration can shift it for all of them at once.

Business time is used for decisions, terms and quiet hours. Leases, backoff and quotas use real time.
"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import isodate
import typer
from pydantic_settings import BaseSettings


class ClockSettings(BaseSettings):
    """`ALLOW_CLOCK_SHIFT` is for tests and demonstrations only. All services of a system share one `CLOCK_FILE`."""

    allow_clock_shift: bool = False
    clock_file: Path = Path(".local/clock.json")
    clock_time_zone: str = "Europe/Moscow"


class Clock:
    """`now()` is real time; where shifting is allowed, real time plus the shift in the clock file."""

    def __init__(self, settings: ClockSettings | None = None) -> None:
        settings = settings or ClockSettings()
        self._file = settings.clock_file if settings.allow_clock_shift else None
        self._stamp: tuple[int, int] | None = None
        self._shift = timedelta(0)

    def now(self) -> datetime:
        """Business time, UTC, never naive."""
        return datetime.now(UTC) + self._current_shift()

    def _current_shift(self) -> timedelta:
        if self._file is None:
            return timedelta(0)
        try:
            stat = self._file.stat()
        except OSError:
            return self._shift
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            self._shift = read_shift(self._file)
            self._stamp = stamp
        return self._shift


def read_shift(file: Path) -> timedelta:
    """How far business time is ahead of real time, according to the clock file."""
    return timedelta(seconds=json.loads(file.read_text())["shift_seconds"])


def advance(file: Path, duration: str, zone: ZoneInfo) -> datetime:
    """Advance business time by an ISO 8601 duration, with months counted in `zone`. Returns the new business time.

    Raises ValueError for a text that is not a duration or is negative, and FileNotFoundError without a clock file: then
    no running system allows the shift.
    """
    shift = read_shift(file)
    try:
        step = isodate.parse_duration(duration)
    except isodate.ISO8601Error:
        raise ValueError(f"{duration!r} is not an ISO 8601 duration such as P5M23D or PT2H") from None
    now = datetime.now(UTC) + shift
    local = now.astimezone(zone).replace(tzinfo=None) + step
    moved: datetime = local.replace(tzinfo=zone).astimezone(UTC)
    if moved < now:
        raise ValueError("business time only moves forward")
    replacement = file.with_suffix(f".{os.getpid()}.tmp")
    replacement.write_text(json.dumps({"shift_seconds": (shift + (moved - now)).total_seconds()}))
    replacement.replace(file)
    return moved


def main(
    advance_by: Annotated[str, typer.Option("--advance", help="ISO 8601 duration, for example P5M23D")],
) -> None:
    """Advance business time in all services of the system that uses this clock file."""
    settings = ClockSettings()
    if not settings.allow_clock_shift:
        sys.exit("refused: the clock may be shifted only with ALLOW_CLOCK_SHIFT=true (tests and demonstrations)")
    try:
        moved = advance(settings.clock_file, advance_by, ZoneInfo(settings.clock_time_zone))
    except FileNotFoundError:
        sys.exit(f"refused: no running system allows a clock shift (there is no clock file {settings.clock_file})")
    except ValueError as error:
        sys.exit(f"refused: {error}")
    print(moved.isoformat())


if __name__ == "__main__":
    typer.run(main)
