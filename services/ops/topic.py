"""The topic `dead-letters` as operators use it: letters are read, records are replayed or discarded."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from chassis.decision import Cause
from chassis.envelope import encode, read_headers
from chassis.kafka_clients import client_options
from chassis.settings import KafkaSettings
from contracts.dead_letters import DeadLetter, DeadLetterReplayed, DeadLetterResolved
from contracts.topics import MAX_DEAD_LETTER_BYTES
from services.ops.letters import (
    Action,
    Letter,
    Outcomes,
    Publication,
    Unsealed,
    discard_of,
    in_replay_order,
    open_letters,
    replay_of,
)

_SOURCE: Final = "/truce/operator"
_MAX_BATCH_BYTES: Final = 2 * MAX_DEAD_LETTER_BYTES
_SILENCE_S: Final = 20.0
_POLL_MS: Final = 500
_ANSWER_POLL_MS: Final = 200


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


async def discard(kafka: KafkaSettings, topic: str, unsealed: Iterable[Unsealed], by: str, reason: str) -> None:
    """Discard the record of each letter: a parked record is removed from the queue of its key.

    The letters are then resolved. A discard publishes a record that removes the letter's place from the open letters of
    the service, and from the queue of its key.
    """
    async with _producer(kafka) as producer:
        for letter, original in in_replay_order(unsealed):
            if original.token is not None:
                await _publish(producer, letter, discard_of(letter, original))
            await _publish_resolution(producer, topic, letter, "discarded", by, reason)


async def replay(
    kafka: KafkaSettings, topic: str, unsealed: Sequence[Unsealed], by: str, reason: str, wait_s: float
) -> Outcomes:
    """Publish the record of each letter once more, oldest first, to the partition it was read from.

    So the member of the group that reads the record's key handles the replay, too, and in the order of the replays. The
    letters are then resolved. Returns what became of the replays within `wait_s` seconds.
    """
    outcomes = Outcomes(letter for letter, _ in unsealed)
    async with _tail(kafka, topic) as tail, _producer(kafka) as producer:
        for letter, original in in_replay_order(unsealed):
            await _publish(producer, letter, replay_of(letter, original))
            # Published last. If the command ends before, the letter is still open, and a second replay changes nothing.
            await _publish_resolution(producer, topic, letter, "replayed", by, reason)
        deadline = time.monotonic() + wait_s
        while outcomes.missing and time.monotonic() < deadline:
            for records in (await tail.getmany(timeout_ms=_ANSWER_POLL_MS)).values():
                for record in records:
                    if read_headers(record.headers).get("ce_type") == DeadLetterReplayed.ce_type:
                        outcomes.add(DeadLetterReplayed.model_validate_json(record.value))
    return outcomes


async def _publish(producer: AIOKafkaProducer, letter: Letter, record: Publication) -> None:
    where = letter.content
    # The partition of the original key, whatever the key of this record is.
    await producer.send_and_wait(
        where.original_topic, record.value, key=record.key, headers=record.headers, partition=where.partition
    )


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
    async with _consumer(kafka, topic) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        async with asyncio.timeout(_SILENCE_S) as deadline:
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                    deadline.reschedule(asyncio.get_running_loop().time() + _SILENCE_S)
                    for record in records:
                        yield read_headers(record.headers), record.value


@asynccontextmanager
async def _tail(kafka: KafkaSettings, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of the records that are published from now on."""
    async with _consumer(kafka, topic) as consumer:
        for partition, end in (await consumer.end_offsets(consumer.assignment())).items():
            consumer.seek(partition, end)
        yield consumer


@asynccontextmanager
async def _consumer(kafka: KafkaSettings, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of the whole topic. Raises ValueError if there is no such topic."""
    consumer = AIOKafkaConsumer(
        topic, **client_options(kafka), auto_offset_reset="earliest", max_partition_fetch_bytes=_MAX_BATCH_BYTES
    )
    await consumer.start()
    try:
        if not consumer.assignment():
            raise ValueError(f"there is no topic {topic}")
        yield consumer
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
