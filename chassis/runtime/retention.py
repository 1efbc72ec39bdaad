"""Retention of the chassis' own tables: old inbox ids and finished work are deleted, a few thousand rows at a time."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from chassis.database.errors import is_transient
from chassis.database.pool import Database, rows

log = structlog.get_logger(__name__)

_EVERY_S: Final = 600.0
_ROWS_AT_ONCE: Final = 5000

_DELETE_INBOX: Final = """
    DELETE FROM inbox WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM inbox WHERE seen_at < now() - make_interval(secs => $1) LIMIT $2)) RETURNING 1
"""
_DELETE_WORK: Final = """
    DELETE FROM work WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM work WHERE finished_at < now() - make_interval(secs => $1) AND state = 'done' LIMIT $2))
    RETURNING 1
"""


async def run_retention(database: Database, inbox_kept_for: timedelta, work_kept_for: timedelta) -> None:
    """Delete older rows for as long as the service runs. Parked work is kept: a person decides about it."""
    tables = (("inbox", _DELETE_INBOX, inbox_kept_for), ("work", _DELETE_WORK, work_kept_for))
    pause_s = min(_EVERY_S, inbox_kept_for.total_seconds(), work_kept_for.total_seconds())
    while True:
        try:
            for table, sql, kept_for in tables:
                deleted, last = 0, _ROWS_AT_ONCE
                while last == _ROWS_AT_ONCE:
                    async with database.single() as tx:
                        last = len(await rows(tx, sql, kept_for.total_seconds(), _ROWS_AT_ONCE))
                    deleted += last
                if deleted:
                    log.info("old_rows_deleted", table=table, rows=deleted)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("retention_retried", error=type(error).__name__)
        await asyncio.sleep(pause_s)
