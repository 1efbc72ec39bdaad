"""Settlement: the answers of jobs are stored together, in one transaction for each batch of answers."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from chassis.backoff import backoff_s
from chassis.database.errors import is_transient
from chassis.database.pool import Database
from chassis.observability import metrics
from chassis.processor.model import Input, Outcome
from chassis.processor.processor import Processor
from chassis.work.model import Answer, Done, Job, Park, Retry, Work
from chassis.work.statements import put_back

log = structlog.get_logger(__name__)

_RETRY_S: Final = (0.1, 5.0)


class Settlement:
    """Stores answers of one kind of work."""

    def __init__(self, work: Work, database: Database, processor: Processor) -> None:
        self._work = work
        self._database = database
        self._processor = processor

    async def settle(self, batch: Sequence[tuple[Job, Answer]]) -> None:
        """Decide the outcomes of finished jobs, which closes their rows, and put the other rows back.

        An outcome that the rule refuses parks its row. Retries while the database fails; raises other errors.
        """
        done = [
            Input(
                job.key,
                answer.body,
                job.cause,
                work_id=job.id,
                step=f"{self._work.kind}/{job.ref}/",
                related=answer.related,
            )
            for job, answer in batch
            if isinstance(answer, Done)
        ]
        back = [(job, answer) for job, answer in batch if not isinstance(answer, Done)]
        by_id = {job.id: job for job, _ in batch}
        for item, outcome in zip(done, await self._decide(done), strict=True):
            if outcome.error is not None and item.work_id is not None:
                back.append((by_id[item.work_id], Park(type(outcome.error).__name__)))
        for _, answer in batch:
            metrics.WORK_ATTEMPTS.labels(self._work.kind, type(answer).__name__.lower()).inc()
        if back:
            await self._put_back(back)

    async def _decide(self, done: Sequence[Input]) -> Sequence[Outcome]:
        attempt = 0
        while done:
            try:
                return await self._processor.process(done)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("outcome_not_stored", kind=self._work.kind, error=type(error).__name__)
                attempt += 1
                await asyncio.sleep(backoff_s(attempt, *_RETRY_S))
        return ()

    async def _put_back(self, back: Sequence[tuple[Job, Retry | Park]]) -> None:
        for job, answer in back:
            if isinstance(answer, Park):
                log.error("work_parked", kind=self._work.kind, ref=job.ref, reason=answer.reason)
                metrics.WORK_PARKED.labels(self._work.kind).inc()
        async with self._database.single() as tx:
            await put_back(tx, [(job, answer, self._pause_s(job, answer)) for job, answer in back])

    def _pause_s(self, job: Job, answer: Retry | Park) -> float:
        if isinstance(answer, Park):
            return 0.0
        if answer.after_s is not None:
            return answer.after_s
        return backoff_s(job.attempt, *self._work.backoff_s)
