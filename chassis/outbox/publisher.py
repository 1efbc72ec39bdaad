"""Events leave in the order of commit, per key, and without waiting for a poll.

Two roads, one order. Right after its commit a transaction's events are handed over in memory, while their rows
stand in the outbox under this process's identity. What a crash, a lost identity or a busy key left behind has no
owner: any process claims it, oldest first, and puts it into the same queue. A key whose earlier event waits under
another identity is left to the second road, so nothing overtakes.
"""

import asyncio
import time
import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from chassis import crash_points
from chassis.database.presence import Presence
from chassis.database.sql import Database, Statement, as_json, execute, is_transient, rows
from chassis.envelope import Outgoing, headers_from_json
from chassis.observability import metrics

log = structlog.get_logger(__name__)

FLUSH_EVENTS = 1000
QUEUE_EVENTS = 20_000
CLAIM_ROWS = 500
SWEEP_EVERY_S = 1.0
DELETE_EVERY_S = 0.5
ACK_TIMEOUT_S = 30.0
MAX_BATCH_BYTES = 1024 * 1024

_CLAIM_LOCK = 0x7275CF

_ADVANCE = """
    UPDATE streams s SET sequence = u.sequence FROM unnest($1::text[], $2::bigint[]) AS u (key, sequence)
    WHERE s.key = u.key
"""
_INSERT = """
    INSERT INTO outbox (event_id, owner, topic, key, headers, value)
    SELECT e.event_id,
           CASE WHEN (SELECT 1 FROM outbox o WHERE o.key = e.key AND o.owner IS DISTINCT FROM $2 LIMIT 1) IS NULL
                THEN $2::integer END,
           e.topic, e.key, e.headers, convert_to(e.value, 'UTF8')
    FROM ROWS FROM (json_to_recordset($1::json) AS (event_id uuid, topic text, key text, headers text, value text))
         WITH ORDINALITY AS e (event_id, topic, key, headers, value, n)
    ORDER BY e.n
    RETURNING id, event_id, owner
"""
_INSERT_DEFERRED = """
    INSERT INTO outbox (event_id, topic, key, headers, value)
    SELECT e.event_id, e.topic, e.key, e.headers, convert_to(e.value, 'UTF8')
    FROM ROWS FROM (json_to_recordset($1::json) AS (event_id uuid, topic text, key text, headers text, value text))
         WITH ORDINALITY AS e (event_id, topic, key, headers, value, n)
    ORDER BY e.n
    RETURNING id
"""
# Not waited for: lost in a crash, the rows come back and are published again, and repeats are harmless.
_DELETE = """
    DELETE FROM outbox WHERE id = ANY($1::bigint[]) AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off'
"""
_CLAIM = """
    UPDATE outbox SET owner = $1 WHERE id IN (
        SELECT id FROM outbox o WHERE owner IS NULL
        AND (SELECT 1 FROM outbox e WHERE e.key = o.key AND e.id < o.id AND e.owner <> $1 LIMIT 1) IS NULL
        ORDER BY id LIMIT $2)
    RETURNING id, event_id, topic, key, headers, value
"""


@dataclass(eq=False, slots=True)
class Dispatch:
    """Events of one transaction on their way out, in order, under `owner`; `settled` once its commit is known."""

    owner: int
    events: list[tuple[int, Outgoing]]
    count: int
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """The commit is done: these may leave."""
        self.settled.set()

    def discard(self) -> None:
        """The commit did not happen, or nobody knows: nothing leaves on this road."""
        self.events = []
        self.settled.set()


