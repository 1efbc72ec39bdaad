"""The circuit breaker stops requests to 1C while 1C fails or has no free licence."""

from dataclasses import dataclass
from typing import Final

from services.onec_gateway.onec.errors import INFOBASE_LOCKED, NO_LICENCE, OneCError, Refused, is_unhealthy

FAILURES_TO_OPEN: Final = 5
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0  # without jitter: a probe is a single cheap request
LICENCE_PAUSE_S: Final = 10.0  # as long as gitsync, a public tool for 1C, waits for a licence
FAILING: Final = "breaker"


@dataclass(slots=True)
class Breaker:
    """Closed while 1C answers. Opens after FAILURES_TO_OPEN failures in a row, or when 1C reports no free licence.

    While the breaker is open, only probes are sent, the first one at `until`. The pause doubles with every failed
    probe, up to LONGEST_PAUSE_S seconds. `reason` is None while the breaker is closed. `now` and `until` are seconds
    of a monotonic clock.
    """

    reason: str | None = None
    until: float = 0.0
    _failures: int = 0
    _pause_s: float = FIRST_PAUSE_S

    def record(self, failure: OneCError | None, now: float) -> None:
        """Count the result of a request. A locked infobase is maintenance and no failure."""
        if not is_unhealthy(failure):
            self._failures = 0
            if self.reason is None:
                self._pause_s = FIRST_PAUSE_S
        elif failure is not None and failure.reason == NO_LICENCE:
            self._failures += 1
            self._open(NO_LICENCE, now + LICENCE_PAUSE_S)
        elif failure is not None and failure.reason != INFOBASE_LOCKED:
            self._failures += 1
            if self._failures >= FAILURES_TO_OPEN and self.reason is None:
                self._open(FAILING, now + self._pause_s)

    def record_probe(self, failure: OneCError | None, now: float) -> None:
        """Close after a probe that 1C answered, also by a refusal; else stay open for twice as long."""
        if failure is None or isinstance(failure, Refused):
            self.close()
            return
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2)
        if failure.reason == NO_LICENCE:
            self._open(NO_LICENCE, now + LICENCE_PAUSE_S)
        else:
            self._open(FAILING, now + self._pause_s)

    def close(self) -> None:
        """Let requests pass again, and forget the failures so far."""
        self.reason, self._failures, self._pause_s = None, 0, FIRST_PAUSE_S

    def _open(self, reason: str, until: float) -> None:
        self.reason, self.until = reason, until
