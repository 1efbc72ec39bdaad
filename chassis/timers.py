"""What becomes due by business time: found in the service's own rows, decided like any other input."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from chassis.clock import Clock
from chassis.database.sql import Connection, Database, is_transient
from chassis.outbox.publisher import Publisher
from chassis.processor.processor import Input, Outcome, Processor

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.5
BATCH = 500
AT_ONCE = 8  # batches: while the database works on some, another is decided


@dataclass(frozen=True, slots=True)
class Timer:
    """`due(tx, now, limit)` finds what is due; the rule decides again under the lock, so a late or doubled firing
    does nothing. Never early; as late as `LOOK_EVERY_S` and what an outage adds. The longest overdue first, `AT_ONCE`
    batches together."""

    name: str
    due: Callable[[Connection, datetime, int], Awaitable[Sequence[Input]]]


async def run_timer(timer: Timer, database: Database, processor: Processor, publisher: Publisher, clock: Clock) -> None:
    """Look and decide for as long as the service runs."""
    while True:
        if await _fire(timer, database, processor, clock):
            with publisher.giving_way():
                while await _fire(timer, database, processor, clock):
                    pass
        await asyncio.sleep(LOOK_EVERY_S)


async def _fire(timer: Timer, database: Database, processor: Processor, clock: Clock) -> bool:
    """What is due now; whether more may be."""
    most = BATCH * AT_ONCE
    try:
        async with database.single() as tx:
            found = await timer.due(tx, clock.now(), most)
        crowd = len(found) == most
        batches = [found[first : first + BATCH] for first in range(0, len(found), BATCH)]
        done = await asyncio.gather(
            *(processor.process(batch, deferred=crowd) for batch in batches), return_exceptions=True
        )
        outcomes: list[Outcome] = []
        for one in done:
            if isinstance(one, BaseException):
                raise one
            outcomes.extend(one)
        # An error is shown in the log; do not spin on it.
        return crowd and all(outcome.error is None for outcome in outcomes)
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("timer waits", timer=timer.name, error=type(error).__name__)
        return False
