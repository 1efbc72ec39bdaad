"""Sending batches to Kafka with idempotent producers, acknowledged by all replicas."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    CorruptRecordException,
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from chassis import crash_points
from chassis.kafka_quirks import (
    InvalidRecordError,
    end_producer,
    idempotent_producer,
    partition_count,
    take_back_sequence,
)
from chassis.limits import PRODUCERS_AT_ONCE, START_PRODUCER_S
from chassis.outbox.partitions import PartitionQueue

log = structlog.get_logger(__name__)

REFUSALS: Final = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecordError)
"""A broker will never take this batch: it is too large, or a record of it breaks a rule of the topic."""

_NOT_WRITTEN: Final = (
    *REFUSALS,
    ClusterAuthorizationFailedError,
    CorruptRecordException,
    InvalidTimestampError,
    InvalidTopicError,
    TopicAuthorizationFailedError,
)
"""A broker refused the batch before it wrote anything: its sequence numbers are free again."""

_GRACE_S: Final = 2.0
_REPLACE_EVERY_S: Final = 1.0


@dataclass(eq=False, slots=True)
class Producer:
    """A producer, and the number of its batches on their way. A retired producer ends with the last of them."""

    client: AIOKafkaProducer
    on_way: int = 0
    retired: bool = False


class Sender:
    """The producers of a service: one, and in a disturbance a few more. `kafka` is aiokafka's connection options.
    `wake` is called when a topic was looked up and when a producer was replaced.

    One slow partition delays the response to every other batch of the same request, and one connection carries one
    request at a time. So a producer with slow batches is retired: it keeps them, and all else goes by a new producer.
    """

    def __init__(self, kafka: dict[str, Any], wake: Callable[[], None]) -> None:
        self._kafka = kafka
        self._wake = wake
        self._retired: set[Producer] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._replacing: asyncio.Task[None] | None = None
        self._replace_not_before = 0.0
        self.producer: Producer | None = None
        """The producer of the next batches."""

    async def connect(self, may_send: Callable[[], bool]) -> None:
        """Start a producer if there is none. Raises KafkaError, OSError, TimeoutError.

        The producer calls `may_send` before each request and waits while it returns False.
        """
        if self.producer is None:
            self.producer = Producer(await self._start(may_send))

    def partitions(self, topic: str) -> int | None:
        """How many partitions `topic` has, or None if the producer does not know."""
        return partition_count(self.producer.client, topic) if self.producer is not None else None

    def look_up(self, topic: str) -> None:
        """Request the metadata of a topic."""
        if self.producer is not None:
            client = self.producer.client.client
            client.add_topic(topic)
            client.force_metadata_update().add_done_callback(lambda _: self._wake())

    async def send(self, queue: PartitionQueue) -> "asyncio.Future[Any]":
        """Send the next batch of a partition. The future is also `queue.future`; it raises KafkaError."""
        producer = self.producer
        assert producer is not None
        builder = producer.client.create_batch()
        count = 0
        for _, event in queue.waiting:
            if count == queue.at_most or not builder.append(
                timestamp=None, key=event.key.encode(), value=event.value, headers=event.headers
            ):
                break
            count += 1
        queue.batch, queue.waiting = queue.waiting[:count], queue.waiting[count:]
        queue.sent_at, queue.producer = time.monotonic(), producer
        crash_points.reach(crash_points.COMMITTED, count)
        future: asyncio.Future[Any]
        try:
            future = await producer.client.send_batch(builder, queue.topic, partition=queue.partition)
        except KafkaError as error:
            future = asyncio.get_running_loop().create_future()
            future.set_exception(error)
        producer.on_way += 1
        queue.future = future
        return future

    def settle(self, queue: PartitionQueue) -> BaseException | None:
        """Note that the batch of a partition is not on its way any more. Returns its error, or None.

        The caller then finishes the batch of the queue.
        """
        future, producer = queue.future, queue.producer
        assert future is not None
        producer.on_way -= 1
        if producer.retired and not producer.on_way:
            self._retired.discard(producer)
            self._end(producer)
        error = future.exception()
        if error is None:
            crash_points.reach(crash_points.PUBLISHED, len(queue.batch))
        elif isinstance(error, _NOT_WRITTEN):
            take_back_sequence(producer.client, queue.topic, queue.partition, len(queue.batch))
        else:
            # The batch used up sequence numbers that Kafka may not have seen.
            queue.avoid = producer
        return error

    def can_replace(self) -> bool:
        """Whether a further producer may be started because of slow batches."""
        return len(self._retired) + 1 < PRODUCERS_AT_ONCE

    def replace(self, may_send: Callable[[], bool]) -> None:
        """Start a new producer beside the old one, and retire the old one."""
        if (self._replacing is None or self._replacing.done()) and time.monotonic() >= self._replace_not_before:
            self._replace_not_before = time.monotonic() + _REPLACE_EVERY_S
            self._replacing = asyncio.create_task(self._replace(may_send))

    def abandon(self) -> None:
        """End all producers: their events may belong to another process. Requests on their way get two seconds."""
        if self._replacing is not None:
            self._replacing.cancel()
        for producer in (*self._retired, *([self.producer] if self.producer is not None else [])):
            producer.retired = False
            self._end(producer, _GRACE_S if producer.on_way else 0.0)
        self._retired.clear()
        self.producer = None

    def end_late(self, producer: Producer) -> None:
        """End a producer whose batch was not acknowledged for too long. Its batches fail."""
        self._retired.discard(producer)
        if self.producer is producer:
            self.producer = None
        producer.retired = False
        self._end(producer)

    async def reaches_kafka(self) -> bool:
        """Whether any broker responds to this process."""
        try:
            if self.producer is not None:
                await self.producer.client.client.fetch_all_metadata()
                return True
        except (KafkaError, OSError):
            pass  # none of the brokers known so far; there may be others by now
        client = AIOKafkaClient(**self._kafka)
        try:
            await client.bootstrap()
        except (KafkaError, OSError):
            return False
        finally:
            await client.close()
        return True

    async def close(self) -> None:
        """End all producers. What is on its way after two seconds is cut off."""
        self.abandon()
        if self._ending:
            _, left = await asyncio.wait(self._ending, timeout=2 * _GRACE_S)
            for task in left:
                task.cancel()

    async def _start(self, may_send: Callable[[], bool]) -> AIOKafkaProducer:
        client = idempotent_producer(self._kafka, may_send)
        try:
            async with asyncio.timeout(START_PRODUCER_S):
                await client.start()
        except BaseException:
            await end_producer(client)
            raise
        return client

    async def _replace(self, may_send: Callable[[], bool]) -> None:
        old = self.producer
        try:
            new = Producer(await self._start(may_send))
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("producer_not_replaced", error=type(error).__name__)
            return
        if old is not None:
            await new.client.client.set_topics(old.client.client._topics)
        if self.producer is not old or old is None:
            self._end(new)
            return
        self.producer = new
        old.retired = True
        if old.on_way:
            self._retired.add(old)
        else:
            self._end(old)
        self._wake()

    def _end(self, producer: Producer, grace_s: float = 0.0) -> None:
        async def end() -> None:
            deadline = time.monotonic() + grace_s
            while producer.on_way and time.monotonic() < deadline:  # noqa: ASYNC110  # `settle` counts down
                await asyncio.sleep(0.05)
            try:
                await end_producer(producer.client)
            except (KafkaError, TimeoutError, OSError) as error:
                log.info("kafka_client_not_stopped", client="producer", error=type(error).__name__)

        task = asyncio.create_task(end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
