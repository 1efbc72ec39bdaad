"""Who is told what, once; when it may be said, and until when it is true."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from chassis.decision import Cause, Decision, Event, Task, derived_id
from contracts.base import ClientMessage, PartnerStatus
from contracts.partners import Partner
from contracts.reservations import (
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
from contracts.sms import SmsOutcome, SmsStatus
from contracts.verdicts import LeadCheckDelayed, LeadRejected
from services.notifier import texts
from services.notifier.answers import Outcome, Settled
from services.notifier.texts import TEXTS, Text

SMS = "sms"
"""The kind of work."""

SUPERSEDED: Final = "superseded"
TOO_LATE: Final = "too-late"
# How much is known of a message's fate. Reports come late, doubled and out of order: none takes anything back.
_KNOWN: Final = {"scheduled": 0, "waiting": 0, "unknown": 1, "sent": 2, "delivered": 3, "failed": 3, "dropped": 3}


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's settings. Between the two `quiet` times of the builder's `zone` the texts named in `quiet_texts`
    wait for the morning."""

    zone: ZoneInfo
    quiet: tuple[time, time] | None
    quiet_texts: frozenset[str]

    def speak_at(self, template: str, now: datetime) -> datetime:
        """The first moment, from `now` on, at which it may be said."""
        if self.quiet is None or TEXTS[template].name not in self.quiet_texts:
            return now
        (begin, end), local = self.quiet, now.astimezone(self.zone)
        at = local.time()
        silent = begin <= at < end if begin < end else at >= begin or at < end
        if not silent:
            return now
        tomorrow = begin > end and at >= begin
        return datetime.combine(local.date() + timedelta(days=tomorrow), end, self.zone).astimezone(now.tzinfo)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A partner who may be told something. `person` stays sealed until the moment of sending."""

    partner_id: str
    person: str
    status: PartnerStatus


@dataclass(frozen=True, slots=True)
class Message:
    """One SMS about one business event, or the same once more because an operator said so (`resend_of`).

    `client` stays sealed, and is empty where the text names nobody; `facts` are what else the text tells. `about` is
    the matter: what comes later about it makes an unsent message untrue (`obsolete`). `place` is its place among the
    client's messages, `calls` how many work rows were made for it. Times are business time.
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
    status: Literal["scheduled", "waiting"] | Settled = "waiting"
    calls: int = 0
    obsolete: str | None = None
    provider: str | None = None
    detail: str | None = None
    settled_at: datetime | None = None
    resend_of: UUID | None = None
    resent_by: str | None = None
    resent_why: str | None = None

    @property
    def text(self) -> Text:
        return TEXTS[self.template]

    def untrue(self, now: datetime) -> str | None:
        """Why it must not be said any more, if so."""
        return self.obsolete or (TOO_LATE if now >= self.valid_until else None)


@dataclass(frozen=True, slots=True)
class Client:
    """All that was ever said about one client, in the order of the events."""

    messages: tuple[Message, ...] = ()

    def find(self, message_id: UUID) -> Message | None:
        return next((one for one in self.messages if one.message_id == message_id), None)

    def put(self, *messages: Message) -> "Client":
        changed = {one.message_id: one for one in messages}
        kept = tuple(changed.pop(one.message_id, one) for one in self.messages)
        return Client((*kept, *changed.values()))

    def unsent(self, about: str) -> Iterator[Message]:
        """What waits to be said about a matter, or may be out already."""
        return (one for one in self.messages if one.about == about and one.status in ("scheduled", "waiting"))


@dataclass(frozen=True, slots=True)
class MessageDue:
    """The time of a scheduled message has come."""

    message_id: UUID


@dataclass(frozen=True, slots=True)
class Postponed:
    """A message could not be said now, and will be at `until` at the earliest."""

    message_id: UUID
    until: datetime


@dataclass(frozen=True, slots=True)
class SmsSettled:
    """A message needs no more calls: the provider took it, turned it down, nobody can tell, or it is not true."""

    message_id: UUID
    status: Settled
    provider: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """What a provider says became of a message, by its own call or because it was asked."""

    message_id: UUID
    provider: str
    outcome: Outcome
    code: str


@dataclass(frozen=True, slots=True)
class Resend:
    """An operator wants a message said again. `who` decided, and `why`."""

    message_id: UUID
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class _Told:
    """What is to be said about an event. `about`: the claim's id, or else the lead's."""

    text: Text
    client: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    about: str | None = None
    until: datetime | None = None


def partner_changed(known: Recipient | None, partner: Partner, _: Cause, __: datetime) -> Decision[Recipient | None]:
    """The newest word on a partner counts. The topic keeps one partner's words in order."""
    newest = Recipient(partner.partner_id, partner.person, partner.status)
    return Decision(known if known == newest else newest)


