"""Calls to foreign systems: durable rows, claimed, called outside any transaction, settled in one.

A claim is committed before the call, so a crash in between leaves its mark: the row comes back `in_doubt`, and
whoever performs it must look before repeating. One row a key is in flight, in the order they were asked for.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import metrics
from chassis.database import execute, is_transient, rows
from chassis.decision import Cause
from chassis.presence import Presence
from chassis.processor import Input, Processor

log = structlog.get_logger(__name__)

POLL_EVERY_S = 0.5

_CLAIM = """
    WITH due AS (
        SELECT id, in_doubt FROM work w
        WHERE kind = $1 AND state = 'waiting' AND owner IS NULL AND due_at <= now()
          AND NOT EXISTS (SELECT 1 FROM work e WHERE e.key = w.key AND e.state = 'waiting' AND e.id < w.id)
        ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    UPDATE work w SET owner = $3, attempts = attempts + 1, in_doubt = true FROM due WHERE w.id = due.id
    RETURNING w.id, w.ref, w.key, w.payload::text AS payload, w.cause::text AS cause, w.attempts, due.in_doubt
"""
_POSTPONE = """
    UPDATE work SET owner = NULL, in_doubt = $3, note = $4, due_at = now() + make_interval(secs => $5)
    WHERE id = $1 AND owner = $2
"""
_PARK = """
    UPDATE work SET owner = NULL, state = 'parked', note = $3, finished_at = now() WHERE id = $1 AND owner = $2
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed row. `in_doubt`: an earlier attempt may have taken effect."""

    id: int
    ref: str
    key: str
    payload: Mapping[str, Any]
    cause: Cause
    attempt: int
    in_doubt: bool


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again later. `certain`: it is known that nothing took effect. `after_s` replaces the backoff."""

    reason: str
    certain: bool = False
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Park:
    """Repeating will not help: a person decides. Later work of the key goes on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """It is done; `body` is decided under the key's lock, in the transaction that closes the row."""

    body: Any


Answer = Done | Retry | Park
Perform = Callable[[Sequence[Job]], Awaitable[Sequence[Answer]]]


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of call: `perform` gets up to `batch` jobs of different keys and answers each, in order.

    `perform` bounds every call by a timeout of its own. An exception it raises is a `Retry` of all its jobs.
    """

    kind: str
    perform: Perform
    batch: int = 1
    concurrency: int = 4
    backoff_s: tuple[float, float] = (1.0, 300.0)


class Worker:
    """Performs the work of one kind in this process."""

    def __init__(self, work: Work, engine: AsyncEngine, processor: Processor, presence: Presence) -> None:
        self._work = work
        self._engine = engine
        self._processor = processor
        self._presence = presence
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False
        processor.on_work(work.kind, self._wake.set)
        presence.on_freed(self._wake.set)
        presence.on_lost(self._abandon)

    async def run(self) -> None:
        """Claim and perform until stopped; returns when what is in flight is settled."""
        while not self._stopping:
            free = self._work.concurrency - len(self._running)
            claimed = await self._claim(free * self._work.batch) if free > 0 else []
            for start in range(0, len(claimed), self._work.batch):
                task = asyncio.create_task(self._perform(claimed[start : start + self._work.batch]))
                self._running.add(task)
                task.add_done_callback(self._finished)
            if len(claimed) < free * self._work.batch or free <= 0:
                await self._pause()
        if self._running:
            await asyncio.wait(self._running)

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._wake.set()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # Unsettled rows come back, in doubt, once the identity they are claimed under has ended.
            log.error("work was not settled", kind=self._work.kind, exc_info=error)
            self._presence.give_up()

    def _abandon(self) -> None:
        # Our claims may be another's by now; an answer that still comes would be refused anyway.
        for task in self._running:
            task.cancel()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(POLL_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _claim(self, limit: int) -> list[Job]:
        if self._presence.id is None:
            return []
        try:
            async with self._engine.begin() as tx:
                claimed = await rows(tx, _CLAIM, self._work.kind, limit, self._presence.id)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("cannot claim work", kind=self._work.kind, error=type(error).__name__)
            await asyncio.sleep(POLL_EVERY_S)
            return []
        jobs = [
            Job(
                id=row.id,
                ref=row.ref,
                key=row.key,
                payload=_json(row.payload),
                cause=Cause(**_json(row.cause)),
                attempt=row.attempts,
                in_doubt=row.in_doubt,
            )
            for row in claimed
        ]
        return sorted(jobs, key=lambda job: job.id)

    async def _perform(self, jobs: Sequence[Job]) -> None:
        started = time.monotonic()
        owner = self._presence.id
        answers: Sequence[Answer]
        try:
            answers = await self._work.perform(jobs)
        except Exception as error:
            log.error("call failed unexpectedly", kind=self._work.kind, exc_info=error)
            answers = [Retry(type(error).__name__)] * len(jobs)
        done = [
            Input(job.key, answer.body, job.cause, work=job.id, step=f"{self._work.kind}/{job.ref}/")
            for job, answer in zip(jobs, answers, strict=True)
            if isinstance(answer, Done)
        ]
        await self._settle(done)
        for job, answer in zip(jobs, answers, strict=True):
            metrics.TASKS.labels(self._work.kind, type(answer).__name__.lower()).inc()
            if not isinstance(answer, Done):
                await self._put_back(job, answer, owner)
        log.info(
            "work performed",
            kind=self._work.kind,
            jobs=[job.ref for job in jobs],
            outcomes=[type(answer).__name__.lower() for answer in answers],
            ms=round((time.monotonic() - started) * 1000),
        )

    async def _settle(self, done: Sequence[Input]) -> None:
        delay = 0.1
        while done:
            try:
                outcomes = await self._processor.process(done)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("cannot store an outcome yet", kind=self._work.kind, error=type(error).__name__)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
                continue
            for item, outcome in zip(done, outcomes, strict=True):
                if outcome.error is not None and item.work is not None:
                    await self._run(_PARK, item.work, self._presence.id, type(outcome.error).__name__)
            return

    async def _put_back(self, job: Job, answer: Retry | Park, owner: int | None) -> None:
        if isinstance(answer, Park):
            log.warning("parked", kind=self._work.kind, ref=job.ref, reason=answer.reason)
            await self._run(_PARK, job.id, owner, answer.reason)
            return
        pause = answer.after_s if answer.after_s is not None else self._backoff(job.attempt)
        # Certain now, yet an attempt before this one may still have taken effect.
        in_doubt = not answer.certain or job.in_doubt
        await self._run(_POSTPONE, job.id, owner, in_doubt, answer.reason, pause)

    def _backoff(self, attempt: int) -> float:
        first, most = self._work.backoff_s
        return min(most, first * float(2 ** min(attempt - 1, 20))) * random.uniform(0.5, 1.5)

    async def _run(self, sql: str, *args: Any) -> None:
        async with self._engine.begin() as tx:
            await execute(tx, sql, *args)


def _json(text: str) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(text)
    return value
