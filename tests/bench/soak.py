"""Many leads without a restart: memory and the chassis' tables must not grow."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg

from deploy.local.parts import PREFIXES, SERVICES
from tests.bench.bed import OURS, Bed, Running
from tests.bench.pipeline import invent_leads, produce, until_sent

CHUNKS = 10
KEPT_FOR = "PT20S"


def soak(bed: Bed, leads: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Resident memory after each tenth of the leads, and rows at the end. Retention is `KEPT_FOR` instead of months."""
    operator = {f"{PREFIXES[service]}{name}_KEPT_FOR": KEPT_FOR for service in SERVICES for name in ("INBOX", "WORK")}
    each = leads // CHUNKS
    resident: list[dict[str, float]] = []
    inbox: list[int] = []
    with bed.running(OURS, operator=operator) as running:
        for number in range(CHUNKS):
            asyncio.run(_chunk(bed, running, each, number))
            resident.append(running.resident_mb())
            inbox.append(asyncio.run(_count(running, "inbox")))
            shown = ", ".join(f"{name} {mb:.0f} MB" for name, mb in resident[-1].items())
            report(f"soak: {each * (number + 1)} leads: {shown}; {inbox[-1]} inbox rows")
        rows = {table: asyncio.run(_count(running, table)) for table in ("inbox", "outbox", "work", "parked")}
    return {
        "bench": "soak",
        "leads": each * CHUNKS,
        "kept_for": KEPT_FOR,
        # The first tenth fills caches and pools. After it, memory must not grow.
        "resident_mb": {name: [round(tenth[name], 1) for tenth in resident] for name in resident[0]},
        "growth": {name: round(resident[-1][name] / resident[1][name] - 1, 3) for name in resident[0]},
        "inbox_rows": inbox,
        "rows_at_the_end": rows,
    }


async def _chunk(bed: Bed, running: Running, count: int, number: int) -> None:
    leads = await asyncio.to_thread(invent_leads, bed, count, count * number)
    await produce(running, leads)
    await until_sent(running, count * (number + 1))


async def _count(running: Running, table: str) -> int:
    total = 0
    for url in running.databases.values():
        connection = await asyncpg.connect(url)
        total += await connection.fetchval(f"SELECT count(*) FROM {table}")
        await connection.close()
    return total