def told(client: Client, event: ClientMessage, cause: Cause, now: datetime, *, policy: Policy) -> Decision[Client]:
    """A message about the event, by what each kind of event says; whatever it makes untrue is not said any more."""
    what = _said_of(event, policy)
    # Derived from the event, so that the event read again, after a restore too, is the same message.
    message_id = derived_id(cause.id, str(what.text))
    if client.find(message_id) is not None:
        return Decision(client)
    about = what.about or str(event.lead_id)
    message = Message(
        message_id=message_id,
        lead_id=event.lead_id,
        client_key=event.client_key,
        partner_id=event.partner_id,
        template=str(what.text),
        client=what.client,
        facts=what.facts,
        about=about,
        place=len(client.messages),
        correlation=cause.correlation,
        created_at=now,
        due_at=now,
        valid_until=min(what.until or datetime.max.replace(tzinfo=now.tzinfo), now + what.text.lasts),
    )
    if what.text is texts.DELAYED and any(one.about == about for one in client.messages):
        # It comes by another topic, and the answer it is about has overtaken it.
        return Decision(client.put(_dropped(message, SUPERSEDED, now)))
    changed = [_superseded(one, now) for one in client.unsent(about) if not one.text.lasting]
    return _schedule(client.put(*changed), message, now, policy)


def _said_of(event: ClientMessage, policy: Policy) -> _Told:
    match event:
        case ReservationOpened():
            return _term(texts.CONFIRMED, event, event.reserved_until)
        case ReservationExtended():
            return _term(texts.EXTENDED, event, event.reserved_until)
        case ReservationReinstated():
            return _term(texts.REINSTATED, event, event.reserved_until)
        case ReservationReopened():
            return _term(texts.REOPENED, event, event.reserved_until)
        case ReservationExpiring():
            # «Осталось дней» is true for one day of the builder's calendar.
            last = event.reserved_until.astimezone(policy.zone).date() - timedelta(days=event.days_left - 1)
            until = min(event.reserved_until, datetime.combine(last, time.min, policy.zone).astimezone(UTC))
            return _term(texts.EXPIRING, event, until, days=str(event.days_left))
        case ReservationExpired():
            return _Told(texts.EXPIRED, event.client)
        case ReservationClosed():
            return _Told(texts.WON if event.outcome == "won" else texts.WITHDRAWN, event.client)
        case RewardClaimAccepted():
            return _claim(texts.CLAIM_ACCEPTED, event)
        case RewardAccrued():
            text = texts.ACCRUED if event.amount > 0 else texts.CORRECTED
            return _claim(text, event, amount=f"{event.amount:.2f}", currency=event.currency)
        case RewardDeclined():
            return _claim(texts.DECLINED, event, reason=texts.short(event.reason))
        case LeadRejected():
            # One public reason for whatever is not the realtor's own: an SMS never tells who holds a client, or why.
            mine = event.reason == "already-yours"
            return _Told(texts.ALREADY_YOURS if mine else texts.REJECTED, event.client)
        case LeadCheckDelayed():
            return _Told(texts.DELAYED, event.client)
        case _:
            raise TypeError(f"nothing is said of {type(event).__name__}")


_Term = ReservationOpened | ReservationExtended | ReservationReinstated | ReservationReopened | ReservationExpiring


def _term(text: Text, event: _Term, until: datetime, **facts: str) -> _Told:
    return _Told(text, event.client, {"through": texts.day(event.reserved_through), **facts}, until=until)


def _claim(text: Text, event: RewardClaimAccepted | RewardAccrued | RewardDeclined, **facts: str) -> _Told:
    return _Told(text, "", {"contract": texts.short(event.contract_number), **facts}, about=str(event.claim_id))


def _schedule(client: Client, message: Message, now: datetime, policy: Policy) -> Decision[Client]:
    """To be said now, or when it may be; never before what waits to be said about the same lead."""
    waiting = [one.due_at for one in client.messages if one.lead_id == message.lead_id and one.status == "scheduled"]
    due_at = max([policy.speak_at(message.template, now), *waiting])
    if due_at <= now:
        return _ask(client, message)
    if due_at >= message.valid_until:
        return Decision(client.put(_dropped(message, TOO_LATE, now)))
    return Decision(client.put(replace(message, status="scheduled", due_at=due_at)))


