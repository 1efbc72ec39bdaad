"""Ordering an operation from a command: publish it, and wait for the answer of the service."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from chassis.decision import Cause
from chassis.envelope import encode, read_headers
from chassis.kafka_clients import client_options
from chassis.operations.model import Operations, Outcome, Performed, Refused
from chassis.settings import KafkaSettings

_SOURCE: Final = "/truce/operator"
_POLL_MS: Final = 200


class NotOrdered(Exception):
    """The operation was not published: Kafka does not answer, or has no topic for it."""


async def order(
    kafka: KafkaSettings, operations: Operations, operation: Any, identity: UUID, within_s: float
) -> Outcome | None:
    """Publish an operation under the id `identity`. Returns its answer; None if there is none after `within_s` seconds.

    Without an answer the operation stays on its topic, and the service still carries it out. Raises NotOrdered.
    """
    # Read from the end, before the operation is published: so the answer cannot be missed.
    answers = AIOKafkaConsumer(operations.answers, **client_options(kafka), enable_auto_commit=False)
    producer = AIOKafkaProducer(**client_options(kafka), acks="all", enable_idempotence=True)
    try:
        try:
            await answers.start()
            await producer.start()
            for topic, partitions in (
                (operations.answers, answers.assignment()),
                (operations.topic, await producer.partitions_for(operations.topic)),
            ):
                if not partitions:
                    raise NotOrdered(f"there is no topic {topic}")
            await answers.seek_to_end()
        except (KafkaError, OSError, TimeoutError) as error:
            raise NotOrdered(f"Kafka: {type(error).__name__}") from error
        try:
            async with asyncio.timeout(within_s):
                await _publish(producer, operation, identity)
                return await _answer(answers, operations, identity)
        except (KafkaError, OSError, TimeoutError):
            return None
    finally:
        await producer.stop()
        await answers.stop()


async def _publish(producer: AIOKafkaProducer, operation: Any, identity: UUID) -> None:
    record = encode(
        operation,
        event_id=identity,
        source=_SOURCE,
        at=datetime.now(UTC),
        cause=Cause(str(identity), str(identity)),
        sequence=None,
    )
    await producer.send_and_wait(record.topic, record.value, key=record.key.encode(), headers=record.headers)


async def _answer(consumer: AIOKafkaConsumer, operations: Operations, identity: UUID) -> Outcome:
    while True:
        for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
            for record in records:
                kind = read_headers(record.headers).get("ce_type")
                if kind not in (operations.done.ce_type, operations.refused.ce_type):
                    continue
                body = orjson.loads(record.value)
                if body["operation"] == str(identity):
                    done = kind == operations.done.ce_type
                    return Performed(body.get("result", "")) if done else Refused(body["reason"])
