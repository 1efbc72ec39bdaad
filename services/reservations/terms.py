"""The builder's calendar: when a reservation ends, and when it is reminded of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import isodate

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Term:
    """How long a reservation lasts: whole calendar units, or, for a demonstration, an exact duration."""

    length: isodate.Duration | timedelta

    @classmethod
    def parse(cls, text: str) -> "Term":
        """From ISO 8601. Raises ValueError for a text that is no duration, or not a positive one."""
        try:
            length = isodate.parse_duration(text)
        except (isodate.ISO8601Error, TypeError):
            raise ValueError(f"{text!r} is not an ISO 8601 duration such as P6M or PT2M") from None
        if datetime(2000, 1, 1) + length <= datetime(2000, 1, 1):
            raise ValueError("a term must be longer than nothing")
        if isinstance(length, isodate.Duration) and length.tdelta % _DAY:
            raise ValueError("a term has calendar months or hours, not both")
        return cls(length)

    def end(self, anchor: datetime, zone: ZoneInfo, times: int = 1) -> tuple[date, datetime]:
        """The last day, and the first instant after the reservation, `times` terms after the anchor.

        Calendar units count from the anchor's local day, clamped to the month's end (31 August + 6 months is the
        last day of February, + 12 months the 31st of August again), and the whole of the last local day belongs to
        the term. Where clocks skip midnight, it ends as they skip; where midnight comes twice, at the first.
        """
        if isinstance(self.length, timedelta) and self.length % _DAY:
            until = anchor + self.length * times
            return (until - timedelta(microseconds=1)).astimezone(zone).date(), until
        through: date = anchor.astimezone(zone).date() + self.length * times
        return through, midnight(through + _DAY, zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC: where clocks are moved, moments of a zone do not compare."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def reminder_before(
    days: Sequence[int], until: datetime, zone: ZoneInfo, *, after: date, today: date, told: int | None
) -> tuple[datetime, int] | None:
    """The next reminder of a reservation that ends at `until`: when, and how many days are left then.

    Each belongs to one local day. Not before or on the day `after`, on which the term was set, nor for a day that is
    past, nor one of `told` days left or more, which was dealt with.
    """
    last = (until - timedelta(microseconds=1)).astimezone(zone).date()
    for left in sorted(days, reverse=True):
        day = last - timedelta(days=left)
        if day > after and day >= today and (told is None or left < told):
            return midnight(day, zone), left
    return None