def message_due(client: Client, due: MessageDue, _: Cause, now: datetime, *, policy: Policy) -> Decision[Client]:
    """A scheduled message is said, unless it is untrue by now, or it is night again."""
    message = client.find(due.message_id)
    if message is None or message.status != "scheduled" or message.due_at > now:
        return Decision(client)
    if reason := message.untrue(now):
        return Decision(client.put(_dropped(message, reason, now)))
    if (at := policy.speak_at(message.template, now)) > now:
        return Decision(client.put(replace(message, due_at=at)))
    return _ask(client, message)


def postponed(client: Client, later: Postponed, _: Cause, now: datetime) -> Decision[Client]:
    """Back to the scheduled ones, so that others about the same client need not wait behind it."""
    message = client.find(later.message_id)
    if message is None or message.status != "waiting":
        return Decision(client)
    if reason := message.obsolete or (TOO_LATE if later.until >= message.valid_until else None):
        return Decision(client.put(_dropped(message, reason, now)))
    return Decision(client.put(replace(message, status="scheduled", due_at=later.until)))


def sms_settled(client: Client, outcome: SmsSettled, _: Cause, now: datetime) -> Decision[Client]:
    """The outcome of a message is told once; what is settled stays as it is."""
    message = client.find(outcome.message_id)
    if message is None or message.status != "waiting":
        return Decision(client)
    if outcome.status == "dropped":
        return Decision(client.put(_dropped(message, outcome.detail or "", now)))
    return _settle(client, message, outcome.status, outcome.provider, outcome.detail, now)


def reported(client: Client, report: Reported, _: Cause, now: datetime) -> Decision[Client]:
    """A report adds to what is known, and takes nothing back. Replies whether it was news."""
    message = client.find(report.message_id)
    if message is None or _KNOWN[report.outcome] <= _KNOWN[message.status]:
        return Decision(client, reply=False)
    return _settle(client, message, report.outcome, report.provider, report.code, now)._replace(reply=True)


def resend(client: Client, order: Resend, cause: Cause, now: datetime, *, policy: Policy) -> Decision[Client]:
    """A new message with the same text, if the first one failed or is unknown, and is still true. Replies with its
    id, or with why not: `no-such-message`, `not-failed`, `already-resent`, `superseded`, `too-late`."""
    first = client.find(order.message_id)
    if first is None:
        return Decision(client, reply="no-such-message")
    if first.status not in ("failed", "unknown"):
        return Decision(client, reply="not-failed")
    if any(one.resend_of == first.message_id for one in client.messages):
        return Decision(client, reply="already-resent")
    later = (one for one in client.messages if one.about == first.about and one.place > first.place)
    if not first.text.lasting and any(one.resend_of is None for one in later):
        return Decision(client, reply=SUPERSEDED)
    if now >= first.valid_until:
        return Decision(client, reply=TOO_LATE)
    again = replace(
        first,
        message_id=derived_id(str(first.message_id), "resend"),
        place=len(client.messages),
        correlation=cause.correlation,
        created_at=now,
        due_at=now,
        status="waiting",
        calls=0,
        obsolete=None,
        provider=None,
        detail=None,
        settled_at=None,
        resend_of=first.message_id,
        resent_by=order.who,
        resent_why=order.why,
    )
    return _schedule(client, again, now, policy)._replace(reply=again.message_id)


def _ask(client: Client, message: Message) -> Decision[Client]:
    message = replace(message, status="waiting", calls=message.calls + 1)
    ids = {"lead_id": str(message.lead_id), "partner_id": message.partner_id}
    # One call is asked for each time it is due, and a work row knows it by its reference.
    return Decision(client.put(message), tasks=(Task(SMS, f"{message.message_id}.{message.calls}", ids),))


def message_of(ref: str) -> UUID:
    """The message that a work row is about."""
    return UUID(ref.partition(".")[0])


def _superseded(message: Message, now: datetime) -> Message:
    # One that waits for its call may be out already: that is seen when the call is made.
    if message.status == "scheduled":
        return _dropped(message, SUPERSEDED, now)
    return replace(message, obsolete=SUPERSEDED)


def _dropped(message: Message, reason: str, now: datetime) -> Message:
    return replace(message, status="dropped", detail=reason, settled_at=now)


def _settle(
    client: Client, message: Message, status: SmsOutcome, provider: str, detail: str | None, now: datetime
) -> Decision[Client]:
    settled = replace(message, status=status, provider=provider, detail=detail, settled_at=message.settled_at or now)
    event = SmsStatus(
        lead_id=message.lead_id,
        client_key=message.client_key,
        partner_id=message.partner_id,
        message_id=message.message_id,
        template=message.template,
        status=status,
        provider=provider,
        at=now,
        detail=detail,
    )
    return Decision(client.put(settled), (Event(event),))
