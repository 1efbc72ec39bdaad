"""The gate that every request to 1C passes: 1C is slow, serves few clients, and is closed at night."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from services.onec_gateway.onec.breaker import Breaker
from services.onec_gateway.onec.errors import INFOBASE_LOCKED, OneCError, Paused, Refused
from services.onec_gateway.onec.maintenance import Maintenance
from services.onec_gateway.onec.throttle import Throttle

log = structlog.get_logger(__name__)

CHECK_EVERY_S: Final = 0.5
HOLD_RETRY_S: Final = 5.0


class Gate:
    """Admits requests to 1C, by the throttle, the circuit breaker and maintenance.

    A hold is a reason of the gateway itself to send nothing, such as a mapping that is not verified yet. `clock`
    returns seconds of a monotonic clock.
    """

    def __init__(
        self,
        throttle: Throttle,
        breaker: Breaker | None = None,
        maintenance: Maintenance | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.throttle = throttle
        self.breaker = breaker if breaker is not None else Breaker()
        self.maintenance = maintenance if maintenance is not None else Maintenance()
        self._clock = clock
        self._changed = asyncio.Event()
        self._holds: set[str] = set()

    def hold(self, reason: str) -> None:
        """Admit only requests that ignore holds, until `release` is called with the same reason."""
        self._holds.add(reason)

    def release(self, reason: str) -> None:
        """Take back a hold."""
        self._holds.discard(reason)
        self._changed.set()

    @property
    def closed_by(self) -> str | None:
        """Why requests are stopped by what 1C answered (`infobase-locked`, `no-licence`, `breaker`), else None."""
        return INFOBASE_LOCKED if self.maintenance.locked_until is not None else self.breaker.reason

    @property
    def next_probe_at(self) -> float:
        """When the next probe is due, in seconds of the clock. Valid while `closed_by` is not None."""
        locked_until = self.maintenance.locked_until
        return locked_until if locked_until is not None else self.breaker.until

    def pause(self) -> Paused | None:
        """Why no request is admitted at present and for how many seconds at least. None if requests are admitted."""
        if self.maintenance.is_planned_now():
            return Paused("calendar", self.maintenance.probe_every_s)
        if (closed_by := self.closed_by) is not None:
            return Paused(closed_by, max(self.next_probe_at - self._clock(), 0.0) + CHECK_EVERY_S)
        if self._holds:
            return Paused(min(self._holds), HOLD_RETRY_S)
        return None

    @asynccontextmanager
    async def admitted(self, *, ignore_holds: bool = False) -> AsyncIterator[None]:
        """Wait for the throttle and count the request as in flight inside the `async with` block.

        Raises Paused if the gate is closed, or is closed during the wait.
        """
        await self._wait(ignore_holds)
        try:
            yield
        finally:
            self.throttle.leave()
            self._changed.set()

    def record(self, failure: OneCError | None, seconds: float) -> None:
        """Record the result of a request that took `seconds`; `failure` is None for a good answer."""
        before, now = self.closed_by, self._clock()
        self.throttle.record(failure, seconds)
        self.breaker.record(failure, now)
        self.maintenance.record(failure, now)
        self._log_change(before)

    def record_probe(self, failure: OneCError | None) -> None:
        """Record the result of a probe: the gate opens if 1C answered, also by a refusal, else stays closed."""
        before, now = self.closed_by, self._clock()
        if failure is None or isinstance(failure, Refused):
            self.maintenance.locked_until = None
            self.breaker.close()
        elif failure.reason == INFOBASE_LOCKED or self.maintenance.locked_until is not None:
            self.maintenance.locked_until = now + self.maintenance.probe_every_s
        else:
            self.breaker.record_probe(failure, now)
        self._log_change(before)
        self._changed.set()

    async def run(self, probe: Callable[[], Awaitable[None]]) -> None:
        """Call `probe`, which sends one harmless request, whenever a probe is due. Runs until cancelled."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            is_due = self.closed_by is not None and self._clock() >= self.next_probe_at
            if not is_due or self.maintenance.is_planned_now():
                continue
            failure: OneCError | None = None
            try:
                await probe()
            except OneCError as error:
                failure = error
            self.record_probe(failure)

    def _log_change(self, before: str | None) -> None:
        after = self.closed_by
        if after is not None and after != before:
            log.warning("circuit_opened", reason=after, message=f"Обмен с 1С приостановлен: {after}")
        elif before is not None and after is None:
            log.info("circuit_closed", message="1С снова отвечает, обмен продолжен")

    async def _wait(self, ignore_holds: bool) -> None:
        while True:
            pause = self.pause()
            if pause is not None and not (ignore_holds and pause.reason in self._holds):
                raise pause
            wait_s = self.throttle.wait_s(self._clock())
            if wait_s == 0.0:
                self.throttle.enter(self._clock())
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(min(wait_s or CHECK_EVERY_S, CHECK_EVERY_S)):
                    await self._changed.wait()
            except TimeoutError:
                continue
