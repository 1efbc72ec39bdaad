"""The simulator's clock: real time, its own shift, and the product's demonstration clock."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any


class SimClock:
    """Real time moved by `/__sim/clock` and by the file named in `CLOCK_FILE`, if it is there."""

    def __init__(self, clock_file: str | None = None) -> None:
        name = clock_file if clock_file is not None else os.environ.get("CLOCK_FILE", "")
        self._file = Path(name) if name else None
        self.shift = timedelta()

    def _demonstration_shift(self) -> timedelta:
        # The file belongs to another process: absent or half-written means "no shift", never a failure.
        if self._file is None:
            return timedelta()
        try:
            return timedelta(seconds=float(json.loads(self._file.read_text())["shift_seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            return timedelta()

    def now(self) -> datetime:
        """The present moment as this system sees it, in UTC."""
        return datetime.now(UTC) + self.shift + self._demonstration_shift()

    def reset(self) -> None:
        """Forget this system's own shift; the demonstration clock is not ours to reset."""
        self.shift = timedelta()

    def apply(self, order: Mapping[str, Any], zone: tzinfo = UTC) -> None:
        """Carry out `{"now": …}` or `{"advance_seconds": n}`; a moment without offset is in `zone`."""
        if "now" in order:
            self.shift += parse_moment(str(order["now"]), zone) - self.now()
        elif "advance_seconds" in order:
            self.shift += timedelta(seconds=float(order["advance_seconds"]))
        else:
            raise ValueError('expected "now" or "advance_seconds"')


def parse_moment(text: str, zone: tzinfo) -> datetime:
    """An aware moment from ISO 8601 text; without an offset it is local time in `zone`."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
