"""The throttle limits how many requests to 1C run at the same time and how many start within one second."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from services.onec_gateway.onec.errors import NoAnswer, OneCError, is_unhealthy

SLOW_S: Final = 10.0
OVERLOADED: Final = frozenset({"timeout", "server-error"})


@dataclass(slots=True)
class Throttle:
    """At most `at_once` requests in flight and at most `per_second` starts in any second.

    `limit` is the number of requests in flight that is allowed at present. The limit is halved after a timeout, a
    server error or an answer that took longer than SLOW_S seconds. It grows by 1 after as many good answers as the
    limit itself, up to `at_once`. `now` is seconds of a monotonic clock.
    """

    at_once: int
    per_second: float
    limit: int = field(init=False)
    in_flight: int = 0
    _good_answers: int = 0
    _starts: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.limit = self.at_once

    def wait_s(self, now: float) -> float | None:
        """0 if a request may start now, else the seconds until the rate allows a start.

        None if `limit` requests are in flight: the wait ends when one of them ends.
        """
        if self.in_flight >= self.limit:
            return None
        while self._starts and self._starts[0] <= now - 1.0:
            self._starts.popleft()
        return 0.0 if len(self._starts) < self.per_second else self._starts[0] + 1.0 - now

    def enter(self, now: float) -> None:
        """Count a request that starts."""
        self.in_flight += 1
        self._starts.append(now)

    def leave(self) -> None:
        """Count a request that ended, with or without an answer."""
        self.in_flight -= 1

    def record(self, failure: OneCError | None, seconds: float) -> None:
        """Adapt the limit to a request that took `seconds`. A refusal by 1C's own rules is a good answer."""
        if seconds > SLOW_S or (isinstance(failure, NoAnswer) and failure.reason in OVERLOADED):
            self.limit = max(1, self.limit // 2)
            self._good_answers = 0
        if is_unhealthy(failure):
            return
        self._good_answers += 1
        if self._good_answers >= self.limit and seconds <= SLOW_S:
            self._good_answers = 0
            self.limit = min(self.at_once, self.limit + 1)
