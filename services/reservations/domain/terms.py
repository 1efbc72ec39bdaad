"""The builder's calendar: when a reservation ends and when its reminders are due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import isodate

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Term:
    """How long a reservation lasts: a number of whole calendar units or, for a demonstration, an exact duration.

    `text` is the ISO 8601 duration as it was configured, such as `P6M`; `length` is its parsed value.
    """

    text: str
    length: isodate.Duration | timedelta

    @classmethod
    def parse(cls, text: str) -> "Term":
        """Parse an ISO 8601 duration. Raises ValueError if the text is not a duration or the duration is not
        positive."""
        try:
            length = isodate.parse_duration(text)
        except (isodate.ISO8601Error, TypeError):
            raise ValueError(f"{text!r} is not an ISO 8601 duration such as P6M or PT2M") from None
        if datetime(2000, 1, 1) + length <= datetime(2000, 1, 1):
            raise ValueError("a term must be longer than zero")
        if isinstance(length, isodate.Duration) and length.tdelta % _DAY:
            raise ValueError("a term has calendar months or hours, not both")
        return cls(text, length)

    def end(self, anchor: datetime, zone: ZoneInfo, times: int = 1) -> tuple[date, datetime]:
        """Return the last local day of a reservation and the first instant (UTC) after it, `times` terms after
        `anchor`.

        Calendar units are counted from the anchor's local day and clamped to the end of the month: 31 August plus
        6 months is the last day of February, plus 12 months is 31 August again. The term includes the whole of its
        last local day. Where a clock change skips midnight, the term ends at the instant of the change; where
        midnight occurs twice, the term ends at the first.
        """
        if isinstance(self.length, timedelta) and self.length % _DAY:
            until = anchor + self.length * times
            return (until - timedelta(microseconds=1)).astimezone(zone).date(), until
        through: date = anchor.astimezone(zone).date() + self.length * times
        return through, midnight(through + _DAY, zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant of a local day, in UTC.

    In UTC, because Python compares two moments of one zone by their wall clocks, which is wrong around a clock change.
    """
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def next_reminder(
    thresholds: Sequence[int], until: datetime, zone: ZoneInfo, *, after: date, today: date, previous: int | None
) -> tuple[datetime, int] | None:
    """Return when the next reminder of a reservation that ends at `until` is due, and how many days are left then.

    `thresholds` are numbers of days before the last day of the reservation. A reminder belongs to one local day. None
    is returned if no reminder is left: reminders due on or before the day `after` (on which the term was set), due
    before `today`, or with at least `previous` days left (already sent or dropped) are skipped.
    """
    last = (until - timedelta(microseconds=1)).astimezone(zone).date()
    for left in sorted(thresholds, reverse=True):
        day = last - timedelta(days=left)
        if day > after and day >= today and (previous is None or left < previous):
            return midnight(day, zone), left
    return None
