"""Drives `SmsWork` on an attempt log in memory, one work row of one SMS at a time."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.decision import Cause
from chassis.service import Answer, Done, Job
from contracts.base import ClientMessage
from contracts.sealing import Sealer
from services.notifier.domain.answers import LookupAnswer, SendAnswer
from services.notifier.domain.in_doubt import Attempt, LookupPolicy
from services.notifier.domain.model import ClientState, Limits, Sms, SmsSettled
from services.notifier.provider_pool import ProviderPool
from services.notifier.providers.base import Provider
from services.notifier.work import SmsWork
from tests.notifier.decisions import notify
from tests.notifier.doubles import FixedClock, InMemoryAttemptLog, InMemoryProviderLog, ScriptedProvider
from tests.notifier.samples import NOON, POLICY, SEALER, partner

LOOKUPS = LookupPolicy(pauses_s=(5, 15, 30, 60), misses_before_resend=2, resend_after_s=60)


def log_of(event: ClientMessage, limits: Limits | None = None) -> InMemoryAttemptLog:
    """A log with the SMS about one event, to partner p1."""
    number = event.lead_id.int
    return InMemoryAttemptLog(
        *notify(ClientState(), event, number).state.messages, persons={"p1": partner().person}, limits=limits
    )


def sending(
    attempts: InMemoryAttemptLog,
    provider: Provider | Iterable[SendAnswer | LookupAnswer],
    *others: Provider,
    now: datetime = NOON,
    only_to: frozenset[str] | None = None,
    sealer: Sealer = SEALER,
) -> tuple[SmsWork, Any]:
    """`SmsWork` and its first provider, which may be given as a script of answers."""
    used: Provider = ScriptedProvider(list(provider)) if isinstance(provider, Iterable) else provider
    pool = ProviderPool([used, *others], InMemoryProviderLog())
    return SmsWork(attempts, sealer, pool, POLICY, FixedClock(now), only_to=only_to, lookups=LOOKUPS), used


async def perform(work: SmsWork, attempts: InMemoryAttemptLog) -> Answer:
    """The answer to a work row of the first SMS in the log, or of an SMS that does not exist if the log is empty."""
    message_id = next(iter(attempts.messages), UUID(int=9))
    job = Job(1, f"{message_id}.1", "k", {}, Cause("c", "correlation"), 1, False)
    [answer] = [answer async for _, answer in work.perform([job])]
    return answer


def outcome(answer: Answer) -> tuple[str, str | None]:
    """Status and detail of an answer that settles the SMS."""
    assert isinstance(answer, Done)
    assert isinstance(answer.body, SmsSettled)
    return answer.body.status, answer.body.detail


def only_sms(attempts: InMemoryAttemptLog) -> Sms:
    [sms] = attempts.messages.values()
    return sms


def only_attempt(attempts: InMemoryAttemptLog) -> Attempt | None:
    """The recorded attempt of the only SMS."""
    return attempts.attempt(only_sms(attempts).message_id)
