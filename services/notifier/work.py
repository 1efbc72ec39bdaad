"""Sending SMS: each work row of kind `sms` is one call to a provider.

If the answer to an earlier call was lost, the call is a lookup of what became of the SMS: see `domain/in_doubt.py`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final, Literal, Protocol
from uuid import UUID

import structlog

from chassis.clock import Clock
from chassis.service import Answer, Done, Job, Park, Retry, call_each
from contracts.sealing import Sealer, Unsealable
from services.notifier.domain import wording
from services.notifier.domain.answers import (
    Accepted,
    Disabled,
    InDoubt,
    LookupAnswer,
    Refused,
    Repeated,
    SendAnswer,
    SettledStatus,
    Unreachable,
)
from services.notifier.domain.in_doubt import Attempt, LookUpAgain, LookupPolicy, Settle, count_lookup, next_step
from services.notifier.domain.model import SUPERSEDED, Sms, SmsPostponed, SmsSettled, message_id_of
from services.notifier.domain.quiet_hours import Policy
from services.notifier.provider_pool import ProviderPool
from services.notifier.providers.base import Provider
from services.notifier.store.attempts import Begun, OutgoingSms

log = structlog.get_logger(__name__)

REPEAT_WINDOW_S: Final = 61.0
"""SMSC refuses an identical request as a repeat for one minute."""
ATTEMPT_VALID_S: Final = 5.0
"""If a recorded attempt had to wait longer than this until its call could start (see `CALLS_AT_ONCE`), it is recorded
anew."""
OVER_LIMIT_DELAY: Final = timedelta(minutes=10)
"""How long an SMS is postponed whose recipient has got the highest number of SMS for now."""
CALLS_AT_ONCE: Final = 7
"""Calls in flight in this process: SMSC refuses more than fifteen at once, and two copies of the service may run."""


def message_of(job: Job) -> UUID:
    """The SMS that a work row sends. Raises ValueError if its reference is not one of an SMS."""
    return message_id_of(job.ref)


class AttemptLog(Protocol):
    """The record of calls that may have sent an SMS. In the service it is `store.attempts.PostgresAttemptLog`."""

    async def outgoing(self, message_ids: Sequence[UUID]) -> Mapping[UUID, OutgoingSms]:
        """Id → what a call needs, for those of the given SMS that exist."""
        ...

    async def begin(self, sms: Sms, provider: str, earlier: Attempt | None) -> Begun:
        """Record that a call to `provider` starts now; the call may be made only if this returns `begun`. `earlier` is
        the attempt as `outgoing` returned it, or None for the first one."""
        ...

    async def forget(self, message_id: UUID) -> None:
        """Delete the attempt: it is certain that it sent nothing. An SMS that was sent twice keeps its attempt."""
        ...

    async def record_lookup(self, message_id: UUID, attempt: Attempt) -> None:
        """Keep the attempt's numbers of lookups and misses."""
        ...


