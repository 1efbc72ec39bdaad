"""The gateway's own metrics."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog
from prometheus_client import Gauge

from chassis.service import Runtime, is_transient, rows

log = structlog.get_logger(__name__)

MEASURE_EVERY_S: Final = 30.0
OVER: Final = timedelta(days=30)

REFUSALS: Final = Gauge("truce_onec_refusals", "Rejected leads of the last 30 days, by the rule that decided", ["rule"])
CARD_SHARE: Final = Gauge(
    "truce_onec_card_refusals_share", "Share of a card alone (rule `card`) in the rejected leads of the last 30 days"
)
_REFUSALS: Final = """
    SELECT rule, count(*) AS leads FROM leads WHERE reason IS NOT NULL AND decided_at > $1 GROUP BY rule
"""


async def measure_refusals(runtime: Runtime) -> None:
    """Measure the refusals at an interval, without end. A transient error of the database is passed over."""
    known: set[str] = set()
    while True:
        try:
            async with runtime.database.single() as tx:
                found = {row.rule: row.leads for row in await rows(tx, _REFUSALS, runtime.clock.now() - OVER)}
            known |= found.keys()
            for rule in known:
                REFUSALS.labels(rule).set(found.get(rule, 0))
            total = sum(found.values())
            CARD_SHARE.set(found.get("card", 0) / total if total else 0.0)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("refusals_not_measured", error=type(error).__name__)
        await asyncio.sleep(MEASURE_EVERY_S)
