"""The topic `dead-letters` as operators use it: letters are read, records are replayed or discarded."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from chassis.decision import Cause
from chassis.envelope import encode, read_headers
from chassis.kafka_clients import client_options
from chassis.settings import KafkaSettings
from contracts.dead_letters import DeadLetter, DeadLetterResolved
from contracts.topics import MAX_DEAD_LETTER_BYTES
from services.ops.letters import (
    Action,
    Letter,
    Unsealed,
    discard_headers,
    in_replay_order,
    open_letters,
    replay_headers,
)

_SOURCE: Final = "/truce/operator"
_MAX_BATCH_BYTES: Final = 2 * MAX_DEAD_LETTER_BYTES
_SILENCE_S: Final = 20.0
_POLL_MS: Final = 500


async def read_open_letters(kafka: KafkaSettings, topic: str) -> list[Letter]:
    """Read the whole topic and return its open letters, oldest first.

    Raises ValueError if the topic does not exist, TimeoutError if Kafka sends nothing for 20 s.
    """
    letters: list[Letter] = []
    resolved: set[str] = set()
    async for headers, value in _records(kafka, topic):
        if headers.get("ce_type") == DeadLetter.ce_type:
            try:
                created_at = datetime.fromisoformat(headers["ce_time"])
                letters.append(Letter(headers["ce_id"], created_at, DeadLetter.model_validate_json(value)))
            except (KeyError, ValueError) as error:
                # A letter that this version cannot read must not hide the others.
                print(f"a letter is not shown, this version cannot read it: {type(error).__name__}", file=sys.stderr)
        elif headers.get("ce_type") == DeadLetterResolved.ce_type:
            resolved.add(DeadLetterResolved.model_validate_json(value).letter)
    # A letter that was published twice has the same id twice.
    return open_letters({letter.id: letter for letter in letters}.values(), resolved)


async def resolve(
    kafka: KafkaSettings, topic: str, unsealed: Iterable[Unsealed], action: Action, by: str, reason: str
) -> None:
    """Replay or discard the record of each letter, oldest first, and publish that the letter is resolved.

    A replay publishes the original record once more, to the partition it was read from. A discard publishes a record
    that removes its place from the open letters of the service, and from the queue of its key.
    """
    async with _producer(kafka) as producer:
        for letter, original in in_replay_order(unsealed):
            where: dict[str, Any] = {"key": original.key, "partition": letter.content.partition}
            if action == "replayed":
                headers = replay_headers(letter, original)
                await producer.send_and_wait(letter.content.original_topic, original.value, headers=headers, **where)
            elif original.token is not None:
                headers = discard_headers(letter, original.token)
                await producer.send_and_wait(letter.content.original_topic, b"", headers=headers, **where)
            # Published last. If the command ends before, the letter is still open, and a second replay changes nothing.
            await _publish_resolution(producer, topic, letter, action, by, reason)


async def _publish_resolution(
    producer: AIOKafkaProducer, topic: str, letter: Letter, action: Action, by: str, reason: str
) -> None:
    now = datetime.now(UTC)
    event = encode(
        DeadLetterResolved(letter=letter.id, action=action, by=by, reason=reason, at=now),
        event_id=uuid4(),
        source=_SOURCE,
        at=now,
        cause=Cause(letter.id, letter.id),
        sequence=None,
    )
    await producer.send_and_wait(topic, event.value, key=event.key.encode(), headers=event.headers)


async def _records(kafka: KafkaSettings, topic: str) -> AsyncIterator[tuple[dict[str, str], bytes]]:
    """The headers and the value of every record that is on the topic now."""
    consumer = AIOKafkaConsumer(
        topic, **client_options(kafka), auto_offset_reset="earliest", max_partition_fetch_bytes=_MAX_BATCH_BYTES
    )
    await consumer.start()
    try:
        partitions = consumer.assignment()
        if not partitions:
            raise ValueError(f"there is no topic {topic}")
        ends = await consumer.end_offsets(partitions)
        async with asyncio.timeout(_SILENCE_S) as deadline:
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                    deadline.reschedule(asyncio.get_running_loop().time() + _SILENCE_S)
                    for record in records:
                        yield read_headers(record.headers), record.value
    finally:
        await consumer.stop()


@asynccontextmanager
async def _producer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        **client_options(kafka), acks="all", enable_idempotence=True, max_request_size=_MAX_BATCH_BYTES
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
