"""State, inputs and limits of the notifier. One SMS is one text for one partner about one business event."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from contracts.base import PartnerStatus
from services.notifier.domain.answers import ProviderOutcome, SettledStatus
from services.notifier.domain.wording import TEXTS, Text

SMS: Final = "sms"
"""Kind of the work rows; each row is one call to an SMS provider."""

SUPERSEDED: Final = "superseded"
"""Reason of a dropped SMS: a later event made its text untrue."""
TOO_LATE: Final = "too-late"
"""Reason of a dropped SMS: its `valid_until` has passed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many SMS one recipient gets at most, per hour and per day. 0 means no limit."""

    per_hour: int = 0
    per_day: int = 0


@dataclass(frozen=True, slots=True)
class PartnerState:
    """A partner who receives SMS. `person` (name and phone) stays sealed until the SMS is sent."""

    partner_id: str
    person: str
    status: PartnerStatus


@dataclass(frozen=True, slots=True)
class Sms:
    """One SMS about one business event, or a repeat of it that an operator ordered (`resend_of`).

    `client` is the sealed client, or "" where the text names no client. `facts` are the other values in the text.
    `about` is the id of the lead or of the reward claim that the text is about: a later event about the same id makes
    an unsent SMS untrue, and `obsolete` then holds the reason. `place` is the number of this SMS among all SMS about
    the client. `event_order` is the order of its event among the events about the same lead or claim, None where that
    is not known. `calls` is how many work rows were made for it. All times are business time.
    """

    message_id: UUID
    lead_id: UUID
    client_key: str
    partner_id: str
    template: str
    client: str
    facts: Mapping[str, str]
    about: str
    place: int
    correlation: str
    created_at: datetime
    due_at: datetime
    valid_until: datetime
    status: Literal["scheduled", "waiting"] | SettledStatus = "waiting"
    calls: int = 0
    obsolete: str | None = None
    provider: str | None = None
    detail: str | None = None
    settled_at: datetime | None = None
    resend_of: UUID | None = None
    resent_by: str | None = None
    resent_why: str | None = None
    event_order: int | None = None

    @property
    def text(self) -> Text:
        return TEXTS[self.template]

    def is_later(self, other: "Sms") -> bool:
        """Whether the event of this SMS happened after that of `other`, which is about the same lead or claim."""
        if self.event_order is None or other.event_order is None:
            return self.place > other.place
        return self.event_order > other.event_order

    def drop_reason(self, now: datetime) -> str | None:
        """`superseded` or `too-late` if the SMS must not be sent any more, otherwise None."""
        return self.obsolete or (TOO_LATE if now >= self.valid_until else None)


@dataclass(frozen=True, slots=True)
class ClientState:
    """All SMS about one client, in the order in which their events were handled."""

    messages: tuple[Sms, ...] = ()

    def find(self, message_id: UUID) -> Sms | None:
        return next((sms for sms in self.messages if sms.message_id == message_id), None)

    def put(self, *messages: Sms) -> "ClientState":
        """A copy in which the given SMS replace those of the same id; SMS with a new id are added at the end."""
        changed = {sms.message_id: sms for sms in messages}
        kept = tuple(changed.pop(sms.message_id, sms) for sms in self.messages)
        return ClientState((*kept, *changed.values()))

    def unsettled(self, about: str) -> Iterator[Sms]:
        """The SMS about this lead or claim whose outcome is not known yet. One in status `waiting` may be out."""
        return (sms for sms in self.messages if sms.about == about and sms.status in ("scheduled", "waiting"))


@dataclass(frozen=True, slots=True)
class SmsDue:
    """Input of the timer: `due_at` of a scheduled SMS has come."""

    message_id: UUID


@dataclass(frozen=True, slots=True)
class SmsPostponed:
    """Input of the worker: the SMS was not sent now, and must not be sent before `until`."""

    message_id: UUID
    until: datetime


@dataclass(frozen=True, slots=True)
class SmsSettled:
    """Input of the worker: the SMS needs no more calls.

    `provider` is "" where none was called. `detail` is the provider's code, or the reason of a drop.
    """

    message_id: UUID
    status: SettledStatus
    provider: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class SmsReported:
    """Input of the delivery reports and of the status polling: the provider's latest outcome of an SMS."""

    message_id: UUID
    provider: str
    outcome: ProviderOutcome
    code: str


@dataclass(frozen=True, slots=True)
class Resend:
    """Input of an operator's command: send the SMS once more. `who` made the decision, and `why`."""

    message_id: UUID
    who: str
    why: str


def message_id_of(ref: str) -> UUID:
    """The id of the SMS that a work row sends. `ref` is the row's reference, `<message id>.<number of the call>`."""
    return UUID(ref.partition(".")[0])
