"""Migrations keep the data of the version before."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from tests.infra import in_thread, run
from tests.intake.harness import MIGRATIONS

pytestmark = pytest.mark.infra

EVENTS = '[["2026-11-24T12:00:00+00:00", "confirmed", "2027-05-24"]]'


def migrate(url: str, step: Callable[[Config, str], object], revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    in_thread(lambda: step(config, revision))


def fetch(url: str, statement: str) -> list[Any]:
    async def work() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return run(work())


def test_recorded_reservation_events_survive_an_upgrade_and_a_downgrade(database: str) -> None:
    migrate(database, command.upgrade, "0003")
    fetch(
        database,
        "INSERT INTO leads (lead_id, number, portal, partner_id, client_key, client, status, received_at, story, told)"
        f" VALUES (gen_random_uuid(), 1, 'demo', 'anna', 'k1:0', 'sealed', 'confirmed', now(), '{EVENTS}', 1)",
    )

    migrate(database, command.upgrade, "head")
    upgraded = fetch(database, "SELECT reservation_events::text, history_count FROM leads")
    migrate(database, command.downgrade, "0003")
    downgraded = fetch(database, "SELECT story::text, told FROM leads")

    assert upgraded == downgraded == [(EVENTS, 1)]
