"""Timers: a timer finds due rows in the service's database by business time and decides them as inputs."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from chassis.backoff import backoff_s
from chassis.clock import Clock
from chassis.database.errors import is_transient
from chassis.database.pool import Connection, Database
from chassis.limits import TIMER_BATCH, TIMER_BATCHES_AT_ONCE, TIMER_EVERY_S, TIMER_INPUT_RETRY_S
from chassis.outbox.outbox import Outbox
from chassis.processor.model import Input, Outcome
from chassis.processor.processor import Processor

log = structlog.get_logger(__name__)

_AT_ONCE = TIMER_BATCH * TIMER_BATCHES_AT_ONCE


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer of a service. `due(tx, now, limit)` returns at most `limit` inputs that are due, the most overdue first.

    The rule decides again under the lock of the key, so a late or repeated firing changes nothing. A timer never fires
    early. It fires late by at most half a second, and by what an outage adds. An input that its rule cannot decide is
    decided again after a pause, and holds up no other input.
    """

    name: str
    due: Callable[[Connection, datetime, int], Awaitable[Sequence[Input]]]


class TooManyFail(Exception):
    """So many inputs of a timer fail that the fault is not theirs."""


@dataclass(slots=True)
class _Failing:
    """An input that its rule could not decide. `retry_at`: monotonic time."""

    since: datetime
    error: str
    attempts: int = 0
    retry_at: float = 0.0


class TimerTask:
    """Fires one timer in this process."""

    def __init__(self, timer: Timer, database: Database, processor: Processor, outbox: Outbox, clock: Clock) -> None:
        self._timer = timer
        self._database = database
        self._processor = processor
        self._outbox = outbox
        self._clock = clock
        self._failing: dict[tuple[str, ...], _Failing] = {}

    async def run(self) -> None:
        """Fire the timer for as long as the service runs. Raises what `due` raises, and TooManyFail."""
        self._failing.clear()
        while True:
            if await self._fire():
                # A backlog is due. Its events are stored deferred, and published after the whole backlog was decided.
                with self._outbox.claiming_paused():
                    while await self._fire():
                        pass
            await asyncio.sleep(TIMER_EVERY_S)

    def degraded_reason(self) -> str | None:
        """Which inputs fail, or None."""
        if not self._failing:
            return None
        first = min(self._failing.values(), key=lambda failing: failing.since)
        return (
            f"{len(self._failing)} inputs of the timer {self._timer.name} have failed"
            f" since {first.since:%Y-%m-%d %H:%M:%S} UTC: {first.error}"
        )

    async def _fire(self) -> bool:
        """Decide what is due now. Returns whether more may be due."""
        # Failing inputs stay due: without a place of their own they would take that of others.
        limit = _AT_ONCE + len(self._failing)
        try:
            async with self._database.single() as tx:
                due = await self._timer.due(tx, self._clock.now(), limit)
            crowd = len(due) == limit
            ready = self._ready(due, crowd)
            # The database works on some batches while Python decides others.
            batches = [ready[first : first + TIMER_BATCH] for first in range(0, len(ready), TIMER_BATCH)]
            results = await asyncio.gather(
                *(self._processor.process(batch, deferred=crowd) for batch in batches), return_exceptions=True
            )
            outcomes: list[Outcome] = []
            for result in results:
                if isinstance(result, BaseException):
                    raise result
                outcomes.extend(result)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("timer_retried", timer=self._timer.name, error=type(error).__name__)
            return False
        for item, outcome in zip(ready, outcomes, strict=True):
            self._note(item, outcome.error)
        if len(self._failing) > _AT_ONCE:
            raise TooManyFail(self._timer.name)
        return crowd and any(outcome.error is None for outcome in outcomes)

    def _ready(self, due: Sequence[Input], crowd: bool) -> Sequence[Input]:
        """The inputs to decide now."""
        if not self._failing:
            return due
        now = time.monotonic()
        if not crowd:
            # What is no longer due was settled in another way.
            still_due = {_identity(item) for item in due}
            self._failing = {key: failing for key, failing in self._failing.items() if key in still_due}
        return [
            item for item in due if (failing := self._failing.get(_identity(item))) is None or failing.retry_at <= now
        ]

    def _note(self, item: Input, error: Exception | None) -> None:
        if error is None:
            if self._failing:
                self._failing.pop(_identity(item), None)
            return
        # The processor has logged the error.
        failing = self._failing.setdefault(_identity(item), _Failing(datetime.now(UTC), type(error).__name__))
        failing.attempts += 1
        failing.retry_at = time.monotonic() + backoff_s(failing.attempts, *TIMER_INPUT_RETRY_S)


def _identity(item: Input) -> tuple[str, ...]:
    return item.key, item.cause.id, item.step, type(item.body).__name__
