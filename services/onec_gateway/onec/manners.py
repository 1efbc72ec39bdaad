"""How 1C is treated: the one gate that every request passes.

1C is slow, single, and closed at night. So no more than a few requests at once, fewer when it is slow; none while it
fails, is in maintenance or has no licence, but for a harmless probe now and then. `Gate` is the rules, with time as
an argument; `Manners` waits.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from datetime import time as time_of_day
from typing import Final

import structlog

from services.onec_gateway.onec.errors import NoAnswer, NotReached, OneCError, Paused, Refused

log = structlog.get_logger(__name__)

SLOW_S: Final = 10.0
FAILURES: Final = 5  # in a row, before 1C is left alone
PAUSE_S: Final = (1.0, 60.0)
LICENCE_S: Final = 10.0  # what gitsync waits for a licence
LOOK_EVERY_S: Final = 0.5
NOT_VERIFIED: Final = "not-verified"
MAINTENANCE: Final = "infobase-locked"
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW: Final = re.compile(
    r"(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?\s+(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Window:
    """Days of the week (0 is Monday) on which 1C is closed from `start` to `end`, over midnight if `end` is less."""

    days: frozenset[int]
    start: time_of_day
    end: time_of_day

    def holds(self, local: datetime) -> bool:
        """Whether this local moment is inside."""
        now, today = local.time(), local.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= now < self.end
        return (today in self.days and now >= self.start) or ((today - 1) % 7 in self.days and now < self.end)


def parse_calendar(text: str) -> tuple[Window, ...]:
    """From `Mon-Sun 02:00-04:00; Sat 22:00-23:30`. Raises ValueError, which names the part that is wrong."""
    windows = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        found = _WINDOW.fullmatch(part)
        try:
            if found is None:
                raise ValueError
            first = _DAYS.index(found["first"].lower())
            last = _DAYS.index((found["last"] or found["first"]).lower())
            start, end = time_of_day.fromisoformat(found["start"]), time_of_day.fromisoformat(found["end"])
        except ValueError:
            raise ValueError(f"{part!r} is not a window such as Mon-Fri 02:00-04:00") from None
        days = frozenset((first + n) % 7 for n in range((last - first) % 7 + 1))
        windows.append(Window(days, start, end))
    return tuple(windows)


@dataclass(slots=True)
class Gate:
    """Who may send a request when. All times are seconds of one clock."""

    at_once: int
    per_second: float
    probe_every_s: float
    allowed: int = field(init=False)
    under_way: int = 0
    reason: str | None = None
    until: float = 0.0
    _failures: int = 0
    _good: int = 0
    _pause_s: float = PAUSE_S[0]
    _sent: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.allowed = self.at_once

    def wait_s(self, now: float) -> float | None:
        """0: go; more: the rate lets one go in so many seconds; None: all places are taken."""
        if self.under_way >= self.allowed:
            return None
        while self._sent and self._sent[0] <= now - 1.0:
            self._sent.popleft()
        return 0.0 if len(self._sent) < self.per_second else self._sent[0] + 1.0 - now

    def enter(self, now: float) -> None:
        self.under_way += 1
        self._sent.append(now)

    def leave(self) -> None:
        self.under_way -= 1

    def tell(self, failure: OneCError | None, seconds: float, now: float) -> None:
        """How a request went: a refusal of business is a good answer, a late one is not."""
        if isinstance(failure, Paused):
            return
        sick = isinstance(failure, NoAnswer) or (isinstance(failure, NotReached) and failure.reason != "lock-conflict")
        if seconds > SLOW_S or (isinstance(failure, NoAnswer) and failure.reason in ("timeout", "server-error")):
            self.allowed = max(1, self.allowed // 2)
            self._good = 0
        if not sick:
            self._failures = 0
            if self.reason is None:
                self._pause_s = PAUSE_S[0]
            self._good += 1
            if self._good >= self.allowed and seconds <= SLOW_S:
                self._good = 0
                self.allowed = min(self.at_once, self.allowed + 1)
            return
        self._failures += 1
        reason = failure.reason if failure is not None else ""
        if reason == MAINTENANCE:
            self.close(MAINTENANCE, now + self.probe_every_s)
        elif reason == "no-licence":
            self.close("no-licence", now + LICENCE_S)
        elif self._failures >= FAILURES and self.reason is None:
            self.close("breaker", now + self._pause_s)

    def close(self, reason: str, until: float) -> None:
        self.reason, self.until = reason, until

    def probed(self, failure: OneCError | None, now: float) -> None:
        """What the probe of a closed gate met: it opens, or stays closed for longer each time."""
        if failure is None or isinstance(failure, Refused):
            self.reason, self._failures, self._pause_s = None, 0, PAUSE_S[0]
            return
        if failure.reason == MAINTENANCE or self.reason == MAINTENANCE:
            self.close(MAINTENANCE, now + self.probe_every_s)
            return
        self._pause_s = min(PAUSE_S[1], self._pause_s * 2)
        licence = failure.reason == "no-licence"
        self.close(failure.reason if licence else "breaker", now + (LICENCE_S if licence else self._pause_s))


class Manners:
    """The gate, and those who wait before it. `now` is the infobase's local time, for the `calendar`.

    In maintenance 1C is probed every `probe_every_s`.
    """

    def __init__(
        self,
        *,
        at_once: int,
        per_second: float,
        probe_every_s: float = 60.0,
        calendar: Sequence[Window] = (),
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._gate = Gate(at_once, per_second, probe_every_s)
        self._calendar = calendar
        self._now = now
        self._changed = asyncio.Event()
        self._held: set[str] = set()

    def hold(self, reason: str) -> None:
        """Nothing is sent but what says itself that it may be, until `free`."""
        self._held.add(reason)

    def free(self, reason: str) -> None:
        self._held.discard(reason)
        self._changed.set()

    def pause(self) -> Paused | None:
        """Why nothing is sent at present, and for how long at least."""
        if self._is_closed_by_calendar():
            return Paused("calendar", self._gate.probe_every_s)
        if self._gate.reason is not None:
            return Paused(self._gate.reason, max(self._gate.until - time.monotonic(), 0.0) + LOOK_EVERY_S)
        if self._held:
            return Paused(min(self._held), 5.0)
        return None

    @asynccontextmanager
    async def turn(self, *, held: bool = False) -> AsyncIterator[None]:
        """A place at 1C. Raises Paused, also while waiting. `held`: goes although something holds the gate."""
        await self._wait(held)
        try:
            yield
        finally:
            self._gate.leave()
            self._changed.set()

    def tell(self, failure: OneCError | None, seconds: float) -> None:
        """How a request went."""
        before = self._gate.reason
        self._gate.tell(failure, seconds, time.monotonic())
        self._report(before)

    async def run(self, probe: Callable[[], Awaitable[None]]) -> None:
        """While the gate is closed, `probe` (one harmless request) when its time has come."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._gate.reason is None or time.monotonic() < self._gate.until or self._is_closed_by_calendar():
                continue
            failure: OneCError | None = None
            try:
                await probe()
            except OneCError as error:
                failure = error
            before = self._gate.reason
            self._gate.probed(failure, time.monotonic())
            self._report(before)
            self._changed.set()

    def _report(self, before: str | None) -> None:
        after = self._gate.reason
        if after is not None and after != before:
            log.warning("1c is left alone", reason=after, message=f"Обмен с 1С приостановлен: {after}")
        elif before is not None and after is None:
            log.info("1c is asked again", message="1С снова отвечает, обмен продолжен")

    def _is_closed_by_calendar(self) -> bool:
        return any(window.holds(self._now()) for window in self._calendar)

    async def _wait(self, held: bool) -> None:
        while True:
            pause = self.pause()
            if pause is not None and not (held and pause.reason in self._held):
                raise pause
            wait_s = self._gate.wait_s(time.monotonic())
            if wait_s == 0.0:
                self._gate.enter(time.monotonic())
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(min(wait_s or LOOK_EVERY_S, LOOK_EVERY_S)):
                    await self._changed.wait()
            except TimeoutError:
                continue
