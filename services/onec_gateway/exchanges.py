"""The exchange journal: each request to 1C becomes a row in PostgreSQL that the administrator can look up."""

import asyncio
from collections import deque
from datetime import timedelta
from typing import Final

import structlog

from chassis.service import Database, Rows, Runtime, is_transient, row_of, rows, write_rows
from services.onec_gateway.onec.exchange import Exchange
from services.onec_gateway.store.tables import ExchangeRow

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 10_000
WRITE_EVERY_S: Final = 0.5
CLEAN_EVERY_S: Final = 600.0
MOST_ROWS: Final = 5000  # in one statement
_DELETE_OLD: Final = """
    DELETE FROM exchanges WHERE id = ANY(ARRAY(
        SELECT id FROM exchanges WHERE at < now() - make_interval(secs => $1) ORDER BY at LIMIT $2)) RETURNING 1
"""


class ExchangeJournal:
    """Collects exchanges in memory and writes them to the table `exchanges` in batches.

    Rows older than `kept_for` are deleted. The log line of an exchange is written in any case, also if the row is
    lost.
    """

    def __init__(self, kept_for: timedelta) -> None:
        self._kept_for = kept_for
        self._waiting: deque[Exchange] = deque()
        self._dropped = 0

    def record(self, exchange: Exchange) -> None:
        """Add an exchange to the next batch, without waiting.

        At most MOST_WAITING exchanges are kept while the database is down; beyond that the oldest are dropped.
        """
        if len(self._waiting) == MOST_WAITING:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(exchange)

    async def run(self, runtime: Runtime) -> None:
        """Write batches and delete old rows until cancelled; on cancellation the last batch is written."""
        try:
            while True:
                for _ in range(int(CLEAN_EVERY_S / WRITE_EVERY_S)):
                    await asyncio.sleep(WRITE_EVERY_S)
                    await self.write(runtime.database)
                await self._delete_old(runtime.database)
        finally:
            await asyncio.shield(self.write(runtime.database))

    async def write(self, database: Database) -> None:
        """Write what was collected so far."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(MOST_ROWS, len(self._waiting)))]
            try:
                async with database.single() as tx:
                    await write_rows(tx, Rows(ExchangeRow, [row_of(exchange) for exchange in batch], new=True))
            except Exception as error:
                if not is_transient(error):
                    # The log has these exchanges. A row that cannot be stored must not stop the exchange with 1C.
                    log.error("exchanges_not_stored", rows=len(batch), exc_info=error)
                    continue
                self._waiting.extendleft(reversed(batch))
                log.warning("exchanges_deferred", waiting=len(self._waiting), dropped=self._dropped)
                return

    async def _delete_old(self, database: Database) -> None:
        try:
            while True:
                async with database.single() as tx:
                    deleted = await rows(tx, _DELETE_OLD, self._kept_for.total_seconds(), MOST_ROWS)
                if len(deleted) < MOST_ROWS:
                    return
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("old_exchanges_not_deleted", error=type(error).__name__)
