"""Calls to foreign systems: durable rows, claimed, called outside any transaction, settled in one.

A claim is committed before the call, so a crash in between leaves its mark: the row comes back `in_doubt`, and
whoever performs it must look before repeating. One row a key is in flight, in the order they were asked for.
Rows are claimed ahead, and answers settled together: while one transaction runs, the next gathers.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
import structlog

from chassis import crash_points
from chassis.database.presence import Presence
from chassis.database.sql import Database, execute, is_transient, rows
from chassis.decision import Cause
from chassis.observability import metrics
from chassis.processor.processor import ClaimedTask, Input, Outcome, Processor

log = structlog.get_logger(__name__)

POLL_EVERY_S = 1.0
AHEAD = 500
SETTLE_AT_ONCE = 500
GATHER_S = 0.003

_CLAIM = """
    WITH due AS (
        SELECT id, in_doubt FROM work w
        WHERE kind = $1 AND state = 'waiting' AND owner IS NULL AND due_at <= now()
          AND (SELECT e.id FROM work e WHERE e.key = w.key AND e.state = 'waiting'
               ORDER BY e.owner, e.id LIMIT 1) = w.id  -- one in flight comes first, though parked ones be retried
        ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    UPDATE work w SET owner = $3, attempts = attempts + 1, in_doubt = true FROM due WHERE w.id = due.id
    RETURNING w.id, w.ref, w.key, w.payload::text AS payload, w.cause::text AS cause, w.attempts, due.in_doubt, w.note
"""
_PUT_BACK = """
    UPDATE work w SET owner = NULL, state = u.state, in_doubt = u.in_doubt, note = u.note,
        due_at = now() + make_interval(secs => u.pause), finished_at = CASE WHEN u.state = 'parked' THEN now() END
    FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::boolean[], $5::text[], $6::float8[])
         AS u (id, owner, state, in_doubt, note, pause)
    WHERE w.id = u.id AND w.owner = u.owner
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed row. `in_doubt`: an earlier attempt may have taken effect. `note`: why it was last put back,
    or `presence.OWNER_LOST` if its owner ended without a word.

    Ask `is_ours()` right before each call: False if another process may have taken the row over. `may_call()` is also
    False while the service stops.
    """

    id: int
    ref: str
    key: str
    payload: Mapping[str, Any]
    cause: Cause
    attempt: int
    in_doubt: bool
    owner: int | None = None
    note: str | None = None
    is_ours: Callable[[], bool] = field(default=lambda: True, repr=False, compare=False)
    may_call: Callable[[], bool] = field(default=lambda: True, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again later. `certain`: it is known that nothing took effect. `after_s` replaces the backoff."""

    reason: str
    no_effect: bool = False
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
Perform = Callable[[Sequence[Job]], AsyncIterator[tuple[Job, Answer]]]


