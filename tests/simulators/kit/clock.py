"""The simulator's clock: real time plus its own shift and the shift of the product's demonstration clock."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any


class SimClock:
    """Real time, shifted by `/__sim/clock` and by the file named in `CLOCK_FILE`, if that file exists."""

    def __init__(self, clock_file: str | None = None) -> None:
        name = clock_file if clock_file is not None else os.environ.get("CLOCK_FILE", "")
        self._file = Path(name) if name else None
        self.shift = timedelta()

    def _demonstration_shift(self) -> timedelta:
        # Another process writes the file: a missing or half-written file means no shift and is no failure.
        if self._file is None:
            return timedelta()
        try:
            return timedelta(seconds=float(json.loads(self._file.read_text())["shift_seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            return timedelta()

    def now(self) -> datetime:
        """The shifted time, in UTC."""
        return datetime.now(UTC) + self.shift + self._demonstration_shift()

    def reset(self) -> None:
        """Remove the simulator's own shift. The shift of the demonstration clock stays."""
        self.shift = timedelta()

    def apply(self, body: Mapping[str, Any], zone: tzinfo = UTC) -> None:
        """Shift the clock by `{"now": …}` or `{"advance_seconds": n}`.

        A moment without an offset is local time in `zone`. Raises ValueError for any other body.
        """
        if "now" in body:
            self.shift += parse_moment(str(body["now"]), zone) - self.now()
        elif "advance_seconds" in body:
            self.shift += timedelta(seconds=float(body["advance_seconds"]))
        else:
            raise ValueError('expected "now" or "advance_seconds"')


def parse_moment(text: str, zone: tzinfo) -> datetime:
    """An aware datetime from ISO 8601 text. Text without an offset is local time in `zone`. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
