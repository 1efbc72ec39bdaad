"""What a service no longer needs of its own record keeping goes, a little at a time."""

import asyncio
from datetime import timedelta

import structlog

from chassis.database.sql import Database, is_transient, rows

log = structlog.get_logger(__name__)

EVERY_S = 600.0
AT_ONCE = 5000

_FORGET_INBOX = """
    DELETE FROM inbox WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM inbox WHERE seen_at < now() - make_interval(secs => $1) LIMIT $2)) RETURNING 1
"""
_FORGET_WORK = """
    DELETE FROM work WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM work WHERE finished_at < now() - make_interval(secs => $1) AND state = 'done' LIMIT $2))
    RETURNING 1
"""


async def run_retention(database: Database, inbox_kept_for: timedelta, work_kept_for: timedelta) -> None:
    """Forget what is older, for as long as the service runs. Parked work stays: it waits for a person."""
    forgotten = (("inbox", _FORGET_INBOX, inbox_kept_for), ("work", _FORGET_WORK, work_kept_for))
    pause_s = min(EVERY_S, inbox_kept_for.total_seconds(), work_kept_for.total_seconds())
    while True:
        try:
            for table, sql, kept_for in forgotten:
                gone, last = 0, AT_ONCE
                while last == AT_ONCE:
                    async with database.single() as tx:
                        last = len(await rows(tx, sql, kept_for.total_seconds(), AT_ONCE))
                    gone += last
                if gone:
                    log.info("forgotten", table=table, rows=gone)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("retention waits", error=type(error).__name__)
        await asyncio.sleep(pause_s)
