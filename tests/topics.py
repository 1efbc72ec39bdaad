"""Publish to a service's input topics, and read its output topics."""

import json
import struct
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.record.util import calc_crc32c
from confluent_kafka import Producer

from chassis.decision import Cause
from chassis.envelope import encode
from contracts.base import Message
from tests.process import until

_CRC_AT = 17
_CHECKED_FROM = 21


async def publish(
    bootstrap: str, messages: Sequence[Message], *, source: str, times: int = 1, sequence: int | None = None
) -> None:
    """Publish events to their topics with the headers of `source`, each event `times` times under one id.

    `sequence`: the number that each of them has among the events of its key.
    """
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=2)
    await producer.start()
    try:
        sent = []
        for message in messages:
            event_id = uuid.uuid4()
            record = encode(
                message,
                event_id=event_id,
                source=source,
                at=datetime.now(UTC),
                cause=Cause(str(event_id), str(event_id)),
                sequence=sequence,
            )
            for _ in range(times):
                key = record.key.encode()
                sent.append(await producer.send(record.topic, record.value, key=key, headers=record.headers))
        for future in sent:
            await future
    finally:
        await producer.stop()


async def published(
    bootstrap: str, topic: str, kind: str, count: int, which: Callable[[dict[str, Any]], bool] = lambda _: True
) -> list[dict[str, Any]]:
    """Wait for `count` different events of one kind on a topic, and return all that were read.

    Each is the JSON value with the added names `_headers` and `_key`. `which` selects the values of this test.
    """
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[bytes, dict[str, Any]] = {}

    async def look() -> list[dict[str, Any]] | None:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                headers = dict(record.headers)
                if headers["ce_type"].decode() == kind and which(value := json.loads(record.value)):
                    found[headers["ce_id"]] = {**value, "_headers": headers, "_key": record.key}
        return list(found.values()) if len(found) >= count else None

    try:
        return await until(look, f"{count} {kind} on {topic}")
    finally:
        await consumer.stop()


def undecodable_batch(producer: AIOKafkaProducer, records: int = 1) -> Any:
    """A batch whose first record has a header name that is not UTF-8. Kafka accepts it, aiokafka cannot decode it."""
    batch = producer.create_batch()
    batch.append(timestamp=None, key=b"bad", value=b"{}", headers=[("zz", b"1")])
    for _ in range(records - 1):
        batch.append(timestamp=None, key=b"behind", value=b"{}", headers=[])
    buffer = batch._build()
    at = buffer.index(b"zz")
    buffer[at : at + 2] = b"\xff\xff"
    struct.pack_into(">I", buffer, _CRC_AT, calc_crc32c(bytes(buffer[_CHECKED_FROM:])))
    return batch


async def publish_undecodable(bootstrap: str, topic: str, partition: int, records: int = 1) -> None:
    """Publish a batch that cannot be decoded."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        await (await producer.send_batch(undecodable_batch(producer, records), topic, partition=partition))
    finally:
        await producer.stop()


def begun_transaction(bootstrap: str) -> Any:
    """A producer (confluent-kafka) that has begun a transaction."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(30)
    producer.begin_transaction()
    return producer
