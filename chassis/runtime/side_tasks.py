"""Tasks beside the handling of messages. A task that fails is started again after a pause, and health says why."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from chassis.backoff import backoff_s
from chassis.limits import SIDE_TASK_HEALTHY_S, SIDE_TASK_RETRY_S

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Failure:
    """Failures of one task in a row. `runs_since`: monotonic time of its latest start; None while it pauses."""

    since: datetime
    error: str
    count: int = 0
    runs_since: float | None = None

    def is_over(self) -> bool:
        """Whether the task has run for long enough since its latest failure."""
        return self.runs_since is not None and time.monotonic() - self.runs_since > SIDE_TASK_HEALTHY_S


class SideTasks:
    """Runs tasks whose failure must neither stop the process nor stay unseen.

    A task whose failure leaves the process in an unknown state does not belong here: the process must end then.
    """

    def __init__(self) -> None:
        self._failures: dict[str, _Failure] = {}

    async def run(self, name: str, task: Callable[[], Awaitable[None]]) -> None:
        """Run the task until cancelled. It is started again, with backoff, whenever it fails or ends."""
        while True:
            if (failure := self._failures.get(name)) is not None:
                failure.runs_since = time.monotonic()
            error: Exception | None = None
            try:
                await task()
            except Exception as raised:
                error = raised
            if failure is None or failure.is_over():
                failure = self._failures[name] = _Failure(datetime.now(UTC), "")
            failure.error = ", ".join(sorted(_types(error))) if error is not None else "it ended"
            failure.count += 1
            failure.runs_since = None
            pause_s = backoff_s(failure.count, *SIDE_TASK_RETRY_S)
            log.error("side_task_failed", task=name, failures=failure.count, pause_s=round(pause_s, 1), exc_info=error)
            await asyncio.sleep(pause_s)

    def degraded_reason(self) -> str | None:
        """Which tasks fail, since when and why; None if all run."""
        return (
            "; ".join(
                f"{name} has failed {failure.count} times since {failure.since:%Y-%m-%d %H:%M:%S} UTC: {failure.error}"
                for name, failure in self._failures.items()
                if not failure.is_over()
            )
            or None
        )


def _types(error: Exception) -> set[str]:
    """The type of the error, or the types of the errors in a group."""
    if isinstance(error, ExceptionGroup):
        return {name for inner in error.exceptions for name in _types(inner)}
    return {type(error).__name__}
