"""The sample service, ready to be started."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from chassis.migrations import upgrade
from tests.chassis.harness import MIGRATIONS, Harness


@pytest.fixture
async def sample_database(database_factory: Callable[..., str]) -> str:
    """The URL of a migrated database of the sample service."""
    return await asyncio.to_thread(database_factory, "chassis-sample", lambda url: upgrade(url, MIGRATIONS))


@pytest.fixture
async def sample(kafka_bootstrap: str, sample_database: str, tmp_path: Path) -> AsyncIterator[Harness]:
    """The sample service with topics and a database of its own. No instance is started."""
    harness = Harness(kafka_bootstrap, sample_database, f"-{uuid.uuid4().hex[:8]}", tmp_path)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        await admin.create_topics(harness.topics(await admin.list_topics()))
        yield harness
    finally:
        await admin.close()
        harness.close()
