"""Sending events to Kafka: one batch a partition at a time, idempotent, acknowledged by all replicas."""

import asyncio
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from chassis import crash_points
from chassis.kafka_quirks import partition_count, stop_producer
from chassis.limits import ACKNOWLEDGEMENT_TIMEOUT_S, MAX_BATCH_BYTES, MAX_REQUEST_BYTES
from chassis.observability import metrics
from chassis.outbox.queue import Queued

log = structlog.get_logger(__name__)


class Sender:
    """The only producer of a service. `kafka` is aiokafka's connection options."""

    def __init__(self, kafka: dict[str, Any]) -> None:
        self._kafka = kafka
        self._producer: AIOKafkaProducer | None = None

    async def send(self, events: Sequence[Queued], may_send: Callable[[], bool]) -> tuple[list[int], list[Queued]]:
        """Send one batch to each partition and wait for the acknowledgements.

        `may_send` is called last, after a connection was made: if it returns False, nothing is sent.

        Returns the row ids of the acknowledged events, and the events that are still to be sent, in order: those that
        did not fit into the batches, or all events after a failure.
        """
        left: list[Queued] = []
        try:
            async with asyncio.timeout(ACKNOWLEDGEMENT_TIMEOUT_S):
                producer = await self._connected()
                builders: dict[tuple[str, int], Any] = {}
                sent: dict[tuple[str, int], list[Queued]] = {}
                full: set[tuple[str, int]] = set()
                partitions = {topic: await partition_count(producer, topic) for topic in {e.topic for _, e in events}}
                for item in events:
                    event = item[1]
                    where = (event.topic, partition_of(event.key, partitions[event.topic]))
                    builder = builders.get(where)
                    if builder is None:
                        builder = builders[where] = producer.create_batch()
                    added = None
                    if where not in full:
                        added = builder.append(
                            timestamp=None, key=event.key.encode(), value=event.value, headers=event.headers
                        )
                    if added is None:
                        full.add(where)
                        left.append(item)
                    else:
                        sent.setdefault(where, []).append(item)
                if not may_send():
                    return [], list(events)
                # One batch a partition at a time: if a batch failed and a later one of its partition passed, the order
                # would be lost.
                futures = []
                for where, items in sent.items():
                    crash_points.reach(crash_points.COMMITTED, len(items))
                    futures.append(await producer.send_batch(builders[where], where[0], partition=where[1]))
                for future, items in zip(futures, sent.values(), strict=True):
                    await future
                    crash_points.reach(crash_points.PUBLISHED, len(items))
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("publishing_failed", error=type(error).__name__, events=len(events))
            await self.close()
            return [], list(events)
        for (topic, _), items in sent.items():
            metrics.EVENTS_PUBLISHED.labels(topic).inc(len(items))
        return [row_id for items in sent.values() for row_id, _ in items], left

    async def close(self) -> None:
        """Stop the producer. The next `send` makes a new one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_producer(producer)

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._kafka,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                max_batch_size=MAX_BATCH_BYTES,
                max_request_size=MAX_REQUEST_BYTES,
            )
            try:
                await producer.start()
            except BaseException:
                await stop_producer(producer)
                raise
            self._producer = producer
        return self._producer


def partition_of(key: str, partitions: int) -> int:
    """CRC32 of the key, like librdkafka's `consistent` partitioner: a hundredth of the cost of murmur2 in Python."""
    return zlib.crc32(key.encode()) % partitions
