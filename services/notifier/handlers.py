"""Sending: one claimed message at a time, looked for before anything is repeated."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import structlog

from chassis.worker import Answer, Done, Job, Park, Retry, one_by_one
from contracts.sealing import Sealer, Unsealable
from services.notifier import texts
from services.notifier.domain import (
    Accepted,
    Attempt,
    Barred,
    InDoubt,
    LookAgain,
    LookAnswer,
    Message,
    Patience,
    Refused,
    Repeated,
    SendAnswer,
    Settle,
    Settled,
    SmsSettled,
    Unreached,
    after_look,
    looked,
)
from services.notifier.providers import Provider
from services.notifier.store import Letter

log = structlog.get_logger(__name__)

REPEAT_WINDOW_S = 61.0
"""The provider takes an identical request for a repeat for one minute."""
BARRED_FOR_S = 300.0
"""How long nothing is tried after a money, password or address error: each try could make it worse."""
BEGUN_FOR_S = 5.0
AT_ONCE = 7
"""Calls in flight: SMSC refuses more than fifteen at once, and two copies of the service may run."""


class Desk(Protocol):
    """What sending keeps between claim and outcome; `store.Attempts` in the service."""

    async def letters(self, message_ids: Sequence[UUID]) -> Mapping[UUID, Letter]: ...
    async def begin(self, message_id: UUID, provider: str, earlier: Attempt | None) -> bool: ...
    async def forget(self, message_id: UUID) -> None: ...
    async def looked(self, message_id: UUID, attempt: Attempt) -> None: ...


class Sending:
    """Performs the work `sms` through one provider."""

    def __init__(self, desk: Desk, sealer: Sealer, provider: Provider, patience: Patience | None = None) -> None:
        self._desk = desk
        self._sealer = sealer
        self._provider = provider
        self._patience = patience or Patience()
        self._barred_until = 0.0
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def perform(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Answer each job. An attempt on record, not the job, says whether a message may be out already."""
        letters = await self._desk.letters([UUID(job.ref) for job in jobs])
        # All of them at once, so that beginnings share a transaction; the provider is called through the gate.
        async for answered in one_by_one(jobs, partial(self._one, letters=letters)):
            yield answered

    async def _one(self, job: Job, letters: Mapping[UUID, Letter]) -> Answer:
        letter = letters.get(UUID(job.ref))
        if letter is None:
            return Park("no-such-message")
        message = letter.message
        if message.status != "waiting":
            return Done(SmsSettled(message.message_id, message.status, message.provider or "", message.detail))
        if letter.person is None:
            # The partners topic may lag behind the one that told of the lead.
            log.warning("recipient is not known yet", **_ids(message, job))
            return Retry("partner-unknown", certain=True)
        if (barred := self._barred_until - time.monotonic()) > 0:
            return Retry("provider-barred", certain=True, after_s=barred)
        try:
            phone = self._sealer.open(letter.person, message.partner_id).phone
            full_name = self._sealer.open(message.client, str(message.lead_id)).full_name
        except Unsealable as error:
            log.error("cannot be opened", reason=str(error), **_ids(message, job))
            return Park("unsealable")
        text = texts.render(message.template, full_name, message.lead_id, message.through)
        if letter.attempt is None:
            return await self._send(job, message, phone, text, None)
        return await self._look(job, message, phone, text, letter.attempt)

    async def _send(self, job: Job, message: Message, phone: str, text: str, earlier: Attempt | None) -> Answer:
        begun = await self._desk.begin(message.message_id, self._provider.name, earlier)
        began = time.monotonic()
        async with self._gate:
            if begun and time.monotonic() - began > BEGUN_FOR_S:
                # What is on record must not be older than the call, or a look would give up on it too early.
                again = replace(earlier, sends=earlier.sends + 1) if earlier is not None else Attempt(0)
                begun = await self._desk.begin(message.message_id, self._provider.name, again)
            # A process that was frozen may have lost its claim to another, which is sending already.
            if not begun or not job.ours():
                return Retry("stalled")
            started = time.monotonic()
            answer = await self._provider.send(message.message_id, phone, text)
        self._log("sms send", job, message, answer, started)
        match answer:
            case Accepted():
                return self._done(message, "sent", None)
            case Refused(code):
                return self._done(message, "failed", code)
            case InDoubt(reason):
                looks = earlier.looks if earlier is not None else 0
                return Retry(reason, after_s=self._patience.waits_s[looks])
            case Repeated() | Barred() | Unreached():
                return await self._put_off(message, answer, earlier)

    async def _put_off(
        self, message: Message, answer: Repeated | Barred | Unreached, earlier: Attempt | None
    ) -> Answer:
        """This attempt certainly did nothing; whether an `earlier` one did is as open as before."""
        certain = earlier is None
        if certain:
            await self._desk.forget(message.message_id)
        match answer:
            case Repeated(code):
                return Retry(f"repeated-{code}", certain=certain, after_s=REPEAT_WINDOW_S)
            case Barred(code):
                return self._bar(code, certain)
            case Unreached(reason):
                return Retry(reason, certain=certain)

    async def _look(self, job: Job, message: Message, phone: str, text: str, attempt: Attempt) -> Answer:
        async with self._gate:
            started = time.monotonic()
            answer = await self._provider.look(message.message_id, phone)
        self._log("sms look", job, message, answer, started)
        if isinstance(answer, Barred):
            return self._bar(answer.code, certain=False)
        attempt = looked(attempt, answer)
        await self._desk.looked(message.message_id, attempt)
        step = after_look(answer, attempt, self._patience)
        match step:
            case Settle(status, detail):
                return self._done(message, status, detail)
            case LookAgain(after_s):
                return Retry("in-doubt", after_s=after_s)
            case _:
                return await self._send(job, message, phone, text, attempt)

    def _bar(self, code: str, certain: bool) -> Retry:
        self._barred_until = time.monotonic() + BARRED_FOR_S
        log.error("provider is barred", provider=self._provider.name, code=code, for_s=BARRED_FOR_S)
        return Retry(f"barred-{code}", certain=certain, after_s=BARRED_FOR_S)

    def _done(self, message: Message, status: Settled, detail: str | None) -> Done:
        if status == "unknown":
            log.error("nobody can tell whether an sms went out", message_id=str(message.message_id))
        return Done(SmsSettled(message.message_id, status, self._provider.name, detail))

    def _log(self, event: str, job: Job, message: Message, answer: SendAnswer | LookAnswer, started: float) -> None:
        log.info(
            event,
            provider=self._provider.name,
            answer=type(answer).__name__.lower(),
            code=getattr(answer, "code", None) or getattr(answer, "reason", None),
            ms=round((time.monotonic() - started) * 1000),
            **_ids(message, job),
        )


def _ids(message: Message, job: Job) -> dict[str, Any]:
    return {
        "lead_id": str(message.lead_id),
        "message_id": str(message.message_id),
        "template": message.template,
        "attempt": job.attempt,
        "correlation_id": job.cause.correlation,
    }
