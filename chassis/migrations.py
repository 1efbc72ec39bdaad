"""Running a service's alembic migrations. An advisory lock keeps two runs that start at once apart."""

import asyncio
from pathlib import Path

import asyncpg
from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from chassis.database.pool import driver_url

_MIGRATION_LOCK = 0x7275D0


def upgrade(database_url: str, scripts: Path) -> None:
    """Upgrade the database to the newest revision in the folder `scripts`."""
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.attributes["url"] = database_url
    command.upgrade(config, "head")


def run() -> None:
    """Run the migrations that alembic has selected. Each service's `migrations/env.py` calls this."""
    asyncio.run(_run(context.config.attributes["url"]))


async def _run(url: str) -> None:
    # asyncpg reads the URL itself, as it does for the running service: with `?sslmode=…` and all else.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(driver_url(url)),
        poolclass=NullPool,
        hide_parameters=True,
    )
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        context.run_migrations()
