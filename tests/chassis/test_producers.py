"""The idempotent producer of the outbox on a real broker: what our workarounds of aiokafka are for."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError, ProducerClosed

from chassis.kafka_quirks import end_producer, idempotent_producer, take_back_sequence
from tests.process import until

pytestmark = pytest.mark.infra

REQUEST_TIMEOUT_MS = 2000


@pytest.fixture
async def admin(kafka_bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await client.start()
    yield client
    await client.close()


async def make_topic(admin: AIOKafkaAdminClient, **config: str) -> str:
    """A topic with one partition. Its name."""
    name = f"producers-{uuid.uuid4().hex[:8]}"
    settings = {setting.replace("_", "."): value for setting, value in config.items()}
    await admin.create_topics([NewTopic(name, 1, 1, topic_configs=settings)])
    return name


async def delete_topic(admin: AIOKafkaAdminClient, topic: str) -> None:
    async def missing() -> bool | None:
        return None if topic in await admin.list_topics() else True

    await admin.delete_topics([topic])
    await until(missing, f"{topic} is gone")


async def start(bootstrap: str, may_send: Callable[[], bool] = lambda: True) -> AIOKafkaProducer:
    producer = idempotent_producer({"bootstrap_servers": bootstrap, "request_timeout_ms": REQUEST_TIMEOUT_MS}, may_send)
    await producer.start()
    return producer


async def send(producer: AIOKafkaProducer, topic: str, *values: bytes) -> "asyncio.Future[object]":
    """Send one batch. The future of its acknowledgement."""
    batch = producer.create_batch()
    for value in values:
        assert batch.append(timestamp=None, key=b"k", value=value, headers=[])
    future: asyncio.Future[object] = await producer.send_batch(batch, topic, partition=0)
    return future


async def read(bootstrap: str, topic: str, total: int) -> list[bytes]:
    """The values of the first `total` records and of those that come within half a second after them."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    values: list[bytes] = []
    try:
        async with asyncio.timeout(20):
            while len(values) < total:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    values.extend(record.value for record in records)
        for records in (await consumer.getmany(timeout_ms=500)).values():
            values.extend(record.value for record in records)
    finally:
        await consumer.stop()
    return values


async def test_an_ended_producer_with_an_unacknowledged_batch_leaves_no_task_behind(
    admin: AIOKafkaAdminClient, kafka_bootstrap: str
) -> None:
    topic = await make_topic(admin)
    before = asyncio.all_tasks()
    producer = await start(kafka_bootstrap)
    await (await send(producer, topic, b"1"))
    await delete_topic(admin, topic)
    future = await send(producer, topic, b"2")
    await asyncio.wait([future], timeout=0.5)
    assert not future.done()

    await end_producer(producer)

    with pytest.raises(ProducerClosed):
        await future

    async def none_left() -> bool | None:
        return True if asyncio.all_tasks() <= before else None

    await until(none_left, "no task of the producer is left", 5.0)


async def test_a_batch_that_finds_no_leader_for_long_is_written_when_there_is_one(
    admin: AIOKafkaAdminClient, kafka_bootstrap: str
) -> None:
    topic = await make_topic(admin)
    producer = await start(kafka_bootstrap)
    await (await send(producer, topic, b"1"))
    await delete_topic(admin, topic)
    future = await send(producer, topic, b"2")
    await asyncio.wait([future], timeout=1.5 * REQUEST_TIMEOUT_MS / 1000)
    assert not future.done()

    await admin.create_topics([NewTopic(topic, 1, 1)])

    await asyncio.wait_for(future, 20)
    assert await read(kafka_bootstrap, topic, 1) == [b"2"]
    await end_producer(producer)


async def test_a_producer_sends_nothing_while_it_may_not(admin: AIOKafkaAdminClient, kafka_bootstrap: str) -> None:
    topic = await make_topic(admin)
    allowed = False
    producer = await start(kafka_bootstrap, lambda: allowed)
    future = await send(producer, topic, b"1")
    await asyncio.wait([future], timeout=0.5)
    assert not future.done()

    allowed = True

    await asyncio.wait_for(future, 5)
    assert await read(kafka_bootstrap, topic, 1) == [b"1"]
    await end_producer(producer)


async def test_a_partition_is_written_in_order_after_a_refused_batch(
    admin: AIOKafkaAdminClient, kafka_bootstrap: str
) -> None:
    topic = await make_topic(admin, max_message_bytes="1000")
    producer = await start(kafka_bootstrap)
    await (await send(producer, topic, b"1", b"2"))
    with pytest.raises(MessageSizeTooLargeError):
        await (await send(producer, topic, b"x" * 2000, b"x"))

    take_back_sequence(producer, topic, 0, 2)
    await (await send(producer, topic, b"3"))
    await (await send(producer, topic, b"4"))

    assert await read(kafka_bootstrap, topic, 4) == [b"1", b"2", b"3", b"4"]
    await end_producer(producer)
