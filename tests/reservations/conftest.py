"""The running service of a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.migrations import upgrade
from tests.infra import DatabaseFactory
from tests.reservations.harness import MIGRATIONS, Harness


@pytest.fixture
async def reservations(fresh_topics: str, database_factory: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Harness]:
    """A harness with fresh topics and a migrated database; no process is started yet."""
    harness = Harness(fresh_topics, database_factory("reservations", lambda url: upgrade(url, MIGRATIONS)), tmp_path)
    harness.clock.write_text('{"shift_seconds": 0}')
    yield harness
    harness.end()
