"""What becomes due by business time: found in the service's own rows, decided like any other input."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from chassis.clock import Clock
from chassis.database import Connection, Database, is_transient
from chassis.processor import Input, Processor

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.5
BATCH = 500


@dataclass(frozen=True, slots=True)
class Timer:
    """`due(tx, now, limit)` finds what is due; the rule decides again under the lock, so a late or doubled firing
    does nothing. Never early; as late as `LOOK_EVERY_S` and what an outage adds."""

    name: str
    due: Callable[[Connection, datetime, int], Awaitable[Sequence[Input]]]


async def run_timer(timer: Timer, database: Database, processor: Processor, clock: Clock) -> None:
    """Look and decide for as long as the service runs."""
    while True:
        found: Sequence[Input] = ()
        try:
            async with database.single() as tx:
                found = await timer.due(tx, clock.now(), BATCH)
            if found:
                outcomes = await processor.process(found)
                if any(outcome.error is not None for outcome in outcomes):
                    found = ()  # shown in the log; do not spin on it
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("timer waits", timer=timer.name, error=type(error).__name__)
            found = ()
        await asyncio.sleep(0 if len(found) == BATCH else LOOK_EVERY_S)
