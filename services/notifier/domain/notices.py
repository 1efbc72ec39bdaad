"""Which text each business event gets, with which values, and until when the text is true."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from contracts.base import ClientMessage
from contracts.reservations import (
    LiveReservation,
    ReservationClosed,
    ReservationExpired,
    ReservationExpiring,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
    RewardAccrued,
    RewardClaimAccepted,
    RewardDeclined,
)
from contracts.verdicts import LeadCheckDelayed, LeadRejected
from services.notifier.domain import wording
from services.notifier.domain.wording import Text

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Notice:
    """The content of an SMS about one event.

    `client` is the sealed client, or "" where the text names no client. `about` is the id of the reward claim, or None
    where the SMS is about the lead. `until` is when the text stops being true, or None where only the text's own
    `valid_for` counts. `order` grows with the events about the same lead or claim; None where it is not known.
    """

    text: Text
    client: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    about: str | None = None
    until: datetime | None = None
    order: int | None = None


def notice_of(event: ClientMessage, zone: ZoneInfo) -> Notice:
    """The content of the SMS about an event; days are counted in `zone`. Raises TypeError for a kind without a text."""
    match event:
        case ReservationOpened():
            return _reserved(wording.CONFIRMED, event, event.reserved_until)
        case ReservationExtended():
            return _reserved(wording.EXTENDED, event, event.reserved_until)
        case ReservationReinstated():
            return _reserved(wording.REINSTATED, event, event.reserved_until)
        case ReservationReopened():
            return _reserved(wording.REOPENED, event, event.reserved_until)
        case ReservationExpiring():
            # «Осталось дней» is true for one day of the builder's calendar.
            last = event.reserved_until.astimezone(zone).date() - timedelta(days=event.days_left - 1)
            until = min(event.reserved_until, datetime.combine(last, time.min, zone).astimezone(UTC))
            return _reserved(wording.EXPIRING, event, until, days=str(event.days_left))
        case ReservationExpired():
            return Notice(wording.EXPIRED, event.client, order=event.history_count)
        case ReservationClosed():
            text = wording.WON if event.outcome == "won" else wording.WITHDRAWN
            return Notice(text, event.client, order=event.history_count)
        case RewardClaimAccepted():
            return _claim(wording.CLAIM_ACCEPTED, event, event.accepted_at)
        case RewardAccrued():
            text = wording.ACCRUED if event.amount > 0 else wording.CORRECTED
            return _claim(text, event, event.accrued_at, amount=f"{event.amount:.2f}", currency=event.currency)
        case RewardDeclined():
            return _claim(wording.DECLINED, event, event.declined_at, reason=wording.short(event.reason))
        case LeadRejected():
            # The realtor's own reservation has a text of its own; all other reasons share one text: an SMS must not
            # show who holds a client, or why the lead was rejected.
            is_own = event.reason == "already-yours"
            return Notice(wording.ALREADY_YOURS if is_own else wording.REJECTED, event.client)
        case LeadCheckDelayed():
            return Notice(wording.DELAYED, event.client)
        case _:
            raise TypeError(f"{type(event).__name__} has no text")


def _reserved(text: Text, event: LiveReservation, until: datetime, **facts: str) -> Notice:
    shown = {"through": wording.day(event.reserved_through), **facts}
    return Notice(text, event.client, shown, until=until, order=event.history_count)


def _claim(
    text: Text, event: RewardClaimAccepted | RewardAccrued | RewardDeclined, at: datetime, **facts: str
) -> Notice:
    shown = {"contract": wording.short(event.contract_number), **facts}
    # Events about a claim have no count; the time of the decision grows with them.
    return Notice(text, "", shown, about=str(event.claim_id), order=(at - _EPOCH) // timedelta(microseconds=1))
