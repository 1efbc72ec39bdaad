"""The lag counts the records that can be read and are not handled, and nothing else that has an offset."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from chassis.consumer.offsets import Offsets
from tests.chassis.harness import PARTITIONS, Harness
from tests.process import until
from tests.topics import begun_transaction

pytestmark = pytest.mark.infra


@asynccontextmanager
async def reading(sample: Harness) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of a group that reads the topic of the requests as services do."""
    consumer = AIOKafkaConsumer(
        sample.requests_topic,
        bootstrap_servers=sample.bootstrap,
        group_id=sample.service,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def write(sample: Harness, count: int) -> None:
    """Write records to partition 0, outside of transactions."""
    producer = AIOKafkaProducer(bootstrap_servers=sample.bootstrap)
    await producer.start()
    try:
        for _ in range(count):
            await producer.send_and_wait(sample.requests_topic, b"{}", partition=0)
    finally:
        await producer.stop()


def write_in_transaction(sample: Harness, count: int, ending: str | None) -> Any:
    """Write records to partition 0 in one transaction, and `commit`, `abort` or leave it. Returns its producer."""
    producer = begun_transaction(sample.bootstrap)
    for _ in range(count):
        producer.produce(sample.requests_topic, b"{}", partition=0)
    producer.flush(30)
    if ending is not None:
        getattr(producer, f"{ending}_transaction")(30)
    return producer


async def behind(offsets: Offsets, consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    """The lag of each partition."""
    lag = await offsets.lag(consumer)
    assert lag is not None
    return [lag.behind[TopicPartition(topic, partition)] for partition in range(PARTITIONS)]


async def test_records_are_lag_until_they_are_handled(sample: Harness) -> None:
    await write(sample, 3)
    async with reading(sample) as consumer:
        offsets = Offsets("requests")
        assert await behind(offsets, consumer, sample.requests_topic) == [3, 0, 0]

        records = await _poll(consumer, 3)
        offsets.take(records)
        assert await behind(offsets, consumer, sample.requests_topic) == [3, 0, 0]

        for record in records:
            offsets.mark_handled(record)
        offsets.take(())
        assert await behind(offsets, consumer, sample.requests_topic) == [0, 0, 0]


@pytest.mark.parametrize("ending", ["commit", "abort", None])
async def test_what_is_left_of_a_transaction_is_no_lag(sample: Harness, ending: str | None) -> None:
    await write(sample, 1)
    producer = await asyncio.to_thread(write_in_transaction, sample, 2, ending)
    async with reading(sample) as consumer:
        offsets = Offsets("requests")
        for record in await _poll(consumer, 3 if ending == "commit" else 1):
            offsets.mark_handled(record)

        async def none() -> bool | None:
            await consumer.getmany(timeout_ms=100)
            return True if await behind(offsets, consumer, sample.requests_topic) == [0, 0, 0] else None

        await until(none, "nothing is lag", 10)
    if ending is None:
        await asyncio.to_thread(producer.abort_transaction, 30)


async def test_reading_on_over_aborted_transactions_is_seen_as_movement(sample: Harness) -> None:
    async with reading(sample) as consumer:
        offsets = Offsets("requests")
        await behind(offsets, consumer, sample.requests_topic)
        await asyncio.to_thread(write_in_transaction, sample, 2, "abort")

        async def moved() -> bool | None:
            assert not await consumer.getmany(timeout_ms=100)
            lag = await offsets.lag(consumer)
            return True if lag is not None and lag.moved else None

        await until(moved, "the consumer has read on", 10)
        lag = await offsets.lag(consumer)
        assert lag is not None
        assert not lag.moved


async def _poll(consumer: AIOKafkaConsumer, count: int) -> Sequence[Any]:
    records: list[Any] = []

    async def enough() -> bool | None:
        for found in (await consumer.getmany(timeout_ms=200)).values():
            records.extend(found)
        return True if len(records) >= count else None

    await until(enough, f"{count} records are read", 20)
    return records
