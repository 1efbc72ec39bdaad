"""What waits for a person in the service's database: measured for the metrics, and named in health."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from chassis.database.errors import is_transient
from chassis.database.pool import Database, rows
from chassis.limits import MEASURE_WAITING_EVERY_S
from chassis.observability import metrics

log = structlog.get_logger(__name__)

_MEASURE: Final = """
    SELECT (SELECT count(DISTINCT key) FROM parked) AS clients,
           (SELECT min(since) FROM parked WHERE key IS NOT NULL) AS clients_since,
           (SELECT count(*) FROM parked) AS letters,
           (SELECT min(since) FROM parked) AS letters_since,
           (SELECT count(*) FROM work WHERE state = 'parked') AS calls,
           (SELECT min(finished_at) FROM work WHERE state = 'parked') AS calls_since
"""


class WaitingMeter:
    """Parked clients, open dead letters and parked work rows of the whole service. `command` lists them."""

    def __init__(self, database: Database, command: str) -> None:
        self._database = database
        self._command = command
        self._found: Any = None

    async def run(self) -> None:
        """Measure for as long as the service runs."""
        while True:
            try:
                async with self._database.single() as tx:
                    (self._found,) = await rows(tx, _MEASURE)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.info("waiting_not_measured", error=type(error).__name__)
            else:
                metrics.PARKED_CLIENTS.set(self._found.clients)
                metrics.OPEN_DEAD_LETTERS.set(self._found.letters)
                metrics.OLDEST_DEAD_LETTER_SECONDS.set(_age_s(self._found.letters_since))
                metrics.PARKED_WORK_ROWS.set(self._found.calls)
            await asyncio.sleep(MEASURE_WAITING_EVERY_S)

    def degraded_reason(self) -> str | None:
        """What waits and since when, and the command that lists it; None if nothing waits."""
        found = self._found
        if found is None:
            return None
        counted = (
            (found.clients, "clients parked", found.clients_since),
            (found.letters, "dead letters open", found.letters_since),
            (found.calls, "work rows parked", found.calls_since),
        )
        parts = [f"{count} {what} since {since:%Y-%m-%d %H:%M:%S} UTC" for count, what, since in counted if count]
        return f"{', '.join(parts)}: run {self._command}" if parts else None


def _age_s(since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (datetime.now(UTC) - since).total_seconds())