class Publisher:
    """The only producer of a service."""

    def __init__(self, database: Database, presence: Presence, kafka: dict[str, Any]) -> None:
        self._database = database
        self._presence = presence
        self._kafka = kafka
        self._producer: AIOKafkaProducer | None = None
        self._queue: deque[Dispatch] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._sweep = asyncio.Event()
        self._published: list[int] = []
        self._writing = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.failing_since: float | None = None
        self.oldest_waiting_s = 0.0
        presence.on_lost(self._forget)
        presence.on_freed(self._sweep.set)

    def store(
        self, events: Sequence[Outgoing], sequences: Mapping[str, int], *, deferred: bool = False
    ) -> tuple[Statement, Statement]:
        """Statements that count and write events, to be run under the locks of their keys, last before the commit.

        `sequences`: how far the counts of their keys have come. What the second returns is for `dispatch`; not of
        events that go `deferred`, by the table's road.
        """
        owner = self._presence.id if self._queued < QUEUE_EVENTS and not deferred else None
        told = [
            {
                "event_id": event.event_id,
                "topic": event.topic,
                "key": event.key,
                "headers": event.stored,
                "value": event.value.decode(),
            }
            for event in events
        ]
        advance = Statement(_ADVANCE, (list(sequences), list(sequences.values())))
        if deferred:
            return advance, Statement(_INSERT_DEFERRED, (as_json(told),), ("id",))
        return advance, Statement(_INSERT, (as_json(told), owner), ("id", "event_id", "owner"))

    def dispatch(self, events: Sequence[Outgoing], written: Sequence[Any]) -> Dispatch | None:
        """Queue what was written under our identity. The caller releases or discards what it gets.

        None: all of it goes by the table's road.
        """
        # By their bytes: the driver's UUIDs and Python's are equal, at a price.
        by_id = {event.event_id.bytes: event for event in events}
        identity = self._presence.id
        mine = [(row, by_id[event.bytes]) for row, event, owner in written if owner is not None and owner == identity]
        mine.sort(key=lambda item: item[0])
        if len(mine) < len(events):
            self._sweep.set()
        return self._enqueue(identity, mine) if mine and identity is not None else None

    @contextmanager
    def giving_way(self) -> Iterator[None]:
        """Meanwhile the table's road is closed: a crowd of events is written, and is to be written quickly."""
        self._writing += 1
        try:
            yield
        finally:
            self._writing -= 1
            self._sweep.set()

    async def run(self) -> None:
        """Publish for as long as the service runs."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish_forever())
            group.create_task(self._delete_forever())
            group.create_task(self._claim_forever())

    async def drain(self, timeout_s: float) -> None:
        """Wait until what is queued has left, for at most `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
                await self._delete_published()
        except TimeoutError:
            log.warning("left in the outbox at stop", events=self._queued)

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)

    def _enqueue(self, owner: int, events: list[tuple[int, Outgoing]]) -> Dispatch:
        dispatch = Dispatch(owner, events, len(events))
        self._queue.append(dispatch)
        self._queued += len(events)
        self._idle.clear()
        self._wake.set()
        return dispatch

    def _forget(self) -> None:
        for dispatch in self._queue:
            dispatch.discard()
        self._queue.clear()
        self._queued = 0
        self._sweep.set()

    async def _publish_forever(self) -> None:
        while True:
            if not self._queue:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
            owner, batch = await self._next_batch()
            delay = 0.1
            # Under another identity it is no longer ours to publish.
            while batch and owner == self._presence.id:
                left = await self._send(batch)
                if left and self.failing_since is None:
                    self.failing_since = time.monotonic()
                if len(left) == len(batch):
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, 5.0)
                batch = left
            self.failing_since = None

    async def _next_batch(self) -> tuple[int | None, list[tuple[int, Outgoing]]]:
        owner: int | None = None
        batch: list[tuple[int, Outgoing]] = []
        while self._queue and len(batch) < FLUSH_EVENTS:
            head = self._queue[0]
            if batch and (head.owner != owner or not head.settled.is_set()):
                break
            if not head.settled.is_set():
                await head.settled.wait()
                continue
            self._queue.popleft()
            self._queued -= head.count
            owner = head.owner
            batch.extend(head.events)
        return owner, batch

    async def _send(self, events: Sequence[tuple[int, Outgoing]]) -> list[tuple[int, Outgoing]]:
        """Send one batch a partition and wait for the acknowledgements; returns what is still to be sent, in order."""
        if not self._presence.sure():
            # Frozen for a while: others may have published these, and what follows them.
            return list(events)
        left: list[tuple[int, Outgoing]] = []
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                producer = await self._connected()
                builders: dict[tuple[str, int], Any] = {}
                sent: dict[tuple[str, int], list[tuple[int, Outgoing]]] = {}
                full: set[tuple[str, int]] = set()
                for item in events:
                    event = item[1]
                    where = (event.topic, await self._partition(producer, event))
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
                # One batch a partition at a time: were one to fail and a later one to pass, order would be lost.
                futures = []
                for where, items in sent.items():
                    crash_points.passing(crash_points.COMMITTED, len(items))
                    futures.append(await producer.send_batch(builders[where], where[0], partition=where[1]))
                for future, items in zip(futures, sent.values(), strict=True):
                    await future
                    crash_points.passing(crash_points.PUBLISHED, len(items))
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("publishing failed, will be repeated", error=type(error).__name__, events=len(events))
            await self.close()
            return list(events)
        for items in sent.values():
            self._published.extend(row_id for row_id, _ in items)
            metrics.PUBLISHED.inc(len(items))
        return left

    async def _partition(self, producer: AIOKafkaProducer, event: Outgoing) -> int:
        # CRC32 of the key, as librdkafka's `consistent` partitioner: a hundredth of murmur2's cost in Python.
        partitions = producer.client.cluster.partitions_for_topic(event.topic)
        if not partitions:
            partitions = await producer.partitions_for(event.topic)
        return zlib.crc32(event.key.encode()) % len(partitions)

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._kafka,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                max_batch_size=MAX_BATCH_BYTES,
                max_request_size=4 * MAX_BATCH_BYTES,
            )
            try:
                await producer.start()
            except BaseException:
                await _stop(producer)
                raise
            self._producer = producer
        return self._producer

    async def _delete_forever(self) -> None:
        while True:
            await asyncio.sleep(DELETE_EVERY_S)
            await self._delete_published()

    async def _delete_published(self) -> None:
        ids, self._published = self._published, []
        if not ids:
            return
        try:
            async with self._database.single() as connection:
                await execute(connection, _DELETE, ids)
        except Exception as error:
            if not is_transient(error):
                raise
            self._published = ids + self._published
            await asyncio.sleep(0.5)

    async def _claim_forever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SWEEP_EVERY_S):
                    await self._sweep.wait()
            except TimeoutError:
                pass
            self._sweep.clear()
            try:
                while await self._claim() == CLAIM_ROWS:
                    await self._idle.wait()
                await self._measure()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("cannot read the outbox", error=type(error).__name__)

    async def _claim(self) -> int:
        identity = self._presence.id
        if identity is None or self._queued >= QUEUE_EVENTS or self._writing:
            return 0
        dispatch = None
        try:
            async with self._database.transaction() as tx:
                # One claimer at a time, or two could each take one of a key's rows.
                (got,) = (await rows(tx, "SELECT pg_try_advisory_xact_lock($1)", _CLAIM_LOCK))[0]
                if not got:
                    return 0
                claimed = sorted(await rows(tx, _CLAIM, identity, CLAIM_ROWS), key=lambda row: int(row.id))
                # Lost meanwhile, the identity is freed of what it claims here.
                if not claimed or identity != self._presence.id:
                    return 0
                # Queued before the commit shows others that the rows are ours, or a later event could go first.
                dispatch = self._enqueue(identity, [(row.id, _outgoing(row)) for row in claimed])
        except BaseException:
            if dispatch is not None:
                dispatch.discard()
                self._presence.give_up()
            raise
        dispatch.release()
        return len(claimed)

    async def _measure(self) -> None:
        async with self._database.single() as tx:
            oldest = await rows(
                tx, "SELECT extract(epoch FROM now() - created_at) AS age FROM outbox ORDER BY id LIMIT 1"
            )
        self.oldest_waiting_s = float(oldest[0].age) if oldest else 0.0
        metrics.OUTBOX_OLDEST.set(self.oldest_waiting_s)


def _outgoing(row: Any) -> Outgoing:
    return Outgoing(row.event_id, row.topic, row.key, headers_from_json(row.headers), bytes(row.value), row.headers)


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(2):
            await producer.stop()
    except (KafkaError, TimeoutError, OSError) as error:
        log.info("producer did not stop in time", error=type(error).__name__)
