"""What became of an SMS: outcomes of calls, and reports of the providers, which only ever add knowledge."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from chassis.decision import Cause, Decision, Event
from contracts.sms import SmsOutcome, SmsStatus
from services.notifier.domain.model import ClientState, Sms, SmsReported, SmsSettled
from services.notifier.domain.scheduling import dropped

KNOWLEDGE: Final = {"scheduled": 0, "waiting": 0, "unknown": 1, "sent": 2, "delivered": 3, "failed": 3, "dropped": 3}
"""How much a status says about the fate of an SMS. Reports come late, doubled and out of order, so a report counts
only where it raises this number."""


def sms_settled(client: ClientState, outcome: SmsSettled, _: Cause, now: datetime) -> Decision[ClientState]:
    """Settle a waiting SMS and publish `sms-status`, except for a dropped SMS. A settled SMS stays as it is."""
    sms = client.find(outcome.message_id)
    if sms is None or sms.status != "waiting":
        return Decision(client)
    if outcome.status == "dropped":
        return Decision(client.put(dropped(sms, outcome.detail or "", now)))
    return _settle(client, sms, outcome.status, outcome.provider, outcome.detail, now)


def sms_reported(client: ClientState, report: SmsReported, _: Cause, now: datetime) -> Decision[ClientState]:
    """Apply a report if it adds to what is known, and publish `sms-status`. Replies True if it did, otherwise False."""
    sms = client.find(report.message_id)
    if sms is None or KNOWLEDGE[report.outcome] <= KNOWLEDGE[sms.status]:
        return Decision(client, reply=False)
    return _settle(client, sms, report.outcome, report.provider, report.code, now)._replace(reply=True)


def _settle(
    client: ClientState, sms: Sms, status: SmsOutcome, provider: str, detail: str | None, now: datetime
) -> Decision[ClientState]:
    settled = replace(sms, status=status, provider=provider, detail=detail, settled_at=sms.settled_at or now)
    event = SmsStatus(
        lead_id=sms.lead_id,
        client_key=sms.client_key,
        partner_id=sms.partner_id,
        message_id=sms.message_id,
        template=sms.template,
        status=status,
        provider=provider,
        at=now,
        detail=detail,
    )
    return Decision(client.put(settled), (Event(event),))
