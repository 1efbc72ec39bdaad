"""Checks of the database before a service starts: a mistake of the deployment is a message, not a crash loop."""

import asyncio
from pathlib import Path
from typing import Final

import asyncpg
import structlog
from alembic.script import ScriptDirectory

from chassis.database.pool import SERVER_SETTINGS, driver_url
from chassis.limits import CONNECT_TIMEOUT_S

log = structlog.get_logger(__name__)

_PROBED: Final = "plan_cache_mode"
_POOLER: Final = (
    "the address is a connection pooler such as PgBouncer; Truce needs PostgreSQL itself, because it uses session locks"
    " and start-up parameters"
)


async def database_problem(database_url: str, scripts: Path | None, migrate: str) -> str | None:
    """Why the service cannot run on this database, or None. A database that does not answer is waited for: None.

    `scripts`: the folder of the service's migrations; None: the revision is not compared. `migrate`: the command that
    upgrades the database.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connection = await asyncpg.connect(driver_url(database_url), server_settings=dict(SERVER_SETTINGS))
    except asyncpg.ProtocolViolationError as error:
        if "startup parameter" in str(error):
            return _POOLER
        raise
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        log.warning("database_not_checked", error=type(error).__name__)
        return None
    try:
        if await connection.fetchval("SELECT current_setting($1)", _PROBED) != SERVER_SETTINGS[_PROBED]:
            return _POOLER
        found = await _revision(connection)
    finally:
        await connection.close()
    if scripts is None:
        return None
    needed = ScriptDirectory(str(scripts)).get_current_head()
    if found == needed:
        return None
    return f"the database is at revision {found or 'none'}, this version needs {needed}: run `{migrate}`"


async def _revision(connection: asyncpg.Connection) -> str | None:
    try:
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    return revision
