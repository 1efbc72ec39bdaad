"""An event goes to the partition that librdkafka's `consistent` partitioner takes for its key."""

import asyncio
from typing import Any

import pytest
from confluent_kafka import Producer

from chassis.outbox.partitions import partition_of
from tests.chassis.harness import PARTITIONS, Harness

pytestmark = pytest.mark.infra


async def test_our_partition_of_a_key_is_that_of_librdkafkas_consistent_partitioner(sample: Harness) -> None:
    taken: dict[str, int] = {}

    def delivered(error: Any, message: Any) -> None:
        assert error is None
        taken[message.key().decode()] = message.partition()

    producer = Producer({"bootstrap.servers": sample.bootstrap, "partitioner": "consistent"})
    for n in range(50):
        producer.produce(sample.results_topic, b"{}", key=f"k1:{n:064x}", on_delivery=delivered)
    await asyncio.to_thread(producer.flush, 20)

    assert len(taken) == 50
    assert taken == {key: partition_of(key, PARTITIONS) for key in taken}
