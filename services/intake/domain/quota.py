"""How many leads of one partner intake takes per hour and per day, and how many may be open at once.

A lead is open while it is under review or reserved: each lead under review may become a reservation.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QuotaLimits:
    """Limits for one partner: leads taken in an hour, in a day, and leads open at once. 0 is no limit."""

    per_hour: int = 0
    per_day: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """How much of its quota a partner has used when one more of its leads arrives.

    With a limit of n leads an hour, `hour_blocker` is the receipt time of the n-th newest lead: another lead fits the
    quota once that lead is more than an hour old. None: fewer than n leads exist. `day_blocker` is the same for a day.
    `reserved_full`: as many leads are under review or reserved as the limit allows.
    """

    hour_blocker: datetime | None = None
    day_blocker: datetime | None = None
    reserved_full: bool = False

    def refusal(self, now: datetime) -> tuple[str | None, datetime | None]:
        """The code of the refusal, and when another lead fits the quota if that time is known.

        (None, None) when the lead fits.
        """
        for received_at, span in ((self.day_blocker, _DAY), (self.hour_blocker, _HOUR)):
            if received_at is not None and received_at > now - span:
                return "over-quota", min(received_at, now) + span
        return ("over-limit", None) if self.reserved_full else (None, None)
