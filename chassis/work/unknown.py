"""Work of kinds that no worker of this process performs is parked: it is seen, and holds up no other work."""

import asyncio
from collections.abc import Sequence

import structlog

from chassis.database.errors import is_transient
from chassis.database.pool import Database
from chassis.limits import PARK_UNKNOWN_EVERY_S, UNKNOWN_KIND_AFTER_S
from chassis.observability import metrics
from chassis.work.statements import UNKNOWN_KIND, park_unknown

log = structlog.get_logger(__name__)


async def park_unknown_kinds(database: Database, kinds: Sequence[str]) -> None:
    """Park due rows of other kinds than `kinds` for as long as the service runs."""
    while True:
        try:
            async with database.single() as tx:
                parked = await park_unknown(tx, kinds, UNKNOWN_KIND_AFTER_S)
        except Exception as error:
            if not is_transient(error):
                raise
            log.info("unknown_work_not_looked_for", error=type(error).__name__)
        else:
            for row in parked:
                log.error("work_parked", kind=row.kind, ref=row.ref, reason=UNKNOWN_KIND)
                metrics.WORK_PARKED.labels(row.kind).inc()
        await asyncio.sleep(PARK_UNKNOWN_EVERY_S)