class SmsWork:
    """Performs the work rows of kind `sms`.

    `only_to` is for tests with a real provider: numbers outside it get nothing. None lifts the restriction.
    """

    def __init__(
        self,
        attempts: AttemptLog,
        sealer: Sealer,
        providers: ProviderPool,
        policy: Policy,
        clock: Clock,
        *,
        only_to: frozenset[str] | None = None,
        lookups: LookupPolicy | None = None,
    ) -> None:
        self._attempts = attempts
        self._sealer = sealer
        self._providers = providers
        self._policy = policy
        self._clock = clock
        self._only_to = only_to
        self._lookups = lookups or LookupPolicy()
        self._gate = asyncio.Semaphore(CALLS_AT_ONCE)

    async def perform(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Answer each job. The recorded attempt, not the job's `in_doubt`, decides whether an SMS may be out."""
        outgoing = await self._attempts.outgoing([message_of(job) for job in jobs])
        # The jobs run concurrently, so that their first attempts share a transaction; `_gate` limits the calls.
        async for answered in call_each(jobs, partial(self._perform_one, outgoing=outgoing)):
            yield answered

    async def _perform_one(self, job: Job, outgoing: Mapping[UUID, OutgoingSms]) -> Answer:
        item = outgoing.get(message_of(job))
        if item is None:
            return Park("no-such-message")
        sms, attempt = item.sms, item.attempt
        if sms.status != "waiting":
            # A report has settled the SMS, or it was postponed. This outcome changes nothing about a settled SMS.
            return Done(SmsSettled(sms.message_id, "dropped", ""))
        if attempt is None and (answer := self._not_now(sms)) is not None:
            return answer
        if item.person is None:
            # Topic `partners` may lag behind the topic of the event.
            log.warning(
                "sms_recipient_unknown",
                lead_id=str(sms.lead_id),
                message_id=str(sms.message_id),
                template=sms.template,
                attempt=job.attempt,
                correlation_id=job.cause.correlation,
            )
            return Retry("partner-unknown", no_effect=True)
        try:
            phone = self._sealer.open(item.person, sms.partner_id).phone
            full_name = self._sealer.open(sms.client, str(sms.lead_id)).full_name if sms.client else ""
        except Unsealable as error:
            log.error(
                "sms_unsealable",
                reason=str(error),
                lead_id=str(sms.lead_id),
                message_id=str(sms.message_id),
                template=sms.template,
                attempt=job.attempt,
                correlation_id=job.cause.correlation,
            )
            return Park("unsealable")
        if self._only_to is not None and phone not in self._only_to:
            return self._done(sms, "dropped", "not-whitelisted")
        text = wording.render(sms.template, full_name, sms.lead_id, sms.facts)
        if attempt is None:
            return await self._send(job, sms, phone, text)
        return await self._look_up(job, sms, phone, text, attempt)

    def _not_now(self, sms: Sms) -> Answer | None:
        """The answer for an SMS that must not be sent now, None for one that may be."""
        now = self._clock.now()
        if reason := sms.drop_reason(now):
            return self._done(sms, "dropped", reason)
        at = self._policy.earliest_send(sms.template, now)
        return Done(SmsPostponed(sms.message_id, at)) if at > now else None

    async def _send(self, job: Job, sms: Sms, phone: str, text: str) -> Answer:
        """Send through the first available provider; go on to the next only if it is certain that nothing was sent."""
        refused: Done | None = None
        for provider in self._providers.available():
            answer = await self._call(provider, job, sms, phone, text, None)
            match answer:
                case Accepted():
                    self._providers.reset_backoff(provider)
                    return self._done(sms, "sent", None, provider)
                case InDoubt(reason):
                    return Retry(reason, after_s=self._lookups.pauses_s[0])
                case Retry() | Done():
                    return answer
            await self._attempts.forget(sms.message_id)
            match answer:
                case Repeated(code):
                    return Retry(f"repeated-{code}", no_effect=True, after_s=REPEAT_WINDOW_S)
                case Refused(code, elsewhere):
                    done = self._done(sms, "failed", code, provider)
                    if not elsewhere:
                        return done
                    refused = refused or done
                case Disabled(code):
                    await self._providers.disable(provider, code)
                case Unreachable():
                    self._providers.back_off(provider)
        return refused or Retry("no-provider", no_effect=True, after_s=self._providers.available_in_s())

    async def _send_again(
        self, job: Job, sms: Sms, phone: str, text: str, earlier: Attempt, provider: Provider
    ) -> Answer:
        """Send once more, under the same id and through the same provider. Unless the answer is final the SMS stays in
        doubt, because it is never quite certain that the `earlier` attempt sent nothing."""
        if reason := sms.drop_reason(self._clock.now()):
            return self._done(sms, "dropped", reason)
        answer = await self._call(provider, job, sms, phone, text, earlier)
        match answer:
            case Accepted():
                return self._done(sms, "sent", None, provider)
            case Refused(code):
                return self._done(sms, "failed", code, provider)
            case InDoubt(reason):
                pauses_s = self._lookups.pauses_s
                return Retry(reason, after_s=pauses_s[min(earlier.lookups, len(pauses_s) - 1)])
            case Repeated(code):
                return Retry(f"repeated-{code}", after_s=REPEAT_WINDOW_S)
            case Disabled(code):
                await self._providers.disable(provider, code)
                return Retry(f"disabled-{code}", after_s=self._providers.available_in_s(provider))
            case Unreachable(reason):
                return Retry(reason)
            case _:
                return answer

    async def _call(
        self, provider: Provider, job: Job, sms: Sms, phone: str, text: str, earlier: Attempt | None
    ) -> SendAnswer | Retry | Done:
        """Record the attempt, then send. Returns the provider's answer, or the job's answer if no call may be made."""
        begun = await self._attempts.begin(sms, provider.name, earlier)
        began = time.monotonic()
        async with self._gate:
            if begun == "begun" and time.monotonic() - began > ATTEMPT_VALID_S:
                # The recorded start must not be older than the call: an SMS that lookups do not find is sent again by
                # the age of its attempt, and would be sent again too soon.
                again = replace(earlier, sends=earlier.sends + 1) if earlier is not None else Attempt(provider.name)
                begun = await self._attempts.begin(sms, provider.name, again)
            if begun == "obsolete":
                return self._done(sms, "dropped", SUPERSEDED)
            if begun == "over-limit":
                return Done(SmsPostponed(sms.message_id, self._clock.now() + OVER_LIMIT_DELAY))
            # A process that was frozen may have lost its claim to another process, which sends the SMS by now.
            if begun != "begun" or not job.is_ours():
                return Retry("stalled")
            started = time.monotonic()
            answer = await provider.send(sms.message_id, phone, text)
        self._log_call("send", provider, job, sms, answer, started)
        return answer

    async def _look_up(self, job: Job, sms: Sms, phone: str, text: str, attempt: Attempt) -> Answer:
        """Look up what became of an earlier attempt, and settle the SMS, send it again, or look it up again later."""
        provider = self._providers.named(attempt.provider)
        if provider is None:
            return self._done(sms, "unknown", "provider-gone")
        if (disabled_s := self._providers.disabled_for_s(provider)) > 0:
            return Retry("provider-disabled", after_s=disabled_s)
        async with self._gate:
            started = time.monotonic()
            answer = await provider.lookup(sms.message_id, phone)
        self._log_call("lookup", provider, job, sms, answer, started)
        if isinstance(answer, Disabled):
            await self._providers.disable(provider, answer.code)
            return Retry(f"disabled-{answer.code}", after_s=self._providers.disabled_for_s(provider))
        attempt = count_lookup(attempt, answer)
        await self._attempts.record_lookup(sms.message_id, attempt)
        step = next_step(answer, attempt, self._lookups)
        match step:
            case Settle(status, detail):
                return self._done(sms, status, detail, provider)
            case LookUpAgain(after_s):
                return Retry("in-doubt", after_s=after_s)
            case _:
                return await self._send_again(job, sms, phone, text, attempt, provider)

    def _done(self, sms: Sms, status: SettledStatus, detail: str | None, provider: Provider | None = None) -> Done:
        if status == "unknown":
            log.error("sms_outcome_unknown", lead_id=str(sms.lead_id), message_id=str(sms.message_id), reason=detail)
        return Done(SmsSettled(sms.message_id, status, provider.name if provider else "", detail))

    def _log_call(
        self,
        call: Literal["send", "lookup"],
        provider: Provider,
        job: Job,
        sms: Sms,
        answer: SendAnswer | LookupAnswer,
        started: float,
    ) -> None:
        log.info(
            "sms_provider_called",
            call=call,
            provider=provider.name,
            answer=type(answer).__name__.lower(),
            code=getattr(answer, "code", None) or getattr(answer, "reason", None),
            ms=round((time.monotonic() - started) * 1000),
            lead_id=str(sms.lead_id),
            message_id=str(sms.message_id),
            template=sms.template,
            attempt=job.attempt,
            correlation_id=job.cause.correlation,
        )
