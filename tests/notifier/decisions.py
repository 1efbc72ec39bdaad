"""Single decisions of the notifier's rules, with everything that a test does not vary filled in."""

from datetime import datetime

from chassis.decision import Decision
from contracts.base import ClientMessage
from services.notifier.domain import outcomes, scheduling
from services.notifier.domain.answers import ProviderOutcome, SettledStatus
from services.notifier.domain.model import ClientState, Resend, Sms, SmsDue, SmsReported, SmsSettled
from tests.notifier.samples import NOON, POLICY, cause


def notify(client: ClientState, event: ClientMessage, number: int = 1, now: datetime = NOON) -> Decision[ClientState]:
    return scheduling.notify(client, event, cause(number), now, policy=POLICY)


def due(client: ClientState, sms: Sms, now: datetime) -> Decision[ClientState]:
    return scheduling.sms_due(client, SmsDue(sms.message_id), cause(99), now, policy=POLICY)


def settle(client: ClientState, sms: Sms, status: SettledStatus = "sent") -> Decision[ClientState]:
    return outcomes.sms_settled(client, SmsSettled(sms.message_id, status, "smsc", "8"), cause(1), NOON)


def report(client: ClientState, sms: Sms, outcome: ProviderOutcome) -> Decision[ClientState]:
    return outcomes.sms_reported(client, SmsReported(sms.message_id, "smsc", outcome, "status 1"), cause(50), NOON)


def resend(client: ClientState, sms: Sms, now: datetime = NOON) -> Decision[ClientState]:
    return scheduling.resend(client, Resend(sms.message_id, "Смирнова", "звонил"), cause(60), now, policy=POLICY)


def statuses(client: ClientState) -> list[tuple[str, str]]:
    """Name of the text and status of each SMS."""
    return [(sms.text.name, sms.status) for sms in client.messages]