async def call_each(
    jobs: Sequence[Job], call: Callable[[Job], Awaitable[Answer]], gate: asyncio.Semaphore | None = None
) -> AsyncIterator[tuple[Job, Answer]]:
    """A call for each job, as many at once as `gate` lets through; each answers as soon as it can."""
    gate = gate or asyncio.Semaphore(len(jobs))

    async def answer(job: Job) -> tuple[Job, Answer]:
        async with gate:
            if not job.may_call():
                return job, Retry("not-called", no_effect=True, after_s=0.0)
            try:
                return job, await call(job)
            except Exception as error:
                log.error("call failed unexpectedly", ref=job.ref, exc_info=error)
                return job, Retry(type(error).__name__)

    calls = [asyncio.create_task(answer(job)) for job in jobs]
    try:
        for settled in asyncio.as_completed(calls):
            yield await settled
    finally:
        for one in calls:
            one.cancel()


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of call: `perform` gets up to `batch` jobs of different keys and answers each as soon as it can.

    `perform` bounds every call by a timeout of its own. An exception it raises is a `Retry` of all jobs it has not
    answered. At most `concurrency` of it run at once.
    """

    kind: str
    perform: Perform
    batch: int = 1
    concurrency: int = 4
    backoff_s: tuple[float, float] = (1.0, 300.0)


class Worker:
    """Performs the work of one kind in this process."""

    def __init__(self, work: Work, database: Database, processor: Processor, presence: Presence) -> None:
        self._work = work
        self._database = database
        self._processor = processor
        self._presence = presence
        self._wake = asyncio.Event()
        self._look = self._left = True
        self._claimed: deque[Job] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._answered: deque[tuple[Job, Answer]] = deque()
        self._settle = asyncio.Event()
        self._in_hand = 0
        self._stopping = False
        processor.register_claimer(work.kind, self)
        presence.on_freed(self._look_again)
        presence.on_lost(self._abandon)

    async def run(self) -> None:
        """Claim and call until `stop`, then return when what is in flight is settled."""
        settling = asyncio.create_task(self._settle_forever())
        try:
            while not self._stopping:
                if self._look and self._in_hand <= AHEAD // 2:
                    self._look = False
                    await self._claim(AHEAD - self._in_hand)
                self._start_calls()
                await self._pause()
            while self._in_hand:
                while self._claimed:
                    self._answer(self._claimed.popleft(), Retry("stopping", no_effect=True, after_s=0.0))
                await self._pause()
        finally:
            settling.cancel()
            for task in self._running:
                task.cancel()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._wake.set()

    def has_capacity(self) -> bool:
        """Whether work that is asked for now may be claimed at once."""
        return self._in_hand < AHEAD and not self._stopping

    def accept(self, asked: Sequence[ClaimedTask]) -> None:
        """Work that was claimed as it was asked for; what was not is looked for."""
        jobs = [
            Job(
                id=one.id,
                ref=one.ref,
                key=one.key,
                payload=one.payload,
                cause=one.cause,
                attempt=1,
                in_doubt=False,
                owner=one.owner,
                is_ours=partial(self._is_ours, one.owner),
                may_call=partial(self._may_call, one.owner),
            )
            for one in asked
            if one.owner is not None and one.owner == self._presence.id
        ]
        self._claimed.extend(jobs)
        self._in_hand += len(jobs)
        if len(jobs) < len(asked):
            self._left = self._look = True
        self._wake.set()

    def _is_ours(self, owner: int | None) -> bool:
        return owner == self._presence.id and self._presence.sure()

    def _may_call(self, owner: int | None) -> bool:
        return self._is_ours(owner) and not self._stopping

    def _look_again(self) -> None:
        self._look = True
        self._wake.set()

    def _start_calls(self) -> None:
        while self._claimed and len(self._running) < self._work.concurrency:
            jobs = [self._claimed.popleft() for _ in range(min(self._work.batch, len(self._claimed)))]
            task = asyncio.create_task(self._perform(jobs))
            self._running.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    def _abandon(self) -> None:
        # Our claims may be another's by now; an answer that still comes would be refused anyway.
        for task in self._running:
            task.cancel()
        self._claimed.clear()
        self._answered.clear()
        self._in_hand = 0
        self._look_again()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(POLL_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            self._look = True
        self._wake.clear()

    async def _claim(self, limit: int) -> None:
        owner = self._presence.id
        if owner is None:
            return
        try:
            async with self._database.single() as tx:
                claimed = await rows(tx, _CLAIM, self._work.kind, limit, owner)
        except Exception as error:
            if not is_transient(error):
                raise
            # Whether it was committed, nobody knows: what was claimed is freed with the identity.
            log.warning("cannot claim work", kind=self._work.kind, error=type(error).__name__)
            self._presence.give_up()
            return
        if owner != self._presence.id:
            return

        for row in sorted(claimed, key=lambda row: int(row.id)):
            job = Job(
                id=row.id,
                ref=row.ref,
                key=row.key,
                payload=_json(row.payload),
                cause=Cause(**_json(row.cause)),
                attempt=row.attempts,
                in_doubt=row.in_doubt,
                owner=owner,
                note=row.note,
                is_ours=partial(self._is_ours, owner),
                may_call=partial(self._may_call, owner),
            )
            self._claimed.append(job)
        self._left = bool(claimed or self._in_hand)
        self._in_hand += len(claimed)
        self._look = len(claimed) == limit

    async def _perform(self, jobs: Sequence[Job]) -> None:
        started = time.monotonic()
        left = {job.id: job for job in jobs}
        outcomes: list[str] = []

        def settle(job: Job, answer: Answer) -> None:
            del left[job.id]
            outcomes.append(type(answer).__name__.lower())
            self._answer(job, answer)

        reason = "unanswered"
        try:
            async for job, answer in self._work.perform(jobs):
                crash_points.passing(crash_points.CALLED)
                settle(job, answer)
        except Exception as error:
            log.error("call failed unexpectedly", kind=self._work.kind, exc_info=error)
            reason = type(error).__name__
        for job in tuple(left.values()):
            settle(job, Retry(reason))
        log.info(
            "work performed",
            kind=self._work.kind,
            jobs=[job.ref for job in jobs],
            outcomes=outcomes,
            ms=round((time.monotonic() - started) * 1000),
        )

    def _answer(self, job: Job, answer: Answer) -> None:
        if job.owner == self._presence.id:
            self._answered.append((job, answer))
            self._settle.set()

    async def _settle_forever(self) -> None:
        while True:
            await self._settle.wait()
            self._settle.clear()
            if self._in_hand > len(self._answered):
                await asyncio.sleep(GATHER_S)  # more of them are being answered at this moment, perhaps
            while self._answered:
                batch = [self._answered.popleft() for _ in range(min(SETTLE_AT_ONCE, len(self._answered)))]
                owner = batch[0][0].owner
                try:
                    await self._settle_batch(batch)
                except Exception as error:
                    # Unsettled rows come back, in doubt, once the identity they are claimed under has ended.
                    log.error("work was not settled", kind=self._work.kind, exc_info=error)
                    self._presence.give_up()
                if owner == self._presence.id:
                    self._in_hand -= len(batch)
                # What is left may have waited for one of these; of what others left, the next poll will tell.
                self._look = self._look or self._left
                self._wake.set()

    async def _settle_batch(self, batch: Sequence[tuple[Job, Answer]]) -> None:
        done = [
            Input(job.key, answer.body, job.cause, work_id=job.id, step=f"{self._work.kind}/{job.ref}/")
            for job, answer in batch
            if isinstance(answer, Done)
        ]
        back = [(job, answer) for job, answer in batch if not isinstance(answer, Done)]
        by_id = {job.id: job for job, _ in batch}
        for item, outcome in zip(done, await self._store(done), strict=True):
            if outcome.error is not None and item.work_id is not None:
                back.append((by_id[item.work_id], Park(type(outcome.error).__name__)))
        for _, answer in batch:
            metrics.TASKS.labels(self._work.kind, type(answer).__name__.lower()).inc()
        if back:
            await self._put_back(back)

    async def _store(self, done: Sequence[Input]) -> Sequence[Outcome]:
        delay = 0.1
        while done:
            try:
                return await self._processor.process(done)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("cannot store an outcome yet", kind=self._work.kind, error=type(error).__name__)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
        return ()

    async def _put_back(self, back: Sequence[tuple[Job, Retry | Park]]) -> None:
        for job, answer in back:
            if isinstance(answer, Park):
                log.error("parked", kind=self._work.kind, ref=job.ref, reason=answer.reason)
                metrics.PARKED_WORK.labels(self._work.kind).inc()
        async with self._database.single() as tx:
            await execute(
                tx,
                _PUT_BACK,
                [job.id for job, _ in back],
                [job.owner for job, _ in back],
                ["parked" if isinstance(answer, Park) else "waiting" for _, answer in back],
                # Certain now, yet an attempt before this one may still have taken effect.
                [job.in_doubt or not (isinstance(answer, Park) or answer.no_effect) for job, answer in back],
                [answer.reason for _, answer in back],
                [0.0 if isinstance(answer, Park) else self._pause_before(job, answer) for job, answer in back],
            )

    def _pause_before(self, job: Job, answer: Retry) -> float:
        if answer.after_s is not None:
            return answer.after_s
        first, most = self._work.backoff_s
        return min(most, first * float(2 ** min(job.attempt - 1, 20))) * random.uniform(0.5, 1.5)


def _json(text: str) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(text)
    return value
