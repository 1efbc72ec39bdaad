"""Maintenance stops requests to 1C in the hours of the administrator's calendar and while the infobase is locked."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from datetime import time as time_of_day
from typing import Final

from services.onec_gateway.onec.errors import INFOBASE_LOCKED, NO_LICENCE, OneCError

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW: Final = re.compile(
    r"(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?\s+(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Window:
    """Hours in which 1C is closed on these days of the week (0 is Monday). `end` <= `start` means the next day."""

    days: frozenset[int]
    start: time_of_day
    end: time_of_day

    def contains(self, local: datetime) -> bool:
        """Whether this local time lies in the window; the start belongs to the window, the end does not."""
        now, today = local.time(), local.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= now < self.end
        return (today in self.days and now >= self.start) or ((today - 1) % 7 in self.days and now < self.end)


def parse_calendar(text: str) -> tuple[Window, ...]:
    """The windows of a text such as `Mon-Sun 02:00-04:00; Sat 22:00-23:30`.

    Raises ValueError, which quotes the wrong part of the text.
    """
    windows = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = _WINDOW.fullmatch(part)
        try:
            if match is None:
                raise ValueError
            first = _DAYS.index(match["first"].lower())
            last = _DAYS.index((match["last"] or match["first"]).lower())
            start, end = time_of_day.fromisoformat(match["start"]), time_of_day.fromisoformat(match["end"])
        except ValueError:
            raise ValueError(f"{part!r} is not a window such as Mon-Fri 02:00-04:00") from None
        days = frozenset((first + n) % 7 for n in range((last - first) % 7 + 1))
        windows.append(Window(days, start, end))
    return tuple(windows)


@dataclass(slots=True)
class Maintenance:
    """The planned hours (`calendar`) and the locks that 1C itself reports.

    `local_now` returns the infobase's local time. While the infobase is locked, a separate request (a probe) is sent
    every `probe_every_s` seconds; in the hours of the calendar nothing is sent at all. `locked_until` is the time of
    the next probe in seconds of a monotonic clock, or None while the infobase is not locked.
    """

    calendar: Sequence[Window] = ()
    probe_every_s: float = 60.0
    local_now: Callable[[], datetime] = field(default=datetime.now)
    locked_until: float | None = None

    def is_planned_now(self) -> bool:
        """Whether the calendar closes 1C at this moment."""
        return any(window.contains(self.local_now()) for window in self.calendar)

    def record(self, failure: OneCError | None, now: float) -> None:
        """Note a lock that 1C reports. A report of a missing licence replaces an earlier report of a lock."""
        if failure is None:
            return
        if failure.reason == INFOBASE_LOCKED:
            self.locked_until = now + self.probe_every_s
        elif failure.reason == NO_LICENCE:
            self.locked_until = None
