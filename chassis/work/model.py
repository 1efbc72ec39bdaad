"""The types of a service's work: jobs, their answers, and kinds of work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from chassis.decision import Cause

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed work row.

    `attempt` counts from 1. `in_doubt`: an earlier attempt may have taken effect, so find out its effect before
    repeating the call. `note`: the reason of the last retry, or `OWNER_LOST` if the process that made the call ended
    during it. Check `is_ours()` before each call: it is False if another process may have taken the row over.
    `may_call()` is also False while the service stops.
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
    """Call again later. `no_effect`: the call certainly had no effect. `after_s` replaces the backoff, in seconds."""

    reason: str
    no_effect: bool = False
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Park:
    """Do not call again: a person decides. Later work of the same key continues."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """The call is done. `body` is decided under the key's lock, in the transaction that closes the row.

    `related`: further keys whose states the rule reads, locked with the key.
    """

    body: Any
    related: tuple[str, ...] = ()


Answer = Done | Retry | Park
Perform = Callable[[Sequence[Job]], AsyncIterator[tuple[Job, Answer]]]


def _read_nothing(_: Job) -> None:
    """The arguments of the job are any JSON object."""


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work. `perform` gets at most `batch` jobs of different keys, and yields an answer for each.

    At most `concurrency` calls of `perform` run at once. `perform` limits every call by a timeout of its own. An
    exception that it raises is a retry of all jobs it has not answered. `backoff_s`: the first and the longest pause
    between attempts, in seconds. `read` reads the `ref` and the payload of a job as `perform` will, and raises an
    exception if this version cannot: then the row is parked, so that it does not hold up the other jobs of its batch.
    """

    kind: str
    perform: Perform
    batch: int = 1
    concurrency: int = 4
    backoff_s: tuple[float, float] = (1.0, 300.0)
    read: Callable[[Job], object] = _read_nothing


async def call_each(
    jobs: Sequence[Job], call: Callable[[Job], Awaitable[Answer]], gate: asyncio.Semaphore | None = None
) -> AsyncIterator[tuple[Job, Answer]]:
    """Call `call` for each job, as many at once as `gate` allows (None: all), and yield each answer when it arrives."""
    gate = gate or asyncio.Semaphore(len(jobs))

    async def answer(job: Job) -> tuple[Job, Answer]:
        async with gate:
            if not job.may_call():
                return job, Retry("not-called", no_effect=True, after_s=0.0)
            try:
                return job, await call(job)
            except Exception as error:
                log.error("job_failed", ref=job.ref, exc_info=error)
                return job, Retry(type(error).__name__)

    calls = [asyncio.create_task(answer(job)) for job in jobs]
    try:
        for settled in asyncio.as_completed(calls):
            yield await settled
    finally:
        for one in calls:
            one.cancel()
