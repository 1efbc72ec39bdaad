"""Publish to a service's input topics, and read its output topics."""

import json
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from chassis.decision import Cause
from chassis.envelope import encode
from contracts.base import Message
from tests.process import until


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
