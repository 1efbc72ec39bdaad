"""Records in: FastStream batches, decoded safely, decided in one transaction, offsets committed after it.

Offsets are only a hint of where to go on, since the inbox absorbs repeats: they are committed by a task of its
own, for all partitions at once, and never before the transaction.
"""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage, KafkaMessage
from pydantic import BaseModel, ValidationError

from chassis import crash_points
from chassis.database.sql import is_transient
from chassis.decision import Cause, Message
from chassis.envelope import cause_of, inbox_id, read_headers
from chassis.observability import metrics
from chassis.processor.processor import Halt, Input, Processor, Unreadable

log = structlog.get_logger(__name__)

BATCH_RECORDS = 500
POLL_MS = 500
CALM_PACE_S = 0.015
BUSY_PACE_S = 0.25
BUSY_RECORDS = 60
COMMIT_EVERY_S = 0.25
PROBE_EVERY_S = 5.0
SLOW_AFTER_S = 10.0
STALLED_AFTER_S = 20.0
STUCK_AFTER_S = 60.0
REQUEST_TIMEOUT_S = 20
POISON_OF_LAST = 1000
POISON_AT_LEAST = 50

REPLAY: Final = "replay"
"""Header of a dead letter that comes back, once for each time: `<service> <token>`, ` discard` after it to drop it."""


class Record(Protocol):
    """A consumed record, as aiokafka gives it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...
    @property
    def value(self) -> bytes | None: ...


WriteDeadLetter = Callable[[Record, str, UUID | None], Message]
"""Record, reason, and its place in its key's queue if it is parked → its dead letter."""


class Poison(Exception):
    """A record that cannot be read. `reason` is a stable code; nothing of the content is in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Decode = Callable[[Record, dict[str, str]], Input | None]
"""Record and its headers → an input, or None to skip it. Raises Poison."""


def decode_events(models: Sequence[type[BaseModel]]) -> Decode:
    """For topics inside the system: events of `models`; another kind or version is skipped, not poison."""
    known: Mapping[str, type[BaseModel]] = {vars(model)["ce_type"]: model for model in models}

    def decode(record: Record, headers: dict[str, str]) -> Input | None:
        try:
            kind, source, cause = headers["ce_type"], headers["ce_source"], cause_of(headers)
        except KeyError:
            raise Poison("no-envelope") from None
        model = known.get(kind)
        if model is None:
            metrics.SKIPPED.labels(record.topic).inc()
            return None
        try:
            body: Any = model.model_validate_json(record.value or b"")
        except ValidationError:
            raise Poison("invalid") from None
        return Input(key=body.key, body=body, cause=cause, inbox_id=inbox_id(source, cause.id))

    return decode


class _Guard:
    """A topic of which too much cannot be handled is not drained into the dead letters: reading stops instead.

    That is a fault of ours, or of a producer, and a new version can still read what stays where it is.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._last: deque[tuple[int, int]] = deque(maxlen=POISON_OF_LAST)
        self._buried: set[tuple[int, int]] = set()

    def took(self, record: Record) -> None:
        if len(self._last) == POISON_OF_LAST:
            self._buried.discard(self._last[0])
        self._last.append((record.partition, record.offset))

    def bury(self, record: Record) -> None:
        """Raises Halt when this would be one too many."""
        self._buried.add((record.partition, record.offset))
        if len(self._buried) > max(POISON_AT_LEAST, self._share * len(self._last)):
            raise Halt(f"{len(self._buried)} of the last {len(self._last)} records of {record.topic} cannot be handled")


