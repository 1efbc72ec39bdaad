"""Quiet hours: which texts are not sent at night, and when they are sent instead."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.notifier.domain.wording import TEXTS


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's settings of quiet hours.

    `quiet` is (begin, end), times of day in `zone`; None switches quiet hours off. `quiet_texts` are names of texts
    that are not sent during quiet hours.
    """

    zone: ZoneInfo
    quiet: tuple[time, time] | None
    quiet_texts: frozenset[str]

    def earliest_send(self, template: str, now: datetime) -> datetime:
        """`now`, or the end of the quiet hours where `now` is inside them and the template belongs to a quiet text.

        Raises KeyError for an unknown template.
        """
        if self.quiet is None or TEXTS[template].name not in self.quiet_texts:
            return now
        (begin, end), local = self.quiet, now.astimezone(self.zone)
        at = local.time()
        is_quiet = begin <= at < end if begin < end else at >= begin or at < end
        if not is_quiet:
            return now
        ends_tomorrow = begin > end and at >= begin
        return datetime.combine(local.date() + timedelta(days=ends_tomorrow), end, self.zone).astimezone(now.tzinfo)
