"""The journal of exchanges: every request to 1C as a row that the administrator can look up."""

import asyncio
from collections import deque
from datetime import timedelta
from typing import Final

import structlog

from chassis.service import Database, Rows, Runtime, is_transient, rows, write_rows
from services.onec_gateway.onec.client import Exchange
from services.onec_gateway.store import ExchangeRow

log = structlog.get_logger(__name__)

KEPT_IN_MEMORY: Final = 10_000
FLUSH_EVERY_S: Final = 0.5
FORGET_EVERY_S: Final = 600.0
AT_ONCE: Final = 5000
_FORGET: Final = """
    DELETE FROM exchanges WHERE id = ANY(ARRAY(
        SELECT id FROM exchanges WHERE at < now() - make_interval(secs => $1) ORDER BY at LIMIT $2)) RETURNING 1
"""


class ExchangeJournal:
    """Takes exchanges at once and writes them together. The log line of each is written whatever happens here."""

    def __init__(self, kept_for: timedelta) -> None:
        self._kept_for = kept_for
        self._waiting: deque[Exchange] = deque()
        self._dropped = 0

    def record(self, exchange: Exchange) -> None:
        """Never waits; with the database down for long, the oldest go."""
        if len(self._waiting) == KEPT_IN_MEMORY:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(exchange)

    async def run(self, runtime: Runtime) -> None:
        """Write and forget, for as long as the service runs; what is left is written at its end."""
        try:
            while True:
                for _ in range(int(FORGET_EVERY_S / FLUSH_EVERY_S)):
                    await asyncio.sleep(FLUSH_EVERY_S)
                    await self._flush(runtime.database)
                await self._forget(runtime.database)
        finally:
            await asyncio.shield(self._flush(runtime.database))

    async def _flush(self, database: Database) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            try:
                async with database.single() as tx:
                    await write_rows(tx, Rows(ExchangeRow, [_row(one) for one in batch], new=True))
            except Exception as error:
                if not is_transient(error):
                    # They stand in the log, and a row that cannot be kept must not stop the exchange with 1C.
                    log.error("exchanges cannot be kept", rows=len(batch), exc_info=error)
                    continue
                self._waiting.extendleft(reversed(batch))
                log.warning("exchanges wait for the database", waiting=len(self._waiting), dropped=self._dropped)
                return

    async def _forget(self, database: Database) -> None:
        try:
            while True:
                async with database.single() as tx:
                    gone = await rows(tx, _FORGET, self._kept_for.total_seconds(), AT_ONCE)
                if len(gone) < AT_ONCE:
                    return
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("old exchanges stay for now", error=type(error).__name__)


def _row(exchange: Exchange) -> dict[str, object]:
    return {name: getattr(exchange, name) for name in Exchange.__dataclass_fields__}
