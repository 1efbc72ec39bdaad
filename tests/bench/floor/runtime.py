"""Consumes batches, publishes events after the commit, and commits offsets after both."""

import asyncio
import contextlib
import os
import signal
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from chassis.decision import Cause
from chassis.envelope import Outgoing, cause_of, inbox_id, read_headers
from contracts.base import Message

BATCH_RECORDS = 500
COMMIT_EVERY_S = 0.25
MAX_BATCH_BYTES = 1024 * 1024
STOP_WITHIN_S = 3

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Handle = Callable[[Db, Sequence[ConsumerRecord]], Awaitable[Sequence[Outgoing]]]
"""Handles a batch: commits its transactions and returns the events to publish."""

_INBOX = """
    INSERT INTO inbox (id) SELECT DISTINCT i FROM unnest($1::uuid[]) AS i ON CONFLICT DO NOTHING RETURNING id
"""
_ADD_WORK = """
    INSERT INTO work (kind, ref, key, payload, cause)
    SELECT kind, ref, key, payload::jsonb, cause::jsonb
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS t (kind, ref, key, payload, cause)
    ON CONFLICT (kind, ref) DO NOTHING RETURNING id
"""
_FINISH_WORK = """
    UPDATE work SET state = 'done', attempts = attempts + 1, finished_at = now() WHERE id = ANY($1::bigint[])
"""


@dataclass(frozen=True, slots=True)
class Stream:
    """One member of a consumer group: its topics, and the handler of a batch."""

    group: str
    topics: tuple[str, ...]
    handle: Handle


@dataclass(frozen=True, slots=True)
class Received:
    """An event of a topic inside the system. `seen` is its inbox id."""

    body: Message
    cause: Cause
    seen: UUID


def decode(records: Sequence[ConsumerRecord], *models: type[Message]) -> list[Received]:
    """The validated events of `models`. Other kinds are skipped; an invalid event ends the process."""
    known: Mapping[str, type[Message]] = {model.ce_type: model for model in models}
    received = []
    for record in records:
        headers = read_headers(record.headers)
        model = known.get(headers["ce_type"])
        if model is not None:
            cause = cause_of(headers)
            body = model.model_validate_json(record.value)
            received.append(Received(body, cause, inbox_id(headers["ce_source"], cause.id)))
    return received


async def admit(db: Db, received: Sequence[Received]) -> list[Received]:
    """The events that were not handled before, each once."""
    new = {row["id"] for row in await db.fetch(_INBOX, [one.seen for one in received])}
    fresh = []
    for one in received:
        if one.seen in new:
            new.discard(one.seen)
            fresh.append(one)
    return fresh


async def add_work(db: Db, rows: Sequence[tuple[str, str, str, str, str]]) -> list[int]:
    """Insert work rows before their calls are made: (kind, ref, key, payload, cause). Returns the rows' ids."""
    return [row["id"] for row in await db.fetch(_ADD_WORK, *columns(rows, 5))]


async def finish_work(db: Db, ids: Sequence[int]) -> None:
    """Mark work rows as done."""
    await db.execute(_FINISH_WORK, ids)


def columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    """The columns of rows, as arrays for `unnest`."""
    return [[row[n] for row in rows] for n in range(count)]


async def serve(database_url: str, streams: Sequence[Stream]) -> None:
    """Run the streams until SIGTERM. Print `ready` when every stream has partitions. Raise the error of a stream."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    kafka = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=MAX_BATCH_BYTES,
        max_request_size=4 * MAX_BATCH_BYTES,
    )
    members = [_Member(stream, kafka, database_url, producer) for stream in streams]
    stopping = asyncio.create_task(stop.wait())
    tasks: list[asyncio.Task[Any]] = []
    try:
        await producer.start()
        await asyncio.gather(*(member.start() for member in members))
        print("ready", flush=True)
        tasks = [asyncio.create_task(work) for member in members for work in (member.consume(), member.commit_often())]
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in [stopping, *tasks]:
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN_S):
                await asyncio.gather(*(member.stop() for member in members), producer.stop(), return_exceptions=True)
    for task in done - {stopping}:
        task.result()


class _Member:
    """One consumer with a database connection of its own."""

    def __init__(self, stream: Stream, kafka: str, database_url: str, producer: AIOKafkaProducer) -> None:
        self._handle = stream.handle
        self._database_url = database_url
        self._producer = producer
        self._partitions: dict[str, int] = {}
        self._done: dict[TopicPartition, int] = {}
        # With the topics as arguments, `start` returns when the partitions are assigned.
        self._consumer = AIOKafkaConsumer(
            *stream.topics,
            bootstrap_servers=kafka,
            group_id=stream.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )

    async def start(self) -> None:
        self._db: Db = await asyncpg.connect(self._database_url, server_settings={"jit": "off", "TimeZone": "UTC"})
        await self._consumer.start()

    async def stop(self) -> None:
        await self._commit()
        await self._consumer.stop()
        await self._db.close()

    async def consume(self) -> None:
        while True:
            batch = await self._consumer.getmany(timeout_ms=500, max_records=BATCH_RECORDS)
            records = [record for of_partition in batch.values() for record in of_partition]
            if records:
                await self._publish(await self._handle(self._db, records))
            for partition, of_partition in batch.items():
                self._done[partition] = of_partition[-1].offset + 1

    async def commit_often(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            await self._commit()

    async def _commit(self) -> None:
        offsets, self._done = self._done, {}
        if offsets:
            await self._consumer.commit(offsets)

    async def _publish(self, events: Sequence[Outgoing]) -> None:
        """Send one batch for each partition, and more if a batch is full. Return when all are acknowledged."""
        by_partition: dict[tuple[str, int], list[Outgoing]] = {}
        for event in events:
            count = self._partitions.get(event.topic)
            if count is None:
                count = self._partitions[event.topic] = len(await self._producer.partitions_for(event.topic))
            by_partition.setdefault((event.topic, zlib.crc32(event.key.encode()) % count), []).append(event)
        acks = []
        for (topic, partition), of_partition in by_partition.items():
            batch = self._producer.create_batch()
            for event in of_partition:
                if not _append(batch, event):
                    acks.append(await self._producer.send_batch(batch, topic, partition=partition))
                    batch = self._producer.create_batch()
                    _append(batch, event)
            acks.append(await self._producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*acks)


def _append(batch: Any, event: Outgoing) -> bool:
    added = batch.append(timestamp=None, key=event.key.encode(), value=event.value, headers=event.headers)
    return added is not None
