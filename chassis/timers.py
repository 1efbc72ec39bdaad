"""Timers: a timer finds due rows in the service's database by business time and decides them as inputs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from chassis.clock import Clock
from chassis.database.errors import is_transient
from chassis.database.pool import Connection, Database
from chassis.limits import TIMER_BATCH, TIMER_BATCHES_AT_ONCE, TIMER_EVERY_S
from chassis.outbox.outbox import Outbox
from chassis.processor.model import Input, Outcome
from chassis.processor.processor import Processor

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer of a service. `due(tx, now, limit)` returns at most `limit` inputs that are due, the most overdue first.

    The rule decides again under the lock of the key, so a late or repeated firing changes nothing. A timer never fires
    early. It fires late by at most half a second, and by what an outage adds.
    """

    name: str
    due: Callable[[Connection, datetime, int], Awaitable[Sequence[Input]]]


async def run_timer(timer: Timer, database: Database, processor: Processor, outbox: Outbox, clock: Clock) -> None:
    """Fire the timer for as long as the service runs."""
    while True:
        if await _fire(timer, database, processor, clock):
            # A backlog is due. Its events are stored deferred, and published after the whole backlog was decided.
            with outbox.claiming_paused():
                while await _fire(timer, database, processor, clock):
                    pass
        await asyncio.sleep(TIMER_EVERY_S)


async def _fire(timer: Timer, database: Database, processor: Processor, clock: Clock) -> bool:
    """Decide what is due now. Returns whether more may be due."""
    limit = TIMER_BATCH * TIMER_BATCHES_AT_ONCE
    try:
        async with database.single() as tx:
            due = await timer.due(tx, clock.now(), limit)
        crowd = len(due) == limit
        # The database works on some batches while Python decides others.
        batches = [due[first : first + TIMER_BATCH] for first in range(0, len(due), TIMER_BATCH)]
        results = await asyncio.gather(
            *(processor.process(batch, deferred=crowd) for batch in batches), return_exceptions=True
        )
        outcomes: list[Outcome] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            outcomes.extend(result)
        # The processor has logged any error. Firing again at once would only repeat it.
        return crowd and all(outcome.error is None for outcome in outcomes)
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("timer_retried", timer=timer.name, error=type(error).__name__)
        return False
