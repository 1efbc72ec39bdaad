"""When an SMS is sent: at once, after the quiet hours, or not at all because its text is no longer true."""

from dataclasses import replace
from datetime import datetime

from chassis.decision import Cause, Decision, Task, derived_id
from contracts.base import ClientMessage
from services.notifier.domain import wording
from services.notifier.domain.model import SMS, SUPERSEDED, TOO_LATE, ClientState, Resend, Sms, SmsDue, SmsPostponed
from services.notifier.domain.notices import notice_of
from services.notifier.domain.quiet_hours import Policy


def notify(
    client: ClientState, event: ClientMessage, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Add the SMS about an event, and drop unsent SMS about the same lead or claim that the event makes untrue.

    The SMS about an event that comes after later events is dropped, unless its text is always true. An event that was
    handled before changes nothing. Raises TypeError for a kind of event without a text.
    """
    notice = notice_of(event, policy.zone)
    # The id is derived from the event, so an event that is read again, also after a restore, adds no second SMS.
    message_id = derived_id(cause.id, str(notice.text))
    if client.find(message_id) is not None:
        return Decision(client)
    about = notice.about or str(event.lead_id)
    sms = Sms(
        message_id=message_id,
        lead_id=event.lead_id,
        client_key=event.client_key,
        partner_id=event.partner_id,
        template=str(notice.text),
        client=notice.client,
        facts=notice.facts,
        about=about,
        place=len(client.messages),
        correlation=cause.correlation,
        created_at=now,
        due_at=now,
        valid_until=min(notice.until or datetime.max.replace(tzinfo=now.tzinfo), now + notice.text.valid_for),
        event_order=notice.order,
    )
    if notice.text is wording.DELAYED and any(other.about == about for other in client.messages):
        # The delay and the verdict come from different topics, and the verdict was read first.
        return Decision(client.put(dropped(sms, SUPERSEDED, now)))
    if any(other.about == about and other.is_later(sms) for other in client.messages):
        # The event was in the dead letters while later events were handled.
        if notice.text.always_true:
            return _schedule(client, sms, now, policy)
        return Decision(client.put(dropped(sms, SUPERSEDED, now)), superseded=True)
    changed = [_superseded(other, now) for other in client.unsettled(about) if not other.text.always_true]
    return _schedule(client.put(*changed), sms, now, policy)


def sms_due(client: ClientState, due: SmsDue, _: Cause, now: datetime, *, policy: Policy) -> Decision[ClientState]:
    """Send a scheduled SMS; drop it if its text is untrue by now, or schedule it anew if it is quiet hours again."""
    sms = client.find(due.message_id)
    if sms is None or sms.status != "scheduled" or sms.due_at > now:
        return Decision(client)
    if reason := sms.drop_reason(now):
        return Decision(client.put(dropped(sms, reason, now)))
    if (at := policy.earliest_send(sms.template, now)) > now:
        return Decision(client.put(replace(sms, due_at=at)))
    return _send(client, sms)


def sms_postponed(client: ClientState, postponed: SmsPostponed, _: Cause, now: datetime) -> Decision[ClientState]:
    """Back to `scheduled`, without a work row, so that other SMS about the same client are not held up behind it."""
    sms = client.find(postponed.message_id)
    if sms is None or sms.status != "waiting":
        return Decision(client)
    if reason := sms.obsolete or (TOO_LATE if postponed.until >= sms.valid_until else None):
        return Decision(client.put(dropped(sms, reason, now)))
    return Decision(client.put(replace(sms, status="scheduled", due_at=postponed.until)))


def resend(client: ClientState, order: Resend, cause: Cause, now: datetime, *, policy: Policy) -> Decision[ClientState]:
    """Add a new SMS with the same text if the first one is `failed` or `unknown` and its text is still true.

    Replies with the id (UUID) of the new SMS, or with the reason of the refusal: `no-such-message`, `not-failed`,
    `already-resent`, `superseded`, `too-late`.
    """
    first = client.find(order.message_id)
    if first is None:
        return Decision(client, reply="no-such-message")
    if first.status not in ("failed", "unknown"):
        return Decision(client, reply="not-failed")
    if any(sms.resend_of == first.message_id for sms in client.messages):
        return Decision(client, reply="already-resent")
    later = (sms for sms in client.messages if sms.about == first.about and sms.is_later(first))
    if not first.text.always_true and any(sms.resend_of is None for sms in later):
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


def dropped(sms: Sms, reason: str, now: datetime) -> Sms:
    """The SMS in status `dropped`: it is never sent, and no event is published about it."""
    return replace(sms, status="dropped", detail=reason, settled_at=now)


def _schedule(client: ClientState, sms: Sms, now: datetime, policy: Policy) -> Decision[ClientState]:
    """Send now or at the end of the quiet hours, but never before a scheduled SMS about the same lead."""
    earlier = [
        other.due_at for other in client.messages if other.lead_id == sms.lead_id and other.status == "scheduled"
    ]
    due_at = max([policy.earliest_send(sms.template, now), *earlier])
    if due_at <= now:
        return _send(client, sms)
    if due_at >= sms.valid_until:
        return Decision(client.put(dropped(sms, TOO_LATE, now)))
    return Decision(client.put(replace(sms, status="scheduled", due_at=due_at)))


def _send(client: ClientState, sms: Sms) -> Decision[ClientState]:
    sms = replace(sms, status="waiting", calls=sms.calls + 1)
    ids = {"lead_id": str(sms.lead_id), "partner_id": sms.partner_id}
    # An SMS that is postponed gets another work row later; the number keeps the references of its rows apart.
    return Decision(client.put(sms), tasks=(Task(SMS, f"{sms.message_id}.{sms.calls}", ids),))


def _superseded(sms: Sms, now: datetime) -> Sms:
    # An SMS in status `waiting` may be out already: the worker decides that when it makes the call.
    if sms.status == "scheduled":
        return dropped(sms, SUPERSEDED, now)
    return replace(sms, obsolete=SUPERSEDED)
