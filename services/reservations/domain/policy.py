"""The builder's configurable rules."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.reservations.domain.recorder import Recorder, recorder_of
from services.reservations.domain.terms import Term


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator configures about reservations.

    `term`: how long a reservation lasts; `zone`: the builder's time zone. `history_key`: the key of the history hashes.
    `reminders`: how many days before the end the partner is reminded. `extension_limit`: how often a client may be
    returned; None for no limit. `extension_window`: how long before its end a live reservation may be extended; None
    for any time. `withdraw_within`: how long after the confirmation the partner may withdraw a lead by itself.
    `sale_grace`: how long after the end of a reservation the news of a sale inside it still counts. `claim_waits`: how
    long a reward claim waits for the news of its sale.
    """

    term: Term
    zone: ZoneInfo
    history_key: bytes
    reminders: tuple[int, ...] = (30, 7, 1)
    extension_limit: int | None = None
    extension_window: timedelta | None = None
    withdraw_within: timedelta = timedelta(hours=24)
    sale_grace: timedelta = timedelta(days=30)
    claim_waits: timedelta = timedelta(days=14)

    def local_day(self, moment: datetime) -> date:
        """Return the day of `moment` in the builder's time zone."""
        return moment.astimezone(self.zone).date()

    def recorder(self, now: datetime) -> Recorder:
        """Return the recorder of the decisions that are made at `now`."""
        return recorder_of(now, self.history_key)
