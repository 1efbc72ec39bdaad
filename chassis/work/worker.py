"""The worker: calls to foreign systems. Durable rows are claimed, called outside any transaction, and settled in one.

A claim is committed before the call. If the process is killed during the call, the row remains marked `in_doubt`, and
the next attempt must find out whether the call took effect before it repeats the call. Of each key one row at a time is
claimed, in the order of creation. Rows are claimed ahead of the calls, and answers that arrive together are settled
together.
"""

import asyncio
import contextlib
import heapq
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import structlog

from chassis import crash_points
from chassis.database.errors import is_outcome_unknown, is_transient
from chassis.database.pool import Database
from chassis.database.presence import Presence
from chassis.limits import CLAIM_WORK_EVERY_S, CLAIMED_AHEAD, CLAIMED_AT_LEAST, GATHER_ANSWERS_S, SETTLED_TOGETHER
from chassis.processor.model import ClaimedTask
from chassis.processor.processor import Processor
from chassis.work.model import Answer, Job, Retry, Work
from chassis.work.settlement import Settlement
from chassis.work.statements import claim, read_job

log = structlog.get_logger(__name__)


class Worker:
    """Performs one kind of work in this process."""

    def __init__(self, work: Work, database: Database, processor: Processor, presence: Presence) -> None:
        self.kind = work.kind
        self._work = work
        self._database = database
        self._presence = presence
        self._settlement = Settlement(work, database, processor)
        self._wake = asyncio.Event()
        self._look = True
        """Whether to look at the table for due rows."""
        self._others_waiting = True
        """Whether rows may be waiting in the table behind the claimed ones."""
        self._looked_at = 0.0
        self._claimed: list[tuple[int, Job]] = []
        """A heap by row id: older rows are called before newer rows."""
        self._calls: set[asyncio.Task[None]] = set()
        self._answered: deque[tuple[Job, Answer]] = deque()
        self._answer_arrived = asyncio.Event()
        self._in_hand = 0
        """Claimed rows that are not settled yet."""
        self._stopping = False
        self._not_claimed: tuple[datetime, str] | None = None
        """Since when claiming fails, and the type of its first error."""
        processor.register_claimer(work.kind, self)
        presence.on_freed(self._look_again)
        presence.on_lost(self._abandon)

    async def run(self) -> None:
        """Claim and call until `stop`; then return when all calls in flight are settled."""
        settling = asyncio.create_task(self._settle_forever())
        try:
            while not self._stopping:
                overdue = time.monotonic() - self._looked_at >= CLAIM_WORK_EVERY_S
                if overdue or (self._look and self._in_hand <= CLAIMED_AHEAD // 2):
                    self._look = False
                    self._looked_at = time.monotonic()
                    await self._claim(max(CLAIMED_AT_LEAST, CLAIMED_AHEAD - self._in_hand))
                self._start_calls()
                await self._pause()
            while self._in_hand:
                while self._claimed:
                    self._answer(heapq.heappop(self._claimed)[1], Retry("stopping", no_effect=True, after_s=0.0))
                await self._pause()
        finally:
            settling.cancel()
            for call in self._calls:
                call.cancel()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._wake.set()

    def degraded_reason(self) -> str | None:
        """Why no work is claimed from the table, or None."""
        if self._not_claimed is None:
            return None
        since, error = self._not_claimed
        return f"work of kind {self._work.kind} is not claimed since {since:%Y-%m-%d %H:%M:%S} UTC: {error}"

    # --- claiming

    def has_capacity(self) -> bool:
        """Whether new work may be claimed as it is written."""
        return self._in_hand < CLAIMED_AHEAD and not self._stopping

    def accept(self, tasks: Sequence[ClaimedTask]) -> None:
        """Take the tasks that were claimed for this process as they were written; look for the others in the table."""
        jobs = [
            Job(
                id=task.id,
                ref=task.ref,
                key=task.key,
                payload=task.payload,
                cause=task.cause,
                attempt=1,
                in_doubt=False,
                owner=task.owner,
                is_ours=partial(self._is_ours, task.owner),
                may_call=partial(self._may_call, task.owner),
            )
            for task in tasks
            if task.owner is not None and task.owner == self._presence.id
        ]
        for job in jobs:
            heapq.heappush(self._claimed, (job.id, job))
        self._in_hand += len(jobs)
        if len(jobs) < len(tasks):
            self._others_waiting = self._look = True
        self._wake.set()

    async def _claim(self, limit: int) -> None:
        owner = self._presence.id
        if owner is None:
            return
        try:
            async with self._database.single() as tx:
                claimed = await claim(tx, self._work.kind, limit, owner)
        except Exception as error:
            if is_transient(error):
                log.warning("work_not_claimed", kind=self._work.kind, error=type(error).__name__)
            else:
                log.error("work_not_claimed", kind=self._work.kind, error=type(error).__name__, exc_info=error)
            self._not_claimed = self._not_claimed or (datetime.now(UTC), type(error).__name__)
            if is_outcome_unknown(error):
                # If the claim was committed, its rows are freed with the identity.
                self._presence.give_up()
            return
        self._not_claimed = None
        if owner != self._presence.id:
            return
        self._others_waiting = bool(claimed or self._in_hand)
        self._in_hand += len(claimed)
        for row in claimed:
            is_ours, may_call = partial(self._is_ours, owner), partial(self._may_call, owner)
            job, unreadable = read_job(row, self._work.read, owner, is_ours, may_call)
            if unreadable is None:
                heapq.heappush(self._claimed, (job.id, job))
            else:
                self._answer(job, unreadable)
        self._look = len(claimed) == limit

    def _is_ours(self, owner: int | None) -> bool:
        return owner == self._presence.id and self._presence.is_certain()

    def _may_call(self, owner: int | None) -> bool:
        return self._is_ours(owner) and not self._stopping

    def _look_again(self) -> None:
        self._look = True
        self._wake.set()

    def _abandon(self) -> None:
        # The identity has ended: the claims may belong to another process, and late answers would be refused.
        for call in self._calls:
            call.cancel()
        self._claimed.clear()
        self._answered.clear()
        self._in_hand = 0
        self._look_again()

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLAIM_WORK_EVERY_S):
                await self._wake.wait()
        self._wake.clear()

    # --- calling

    def _start_calls(self) -> None:
        while self._claimed and len(self._calls) < self._work.concurrency:
            jobs = [heapq.heappop(self._claimed)[1] for _ in range(min(self._work.batch, len(self._claimed)))]
            call = asyncio.create_task(self._perform(jobs))
            self._calls.add(call)
            call.add_done_callback(self._call_finished)

    def _call_finished(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._wake.set()

    async def _perform(self, jobs: Sequence[Job]) -> None:
        started = time.monotonic()
        unanswered = {job.id: job for job in jobs}
        outcomes: list[str] = []

        def take_answer(job: Job, answer: Answer) -> None:
            del unanswered[job.id]
            outcomes.append(type(answer).__name__.lower())
            self._answer(job, answer)

        reason = "unanswered"
        try:
            async for job, answer in self._work.perform(jobs):
                crash_points.reach(crash_points.CALLED)
                take_answer(job, answer)
        except Exception as error:
            log.error("work_failed", kind=self._work.kind, exc_info=error)
            reason = type(error).__name__
        for job in tuple(unanswered.values()):
            take_answer(job, Retry(reason))
        log.info(
            "work_performed",
            kind=self._work.kind,
            jobs=[job.ref for job in jobs],
            outcomes=outcomes,
            ms=round((time.monotonic() - started) * 1000),
        )

    # --- settling

    def _answer(self, job: Job, answer: Answer) -> None:
        if job.owner == self._presence.id:
            self._answered.append((job, answer))
            self._answer_arrived.set()

    async def _settle_forever(self) -> None:
        while True:
            await self._answer_arrived.wait()
            self._answer_arrived.clear()
            if self._in_hand > len(self._answered):
                await asyncio.sleep(GATHER_ANSWERS_S)  # calls of the same moment are answered together
            while self._answered:
                batch = [self._answered.popleft() for _ in range(min(SETTLED_TOGETHER, len(self._answered)))]
                owner = batch[0][0].owner
                try:
                    await self._settlement.settle(batch)
                except Exception as error:
                    # The rows stay claimed, in doubt. They are freed when the identity ends.
                    log.error("work_not_settled", kind=self._work.kind, exc_info=error)
                    self._presence.give_up()
                if owner == self._presence.id:
                    self._in_hand -= len(batch)
                # Rows in the table may have waited for a settled row of their key.
                self._look = self._look or self._others_waiting
                self._wake.set()
