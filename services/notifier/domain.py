"""Who is told what, once; and what may be done about a message that may or may not have gone out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from chassis.decision import Cause, Decision, Event, Task, derived_id
from contracts.message import ClientMessage, PartnerStatus
from contracts.messages import SmsStatus
from contracts.partners import Partner
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.verdicts import LeadRejected
from services.notifier import texts

SMS = "sms"
"""The kind of work."""

Settled = Literal["sent", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Recipient:
    """A partner who may be told something. `person` stays sealed until the moment of sending."""

    partner_id: str
    person: str
    status: PartnerStatus


@dataclass(frozen=True, slots=True)
class Message:
    """One SMS about one business event. `client` stays sealed; `through` is the date in the text, if it has one."""

    message_id: UUID
    lead_id: UUID
    client_key: str
    partner_id: str
    template: str
    client: str
    through: date | None
    created_at: datetime
    status: Literal["waiting"] | Settled = "waiting"
    provider: str | None = None
    detail: str | None = None
    settled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """All that was ever said about one client."""

    messages: tuple[Message, ...] = ()

    def find(self, message_id: UUID) -> Message | None:
        return next((one for one in self.messages if one.message_id == message_id), None)

    def put(self, message: Message) -> "Client":
        return Client((*(one for one in self.messages if one.message_id != message.message_id), message))


@dataclass(frozen=True, slots=True)
class SmsSettled:
    """A message needs no more calls: the provider took it, turned it down, or nobody can tell."""

    message_id: UUID
    status: Settled
    provider: str
    detail: str | None = None


def partner_changed(known: Recipient | None, partner: Partner, _: Cause, __: datetime) -> Decision[Recipient | None]:
    """The newest word on a partner counts. The topic keeps one partner's words in order."""
    newest = Recipient(partner.partner_id, partner.person, partner.status)
    return Decision(known if known == newest else newest)


def reservation_opened(client: Client, event: ReservationOpened, cause: Cause, now: datetime) -> Decision[Client]:
    """Confirmed means reserved: the realtor is told on this event, not on the verdict."""
    return _tell(client, event, event.client, texts.CONFIRMED, cause, now, through=event.reserved_through)


def reservation_expired(client: Client, event: ReservationExpired, cause: Cause, now: datetime) -> Decision[Client]:
    """The term is over and the client is the builder's."""
    return _tell(client, event, event.client, texts.EXPIRED, cause, now)


def lead_rejected(client: Client, event: LeadRejected, cause: Cause, now: datetime) -> Decision[Client]:
    """One public reason for whatever is not the realtor's own: an SMS never tells who holds a client, or why."""
    template = texts.ALREADY_YOURS if event.reason == "already-yours" else texts.REJECTED
    return _tell(client, event, event.client, template, cause, now)


def sms_settled(client: Client, outcome: SmsSettled, _: Cause, now: datetime) -> Decision[Client]:
    """The outcome of a message is told once; what is settled stays as it is."""
    message = client.find(outcome.message_id)
    if message is None or message.status != "waiting":
        return Decision(client)
    settled = replace(message, status=outcome.status, provider=outcome.provider, detail=outcome.detail, settled_at=now)
    status = SmsStatus(
        lead_id=message.lead_id,
        client_key=message.client_key,
        partner_id=message.partner_id,
        message_id=message.message_id,
        template=message.template,
        status=outcome.status,
        provider=outcome.provider,
        at=now,
        detail=outcome.detail,
    )
    return Decision(client.put(settled), (Event(status),))


def _tell(
    client: Client,
    event: ClientMessage,
    sealed: str,
    template: str,
    cause: Cause,
    now: datetime,
    through: date | None = None,
) -> Decision[Client]:
    # Derived from the event, so that the event read again, after a restore too, is the same message.
    message_id = derived_id(cause.id, template)
    if client.find(message_id) is not None:
        return Decision(client)
    message = Message(
        message_id=message_id,
        lead_id=event.lead_id,
        client_key=event.client_key,
        partner_id=event.partner_id,
        template=template,
        client=sealed,
        through=through,
        created_at=now,
    )
    ids = {"lead_id": str(event.lead_id), "partner_id": event.partner_id}
    return Decision(client.put(message), tasks=(Task(SMS, str(message_id), ids),))


# --- a provider's answers, and what follows from them ---


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has taken the message."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will never send this message."""

    code: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """Turned down as a repeat of something sent within the last minute, or as one request too many at once."""

    code: str


@dataclass(frozen=True, slots=True)
class Barred:
    """Nothing goes through this provider until a person acts: money, password, address."""

    code: str


@dataclass(frozen=True, slots=True)
class Unreached:
    """The request never left: no connection could be made."""

    reason: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The request left and no answer that can be trusted came: it may have taken effect."""

    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """The provider knows the message. `undeliverable`: and has given up on it."""

    code: str
    undeliverable: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """The provider knows no such message, or not yet."""


@dataclass(frozen=True, slots=True)
class NoWord:
    """The provider could not be asked, or answered nothing that can be trusted."""

    reason: str


SendAnswer = Accepted | Refused | Repeated | Barred | Unreached | InDoubt
LookAnswer = Found | Missing | NoWord | Barred


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that may have taken effect, the last of `sends`: made `age_s` ago, looked for `looks` times, the last
    `missing` of them in vain."""

    age_s: float
    looks: int = 0
    missing: int = 0
    sends: int = 1


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a message in doubt is looked for.

    `waits_s` are the pauses before each look: twelve looks in about six hours, and no more than three in any minute
    (SMSC answers five). A message is sent again, under the same id, only when at least `missing_looks` looks in a
    row did not find it and more than `resend_after_s` passed since the attempt. After the last look it is `unknown`.
    """

    waits_s: tuple[float, ...] = (5, 15, 30, 30, 60, 120, 300, 600, 1800, 3600, 7200, 7200)
    missing_looks: int = 2
    resend_after_s: float = 60


@dataclass(frozen=True, slots=True)
class Settle:
    """Nothing more to be done about the message."""

    status: Settled
    detail: str | None


@dataclass(frozen=True, slots=True)
class SendAgain:
    """It is as sure as it can be that the message did not get there."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Still in doubt."""

    after_s: float


def after_look(
    answer: Found | Missing | NoWord, attempt: Attempt, patience: Patience
) -> Settle | SendAgain | LookAgain:
    """What follows from a look that `attempt` already counts. Sending again is never a guess."""
    if isinstance(answer, Found):
        return Settle("failed" if answer.undeliverable else "sent", answer.code)
    if attempt.looks >= len(patience.waits_s):
        return Settle("unknown", "not-resolved")
    if (
        isinstance(answer, Missing)
        and attempt.missing >= patience.missing_looks
        and attempt.age_s > patience.resend_after_s
    ):
        return SendAgain()
    return LookAgain(patience.waits_s[attempt.looks])


def looked(attempt: Attempt, answer: LookAnswer) -> Attempt:
    """The attempt with one more look counted; one that could not ask leaves the row of misses as it is."""
    missing: Mapping[type, int] = {Missing: attempt.missing + 1, NoWord: attempt.missing}
    return replace(attempt, looks=attempt.looks + 1, missing=missing.get(type(answer), 0))