class Stalled(Exception):
    """The client has gone silent, as aiokafka does after some outages: a new one must take over."""


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """One subscription of a service: a group member that reads some topics."""

    def __init__(
        self,
        broker: KafkaBroker,
        processor: Processor,
        *,
        group: str,
        decode: Decode,
        dead_letter: WriteDeadLetter,
        service: str,
        poison_share: float,
        instance: str | None,
        topics: Sequence[str] = (),
        pattern: str | None = None,
    ) -> None:
        self.name = ", ".join(topics) or str(pattern)
        self._processor = processor
        self._decode = decode
        self._dead_letter = dead_letter
        self._service = service
        self._poison_share = poison_share
        self._guards: dict[str, _Guard] = {}
        self._halted: str | None = None
        self._done: dict[TopicPartition, int] = {}
        self._uncommitted: dict[TopicPartition, int] = {}
        self._joined = False
        self._generation = 0
        self._stopping = asyncio.Event()
        self._in_hand = asyncio.Lock()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting_for: str | None = None
        self._progress = time.monotonic()
        self._taken_at: float | None = None
        self._behind = 0
        self._polled = 0.0
        self._pace_s = 0.0
        self._took_s = 0.0
        self._subscriber = broker.subscriber(
            *topics,
            pattern=pattern,
            batch=True,
            max_records=BATCH_RECORDS,
            batch_timeout_ms=POLL_MS,
            group_id=group,
            group_instance_id=instance,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            listener=self,
            parser=self._parse,
            decoder=_records,
            fetch_max_wait_ms=500,
        )
        self._subscriber.get_msg = self._poll  # type: ignore[method-assign]  # see there
        self._subscriber(self._handle)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._commit()
        for partition in revoked:
            self._done.pop(partition, None)
            self._uncommitted.pop(partition, None)

    async def on_partitions_assigned(self, _: set[TopicPartition]) -> None:
        # From here on records are read again from what was committed; what a batch in hand began under is over.
        self._generation += 1
        self._done.clear()
        self._uncommitted.clear()
        self._joined = True
        self._progress = time.monotonic()

    async def run(self) -> None:
        """Commit offsets and watch progress while the service runs. Raises what broke the handling, or Stalled."""
        probed = 0.0
        while True:
            if self._taken_at is None and self._idle_s() > STALLED_AFTER_S:
                raise Stalled(self.name)
            await asyncio.wait([self._broken], timeout=COMMIT_EVERY_S)
            if self._broken.done():
                self._broken.result()
            await self._commit()
            if time.monotonic() - probed >= PROBE_EVERY_S:
                await self._probe()
                probed = time.monotonic()

    async def stop(self) -> None:
        """Take no new batch, finish the one in hand, commit. A batch that waits for the database is left undone."""
        self._stopping.set()
        async with self._in_hand:
            await self._commit()

    def unwell(self) -> str | None:
        """Why this consumer cannot be relied on right now, or None."""
        if not self._joined:
            return f"not yet a member of its group ({self.name})"
        if self._halted is not None:
            return f"does not go on: {self._halted}"
        if self._waiting_for is not None:
            return f"waits for {self._waiting_for} ({self.name})"
        if self._taken_at is not None and (held := time.monotonic() - self._taken_at) > SLOW_AFTER_S:
            return f"a batch has been in hand for {held:.0f} s ({self.name})"
        return self.stuck()

    def stuck(self) -> str | None:
        """Records wait, nothing keeps us, and still nothing is handled: only a restart will help."""
        if (idle := self._idle_s()) > STUCK_AFTER_S:
            return f"{self._behind} records wait and none was handled for {idle:.0f} s ({self.name})"
        return None

    def _idle_s(self) -> float:
        """For how long records have waited without a reason."""
        if not self._behind or self._waiting_for is not None or self._halted is not None:
            return 0.0
        return time.monotonic() - self._progress

    async def _parse(self, records: Any) -> KafkaMessage:
        # FastStream's own parser decodes headers strictly and drops the record when that fails.
        batch = records if isinstance(records, tuple) else (records,)
        return KafkaAckableMessage(
            body=b"",
            raw_message=batch,
            consumer=self._subscriber.consumer,
            message_id=f"{batch[0].topic}-{batch[0].partition}-{batch[0].offset}",
        )

    async def _poll(self, consumer: AIOKafkaConsumer) -> tuple[Any, ...]:
        # FastStream's own sleeps its timeout once more after an empty poll, blind to what arrives meanwhile.
        # Two polls are twice as far apart as a batch takes, so that those who come close together share one.
        pace = max(self._pace_s, min(CALM_PACE_S, 2 * self._took_s))
        await asyncio.sleep(self._polled + pace - time.monotonic())
        self._polled = time.monotonic()
        found = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
        records = tuple(record for records in found.values() for record in records)
        # A crowd is served in larger groups: what a batch costs by itself is then shared by more.
        self._pace_s = BUSY_PACE_S if BUSY_RECORDS <= len(records) < BATCH_RECORDS else 0.0
        return records

    async def _handle(self, records: Any) -> None:
        # FastStream logs what a handler raises and goes on behind it, which would lose the batch.
        self._taken_at = time.monotonic()
        try:
            await self._take(records)
            self._took_s = time.monotonic() - self._taken_at
            self._taken_at = None
        except Exception as error:
            if not self._broken.done():
                self._broken.set_exception(error)
            await asyncio.Event().wait()

    async def _take(self, records: Sequence[Record]) -> None:
        inputs: list[Input] = []
        discarded: list[UUID] = []
        generation = self._generation
        for topic, count in Counter(record.topic for record in records).items():
            metrics.CONSUMED.labels(topic).inc(count)
        for record in records:
            self._guard(record).took(record)
            if (item := self._read(record, discarded)) is not None:
                inputs.append(item)
        async with self._in_hand:
            if self._stopping.is_set() or not await self._process(inputs, discarded):
                return
            self._progress = time.monotonic()
            if generation != self._generation:
                return
            for record in records:
                crash_points.passing(crash_points.HANDLED)
                partition = TopicPartition(record.topic, record.partition)
                self._done[partition] = self._uncommitted[partition] = record.offset + 1

    def _guard(self, record: Record) -> _Guard:
        guard = self._guards.get(record.topic)
        if guard is None:
            guard = self._guards[record.topic] = _Guard(self._poison_share)
        return guard

    def _read(self, record: Record, discarded: list[UUID]) -> Input | None:
        headers = read_headers(record.headers)
        token: UUID | None = None
        if (replay := headers.get(REPLAY)) is not None:
            service, token, discard = _replay(replay)
            if service != self._service:
                return None
            if discard:
                discarded.extend([token] if token is not None else [])
                return None

        def dead(reason: str, token: UUID | None) -> Message:
            if reason != "behind-parked":
                self._guard(record).bury(record)
            return self._dead_letter(record, reason, token)

        reason, where = "undecodable", f"{record.topic}/{record.partition}/{record.offset}"
        try:
            item = self._decode(record, headers)
        except Exception as error:
            if isinstance(error, Poison):
                reason = error.reason
                log.warning("unreadable record", where=where, reason=reason)
            else:
                log.error("unreadable record", where=where, reason=reason, exc_info=error)
            # Of its own place and nothing else: what the record says of itself is not to be relied on.
            return Input(where, Unreadable(reason), Cause(where, where), inbox_id("", where), dead_letter=dead)
        if item is None:
            return None
        identity = item.inbox_id or inbox_id("", where)
        return Input(item.key, item.body, item.cause, item.inbox_id, None, dead, parked_place=token, record_id=identity)

    async def _process(self, inputs: Sequence[Input], discarded: Sequence[UUID]) -> bool:
        """Until it is durable; False when the service stops first."""
        delay = 0.1
        while not self._stopping.is_set():
            try:
                if discarded:
                    await self._processor.discard(discarded)
                if inputs:
                    await self._processor.process(inputs)
            except Halt as halt:
                # The batch stays where it is, in hand and uncommitted, until somebody has seen to it and restarts us.
                self._halted = str(halt)
                log.critical("reading stopped", topics=self.name, reason=self._halted)
                await self._stopping.wait()
            except Exception as error:
                if not is_transient(error):
                    log.critical("cannot go on with a batch", exc_info=error)
                self._waiting_for = type(error).__name__
                log.warning("batch waits", topics=self.name, size=len(inputs), error=type(error).__name__)
                try:
                    async with asyncio.timeout(delay * random.uniform(0.5, 1.5)):
                        await self._stopping.wait()
                except TimeoutError:
                    delay = min(delay * 2, 5.0)
            else:
                self._waiting_for = None
                return True
        return False

    async def _commit(self) -> None:
        consumer = self._subscriber.consumer
        if consumer is None or not self._uncommitted:
            return
        ours = consumer.assignment()
        offsets = {partition: offset for partition, offset in self._uncommitted.items() if partition in ours}
        if not offsets:
            return
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await consumer.commit(offsets)
        except Exception as error:  # in an outage the client raises more than its own errors; the inbox bears repeats
            log.info("offsets not committed", topics=self.name, error=type(error).__name__)
            return
        for partition, offset in offsets.items():
            if self._uncommitted.get(partition) == offset:
                del self._uncommitted[partition]

    async def _probe(self) -> None:
        consumer = self._subscriber.consumer
        if consumer is None:
            return
        partitions = list(consumer.assignment())
        if not partitions:
            self._behind = 0
            return
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                ends = await consumer.end_offsets(partitions)
                behind = 0
                for partition in partitions:
                    done = self._done.get(partition)
                    behind += max(0, ends[partition] - (await consumer.position(partition) if done is None else done))
        except Exception as error:  # as above: this only looks
            log.info("lag unknown", topics=self.name, error=type(error).__name__)
            return
        if behind == 0:
            self._progress = time.monotonic()
        self._behind = behind
        metrics.LAG.set(behind)


def _replay(header: str) -> tuple[str, UUID | None, bool]:
    service, _, rest = header.partition(" ")
    token, _, discard = rest.partition(" ")
    try:
        return service, UUID(token) if token else None, discard == "discard"
    except ValueError:
        return service, None, False


async def _records(message: KafkaMessage) -> Any:
    return message.raw_message
