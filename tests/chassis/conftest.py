"""The sample service, ready to be started."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chassis.migrations import upgrade
from contracts.topics import DEAD_LETTERS, OPERATION_RESULTS, OPERATIONS, TOPICS
from tests.chassis.harness import MIGRATIONS, PARTITIONS, Harness


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
        # Compacted as soon as Kafka can.
        compacted = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
        topics = [NewTopic(name, PARTITIONS, 1) for name in (harness.requests_topic, harness.results_topic)]
        topics.append(NewTopic(harness.states_topic, PARTITIONS, 1, topic_configs=compacted))
        shared, existing = (DEAD_LETTERS, OPERATIONS, OPERATION_RESULTS), await admin.list_topics()
        topics += [
            NewTopic(spec.name, spec.partitions, 1, topic_configs=spec.config)
            for spec in TOPICS
            if spec.name in shared and spec.name not in existing
        ]
        await admin.create_topics(topics)
        yield harness
    finally:
        await admin.close()
        harness.close()
