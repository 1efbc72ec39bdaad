"""Freeing what dead processes owned: outbox rows on their way, and claimed work."""

import asyncio
from typing import Final

import structlog

from chassis.database.errors import is_transient
from chassis.database.pool import Connection, Database, execute
from chassis.database.presence import LOCK_CLASS, OWNER_LOST, SET_ASIDE_OWNER, Presence
from chassis.limits import FREE_DEAD_EVERY_S

log = structlog.get_logger(__name__)

# The owners are read by a snapshot, the locks after it: an owner that came after the snapshot is not among them. Rows
# are then freed by the owners found here. Freeing all owners without a lock, in one statement, would also free a
# process that has just started and claimed.
_DEAD_OWNERS: Final = f"""
    SELECT array_agg(owner) FROM (
        SELECT owner FROM outbox WHERE owner IS NOT NULL AND owner <> {SET_ASIDE_OWNER}
        UNION SELECT owner FROM work WHERE owner IS NOT NULL
    ) AS owned
    WHERE owner NOT IN (
        SELECT objid::bigint::integer FROM pg_locks
        WHERE locktype = 'advisory' AND classid = $1::integer::oid AND objsubid = 2 AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
"""
_FREE_OUTBOX: Final = "UPDATE outbox SET owner = NULL WHERE owner = ANY($1::integer[])"
_FREE_WORK: Final = f"UPDATE work SET owner = NULL, note = '{OWNER_LOST}' WHERE owner = ANY($1::integer[])"
# A table that is locked for long is tried again; the heartbeat of the presence does not depend on it.
_LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = '2s'"


async def run_freeing(database: Database, presence: Presence) -> None:
    """Free the rows of dead owners for as long as the service runs."""
    while True:
        try:
            async with database.transaction() as tx:
                await execute(tx, _LOCK_TIMEOUT)
                freed = await _free(tx)
        except Exception as error:
            if not is_transient(error):
                raise
            log.info("dead_owners_not_freed", error=type(error).__name__)
        else:
            if freed:
                log.warning("dead_owner_freed", rows=freed)
                presence.report_freed()
        await asyncio.sleep(FREE_DEAD_EVERY_S)


async def _free(tx: Connection) -> int:
    """Free the rows of owners that are dead. Returns how many rows."""
    dead = await tx.fetchval(_DEAD_OWNERS, LOCK_CLASS)
    if not dead:
        return 0
    freed = 0
    for statement in (_FREE_OUTBOX, _FREE_WORK):
        freed += int((await tx.execute(statement, dead)).rpartition(" ")[2])
    return freed
