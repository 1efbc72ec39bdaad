"""A database of the version before keeps its rows under the new names, and can be taken back to the old ones."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from tests.infra import in_thread
from tests.notifier.conftest import MIGRATIONS

pytestmark = pytest.mark.infra

ROWS_OF_0003 = """
    INSERT INTO providers (name, asked_at, error, balance, bar, barred_until)
    VALUES ('smsc', '2026-11-24', '3', 7.50, '3', '2026-11-25');
    INSERT INTO attempts (message_id, provider, began_at, sends, looks, missing)
    VALUES ('00000000-0000-5000-8000-0000000000a1', 'smsc', '2026-11-24', 2, 5, 1);
    INSERT INTO reports (provider, message_id, outcome, code)
    VALUES ('smsc', '00000000-0000-5000-8000-0000000000a2', 'delivered', '1');
"""


def migrate(step: Callable[[Config, str], None], url: str, revision: str) -> None:
    """Run alembic's `upgrade` or `downgrade` to a revision."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    in_thread(lambda: step(config, revision))


async def query(url: str, sql: str) -> Sequence[Any]:
    connection = await asyncpg.connect(url)
    try:
        found: Sequence[Any] = [tuple(row) for row in await connection.fetch(sql)]
        return found
    finally:
        await connection.close()


async def test_rows_of_the_version_before_are_kept_in_both_directions(database: str) -> None:
    migrate(command.upgrade, database, "0003")
    connection = await asyncpg.connect(database)
    await connection.execute(ROWS_OF_0003)
    await connection.close()
    migrate(command.upgrade, database, "0004")

    assert await query(database, "SELECT name, disabled_code, balance::text, error FROM providers") == [
        ("smsc", "3", "7.50", "3")
    ]
    assert await query(database, "SELECT checked_at < disabled_until FROM providers") == [(True,)]
    assert await query(database, "SELECT sends, lookups, misses FROM attempts") == [(2, 5, 1)]
    assert await query(database, "SELECT message_id, outcome FROM unmatched_reports") == [
        (UUID("00000000-0000-5000-8000-0000000000a2"), "delivered")
    ]
    migrate(command.downgrade, database, "0003")
    assert await query(database, "SELECT bar, asked_at < barred_until FROM providers") == [("3", True)]
    assert await query(database, "SELECT looks, missing FROM attempts") == [(5, 1)]
    assert await query(database, "SELECT outcome FROM reports") == [("delivered",)]
