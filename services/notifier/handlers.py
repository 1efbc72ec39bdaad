"""Sending: one claimed message at a time, true when it is said, and looked for before anything is repeated."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from chassis.clock import Clock
from chassis.decision import Cause
from chassis.service import Answer, Connection, Done, Input, Job, Park, Retry, call_each
from contracts.sealing import Sealer, Unsealable
from services.notifier import texts
from services.notifier.answers import (
    Accepted,
    Attempt,
    Barred,
    InDoubt,
    LookAgain,
    LookAnswer,
    Patience,
    Refused,
    Repeated,
    SendAnswer,
    Settle,
    Settled,
    Unreached,
    after_look,
    looked,
)
from services.notifier.domain import SUPERSEDED, Message, MessageDue, Policy, Postponed, SmsSettled, message_of
from services.notifier.providers import Provider
from services.notifier.roads import Roads
from services.notifier.store import Begun, Letter, due_messages, may_speak

log = structlog.get_logger(__name__)

REPEAT_WINDOW_S: Final = 61.0
"""A provider takes an identical request for a repeat for one minute."""
BEGUN_FOR_S: Final = 5.0
OVER_LIMIT_FOR: Final = timedelta(minutes=10)
"""How long a message waits whose recipient has had enough for now."""
AT_ONCE: Final = 7
"""Calls in flight: SMSC refuses more than fifteen at once, and two copies of the service may run."""


class Desk(Protocol):
    """What sending keeps between claim and outcome; `store.Attempts` in the service."""

    async def letters(self, message_ids: Sequence[UUID]) -> Mapping[UUID, Letter]: ...
    async def begin(self, message: Message, provider: str, earlier: Attempt | None) -> Begun: ...
    async def forget(self, message_id: UUID) -> None: ...
    async def looked(self, message_id: UUID, attempt: Attempt) -> None: ...


class Sending:
    """Performs the work `sms`. `only_to`: in a test mode the only numbers that get anything."""

    def __init__(
        self,
        desk: Desk,
        sealer: Sealer,
        roads: Roads,
        policy: Policy,
        clock: Clock,
        *,
        only_to: frozenset[str] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._desk = desk
        self._sealer = sealer
        self._roads = roads
        self._policy = policy
        self._clock = clock
        self._only_to = only_to
        self._patience = patience or Patience()
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def perform(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Answer each job. An attempt on record, not the job, says whether a message may be out already."""
        letters = await self._desk.letters([message_of(job.ref) for job in jobs])
        # All of them at once, so that beginnings share a transaction; the provider is called through the gate.
        async for answered in call_each(jobs, partial(self._one, letters=letters)):
            yield answered

    async def _one(self, job: Job, letters: Mapping[UUID, Letter]) -> Answer:
        letter = letters.get(message_of(job.ref))
        if letter is None:
            return Park("no-such-message")
        message, attempt = letter.message, letter.attempt
        if message.status != "waiting":
            # A report has settled it, or it was put off: there is nothing to do, and this changes nothing.
            return Done(SmsSettled(message.message_id, "dropped", ""))
        if attempt is None and (answer := self._untold(message)) is not None:
            return answer
        if letter.person is None:
            # The partners topic may lag behind the one that told of the lead.
            log.warning("recipient is not known yet", **_ids(message, job))
            return Retry("partner-unknown", no_effect=True)
        try:
            phone = self._sealer.open(letter.person, message.partner_id).phone
            full_name = self._sealer.open(message.client, str(message.lead_id)).full_name if message.client else ""
        except Unsealable as error:
            log.error("cannot be opened", reason=str(error), **_ids(message, job))
            return Park("unsealable")
        if self._only_to is not None and phone not in self._only_to:
            return self._done(message, "dropped", "not-whitelisted")
        text = texts.render(message.template, full_name, message.lead_id, message.facts)
        if attempt is None:
            return await self._send(job, message, phone, text)
        return await self._look(job, message, phone, text, attempt)

    def _untold(self, message: Message) -> Answer | None:
        """What becomes of a message that is not to be said now."""
        now = self._clock.now()
        if reason := message.untrue(now):
            return self._done(message, "dropped", reason)
        at = self._policy.speak_at(message.template, now)
        return Done(Postponed(message.message_id, at)) if at > now else None

    async def _send(self, job: Job, message: Message, phone: str, text: str) -> Answer:
        """Down the first road that is open; on to the next only where it is certain that nothing was sent."""
        refused: Done | None = None
        for road in self._roads.open():
            answer = await self._down(road, job, message, phone, text, None)
            match answer:
                case Accepted():
                    self._roads.works(road)
                    return self._done(message, "sent", None, road)
                case InDoubt(reason):
                    return Retry(reason, after_s=self._patience.waits_s[0])
                case Retry() | Done():
                    return answer
            await self._desk.forget(message.message_id)
            match answer:
                case Repeated(code):
                    return Retry(f"repeated-{code}", no_effect=True, after_s=REPEAT_WINDOW_S)
                case Refused(code, elsewhere):
                    done = self._done(message, "failed", code, road)
                    if not elsewhere:
                        return done
                    refused = refused or done
                case Barred(code):
                    await self._roads.bar(road, code)
                case Unreached():
                    self._roads.rest(road)
        return refused or Retry("no-open-road", no_effect=True, after_s=self._roads.opens_in_s())

    async def _send_again(
        self, job: Job, message: Message, phone: str, text: str, earlier: Attempt, road: Provider
    ) -> Answer:
        """Under the same id by the same road: whether the `earlier` attempt had effect is never quite certain."""
        if reason := message.untrue(self._clock.now()):
            return self._done(message, "dropped", reason)
        answer = await self._down(road, job, message, phone, text, earlier)
        match answer:
            case Accepted():
                return self._done(message, "sent", None, road)
            case Refused(code):
                return self._done(message, "failed", code, road)
            case InDoubt(reason):
                return Retry(
                    reason, after_s=self._patience.waits_s[min(earlier.looks, len(self._patience.waits_s) - 1)]
                )
            case Repeated(code):
                return Retry(f"repeated-{code}", after_s=REPEAT_WINDOW_S)
            case Barred(code):
                await self._roads.bar(road, code)
                return Retry(f"barred-{code}", after_s=self._roads.opens_in_s(road))
            case Unreached(reason):
                return Retry(reason)
            case _:
                return answer

    async def _down(
        self, road: Provider, job: Job, message: Message, phone: str, text: str, earlier: Attempt | None
    ) -> SendAnswer | Retry | Done:
        """The provider's answer, or what is to be done instead of asking it."""
        begun = await self._desk.begin(message, road.name, earlier)
        began = time.monotonic()
        async with self._gate:
            if begun == "begun" and time.monotonic() - began > BEGUN_FOR_S:
                # What is on record must not be older than the call, or a look would give up on it too early.
                again = replace(earlier, sends=earlier.sends + 1) if earlier is not None else Attempt(road.name)
                begun = await self._desk.begin(message, road.name, again)
            if begun == "untrue":
                return self._done(message, "dropped", SUPERSEDED)
            if begun == "over-limit":
                return Done(Postponed(message.message_id, self._clock.now() + OVER_LIMIT_FOR))
            # A process that was frozen may have lost its claim to another, which is sending already.
            if begun != "begun" or not job.is_ours():
                return Retry("stalled")
            started = time.monotonic()
            answer = await road.send(message.message_id, phone, text)
        self._log("sms send", road, job, message, answer, started)
        return answer

    async def _look(self, job: Job, message: Message, phone: str, text: str, attempt: Attempt) -> Answer:
        road = self._roads.named(attempt.provider)
        if road is None:
            return self._done(message, "unknown", "provider-gone")
        if (barred_s := self._roads.barred_for_s(road)) > 0:
            return Retry("provider-barred", after_s=barred_s)
        async with self._gate:
            started = time.monotonic()
            answer = await road.look(message.message_id, phone)
        self._log("sms look", road, job, message, answer, started)
        if isinstance(answer, Barred):
            await self._roads.bar(road, answer.code)
            return Retry(f"barred-{answer.code}", after_s=self._roads.barred_for_s(road))
        attempt = looked(attempt, answer)
        await self._desk.looked(message.message_id, attempt)
        step = after_look(answer, attempt, self._patience)
        match step:
            case Settle(status, detail):
                return self._done(message, status, detail, road)
            case LookAgain(after_s):
                return Retry("in-doubt", after_s=after_s)
            case _:
                return await self._send_again(job, message, phone, text, attempt, road)

    def _done(self, message: Message, status: Settled, detail: str | None, road: Provider | None = None) -> Done:
        if status == "unknown":
            log.error("nobody can tell whether an sms went out", message_id=str(message.message_id), reason=detail)
        return Done(SmsSettled(message.message_id, status, road.name if road else "", detail))

    def _log(
        self, event: str, road: Provider, job: Job, message: Message, answer: SendAnswer | LookAnswer, started: float
    ) -> None:
        log.info(
            event,
            provider=road.name,
            answer=type(answer).__name__.lower(),
            code=getattr(answer, "code", None) or getattr(answer, "reason", None),
            ms=round((time.monotonic() - started) * 1000),
            **_ids(message, job),
        )


def messages_due(per_second: float) -> Callable[[Connection, datetime, int], Awaitable[Sequence[Input]]]:
    """What the timer asks: an input for each scheduled message whose time has come, `per_second` of them at most by
    all copies together, so that a morning's reminders leave room for verdicts."""

    async def due(tx: Connection, now: datetime, limit: int) -> Sequence[Input]:
        if not await due_messages(tx, now, 1):
            return ()
        granted = await may_speak(tx, per_second, limit)
        return [
            Input(client_key, MessageDue(message_id), Cause(str(message_id), correlation), step=f"due/{calls}/")
            for message_id, client_key, correlation, calls in await due_messages(tx, now, granted)
        ]

    return due


def _ids(message: Message, job: Job) -> dict[str, Any]:
    return {
        "lead_id": str(message.lead_id),
        "message_id": str(message.message_id),
        "template": message.template,
        "attempt": job.attempt,
        "correlation_id": job.cause.correlation,
    }
