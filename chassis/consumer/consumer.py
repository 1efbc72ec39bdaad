"""The consumer: records are read by the batch, decoded, decided in one transaction; offsets are committed after it."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from faststream.kafka import KafkaBroker

from chassis import crash_points
from chassis.backoff import backoff_s
from chassis.consumer.offsets import Offsets
from chassis.consumer.poison_guard import PoisonGuard
from chassis.consumer.reader import Reader, UnreadablePartition
from chassis.consumer.records import (
    REPLAY,
    Decode,
    Poison,
    Record,
    WriteDeadLetter,
    WriteReplayed,
    letter_of,
    original_of,
    read_replay,
)
from chassis.database.errors import Consequence, consequence, described
from chassis.decision import Cause, Message
from chassis.envelope import inbox_id, read_headers
from chassis.kafka_quirks import batch_subscription
from chassis.limits import (
    BATCH_RECORDS,
    BUSY_PACE_S,
    BUSY_RECORDS,
    CALM_PACE_S,
    COMMIT_OFFSETS_EVERY_S,
    MEASURE_LAG_EVERY_S,
    SILENT_CLIENT_S,
    SLOW_BATCH_S,
    STUCK_CONSUMER_S,
)
from chassis.observability import metrics
from chassis.processor.model import Halt, Input, Replay, Unreadable
from chassis.processor.processor import Processor

log = structlog.get_logger(__name__)


class ClientSilent(Exception):
    """The Kafka client reads nothing although records are waiting, as aiokafka does after some outages: replace it."""


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """A subscription of a service: a member of consumer group `group` that reads `topics`, or those of `pattern`."""

    def __init__(
        self,
        broker: KafkaBroker,
        processor: Processor,
        *,
        group: str,
        decode: Decode,
        dead_letter: WriteDeadLetter,
        replayed: WriteReplayed | None,
        service: str,
        poison_share: float,
        instance: str | None,
        topics: Sequence[str] = (),
        pattern: str | None = None,
    ) -> None:
        self.name = ", ".join(topics) or str(pattern)
        self._processor = processor
        self._group = group
        self._decode = decode
        self._dead_letter = dead_letter
        self._replayed = replayed
        self._service = service
        self._poison_share = poison_share
        self._guards: dict[str, PoisonGuard] = {}
        self._offsets = Offsets(self.name)
        self._reader = Reader(group, self._offsets)
        self._generation = 0
        self._batch_in_progress = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # What health reports.
        self._joined = False
        self._halted: str | None = None
        self._waiting_for: str | None = None
        self._stopped_by: str | None = None
        self._stopped_at = 0.0
        self._batch_since: float | None = None
        self._progress_at = time.monotonic()
        self._lag = 0
        self._measured_topics: set[str] = set()
        # The pace of polls.
        self._polled_at = 0.0
        self._busy_pace_s = 0.0
        self._batch_took_s = 0.0
        self._subscription = batch_subscription(
            broker,
            topics=topics,
            pattern=pattern,
            group=group,
            instance=instance,
            listener=self,
            poll=self._poll,
            handle=self._handle,
        )

    # --- membership of the group

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Called by aiokafka before a rebalance."""
        await self._commit()
        self._offsets.forget(revoked)

    async def on_partitions_assigned(self, _: set[TopicPartition]) -> None:
        """Called by aiokafka after a rebalance."""
        # Reading starts again at the committed offsets. A batch that was read before the rebalance must not move them.
        self._generation += 1
        self._offsets.forget()
        self._reader.forget()
        self._joined = True
        self._progress_at = time.monotonic()

    async def run(self) -> None:
        """Commit offsets and watch the progress while the service runs.

        Raises what broke the handling of a batch, or ClientSilent.
        """
        measured_at = 0.0
        while True:
            if self._batch_since is None and self._idle_s() > SILENT_CLIENT_S:
                raise ClientSilent(self.name)
            await asyncio.wait([self._failed], timeout=COMMIT_OFFSETS_EVERY_S)
            if self._failed.done():
                self._failed.result()
            await self._commit()
            if time.monotonic() - measured_at >= MEASURE_LAG_EVERY_S:
                await self._measure_lag()
                measured_at = time.monotonic()

    async def stop(self) -> None:
        """Read no new batch, finish the current one, commit. A batch that waits for the database is abandoned."""
        self._stopping.set()
        async with self._batch_in_progress:
            await self._commit()

    # --- health

    def not_ready_reason(self) -> str | None:
        """Why this consumer cannot be relied on now, or None."""
        if not self._joined:
            return f"not yet a member of the consumer group ({self.name})"
        if self._halted is not None:
            return f"reading stopped: {self._halted}"
        if self._stopped_by is not None:
            since_s = time.monotonic() - self._stopped_at
            return f"reading stopped {since_s:.0f} s ago, repair the database: {self._stopped_by} ({self.name})"
        if self._waiting_for is not None:
            return f"a batch is retried after {self._waiting_for} ({self.name})"
        if self._batch_since is not None and (took := time.monotonic() - self._batch_since) > SLOW_BATCH_S:
            return f"a batch has taken {took:.0f} s so far ({self.name})"
        return self.stuck_reason()

    def degraded_reason(self) -> str | None:
        """Which partitions cannot be read while the others flow, or None."""
        paused = [
            f"{one.topic}/{one.partition} cannot be read at offset {one.offset}"
            f" for {time.monotonic() - one.since:.0f} s: {one.error}"
            for one in self._reader.unreadable()
        ]
        return "; ".join(paused) or None

    def unreadable(self) -> list[UnreadablePartition]:
        """The partitions that are paused because they cannot be read."""
        return self._reader.unreadable()

    def stuck_reason(self) -> str | None:
        """Why only a restart will help: records are waiting, nothing explains it, and none is handled. Or None."""
        if (idle := self._idle_s()) > STUCK_CONSUMER_S:
            return f"{self._lag} records are waiting and none was handled for {idle:.0f} s ({self.name})"
        return None

    def _idle_s(self) -> float:
        """Seconds since the last handled batch, while records are waiting and nothing explains it; else 0."""
        if not self._lag or any((self._waiting_for, self._stopped_by, self._halted)):
            return 0.0
        return time.monotonic() - self._progress_at

    async def _measure_lag(self) -> None:
        consumer = self._subscription.consumer
        if consumer is None or (lag := await self._offsets.lag(consumer)) is None:
            return
        by_topic = Counter[str]()
        for partition, records in lag.behind.items():
            by_topic[partition.topic] += records
        # A topic whose partitions went to other members has no lag here.
        for topic, records in {**dict.fromkeys(self._measured_topics, 0), **by_topic}.items():
            metrics.CONSUMER_LAG.labels(topic, self._group).set(records)
        self._measured_topics = set(by_topic)
        unreadable = {(paused.topic, paused.partition) for paused in self._reader.unreadable()}
        self._lag = sum(records for partition, records in lag.behind.items() if tuple(partition) not in unreadable)
        # A batch that is not handled is no progress, even if the partitions without records in it are read on.
        if not self._lag or (lag.moved and self._batch_since is None):
            self._progress_at = time.monotonic()

    async def _commit(self) -> None:
        await self._offsets.commit(self._subscription.consumer)

    # --- reading

    async def _poll(self, consumer: AIOKafkaConsumer) -> tuple[Any, ...]:
        # Polls are twice as far apart as a batch takes, so that records that arrive close together share a batch.
        pace_s = max(self._busy_pace_s, min(CALM_PACE_S, 2 * self._batch_took_s))
        await asyncio.sleep(self._polled_at + pace_s - time.monotonic())
        self._polled_at = time.monotonic()
        records = await self._reader.poll(consumer)
        # Under load, fewer and larger batches share the fixed costs of a batch.
        self._busy_pace_s = BUSY_PACE_S if BUSY_RECORDS <= len(records) < BATCH_RECORDS else 0.0
        return records

    async def _handle(self, records: Any) -> None:
        # Must not raise: FastStream would continue behind the batch. `run` raises the error instead.
        self._batch_since = time.monotonic()
        self._offsets.take(records)
        try:
            await self._handle_batch(records)
            self._offsets.take(())
            self._batch_took_s = time.monotonic() - self._batch_since
            self._batch_since = None
        except Exception as error:
            if not self._failed.done():
                self._failed.set_exception(error)
            await asyncio.Event().wait()

    async def _handle_batch(self, records: Sequence[Record]) -> None:
        inputs: list[Input] = []
        discarded: list[UUID] = []
        generation = self._generation
        for topic, count in Counter(record.topic for record in records).items():
            metrics.RECORDS_CONSUMED.labels(topic, self._group).inc(count)
        for record in records:
            self._guard(record).count(record)
            if (item := self._input_of(record, discarded)) is not None:
                inputs.append(item)
        async with self._batch_in_progress:
            if self._stopping.is_set() or not await self._process(inputs, discarded):
                return
            self._progress_at = time.monotonic()
            if generation != self._generation:
                return
            for record in records:
                crash_points.reach(crash_points.HANDLED)
                self._offsets.mark_handled(record)

    def _guard(self, record: Record) -> PoisonGuard:
        guard = self._guards.get(record.topic)
        if guard is None:
            guard = self._guards[record.topic] = PoisonGuard(self._poison_share)
        return guard

    def _input_of(self, record: Record, discarded: list[UUID]) -> Input | None:
        """The input of a record; None to skip it. A discard mark adds its token to `discarded`."""
        headers = read_headers(record.headers)
        reason, where = "undecodable", f"{record.topic}/{record.partition}/{record.offset}"
        token: UUID | None = None
        replay: Replay | None = None
        if (header := headers.get(REPLAY)) is not None:
            mark = read_replay(header)
            if mark.service != self._service:
                return None
            token = mark.token
            if mark.discard:
                discarded.extend([token] if token is not None else [])
                return None
            if self._replayed is not None and (letter := letter_of(headers)) is not None:
                replay = Replay(where, partial(self._replayed, letter))
            record = original_of(record)

        def dead_letter(reason: str, token: UUID) -> Message:
            if reason != "behind-parked":
                self._guard(record).count_failure(record)
            return self._dead_letter(record, reason, token)

        try:
            item = self._decode(record, headers)
        except Exception as error:
            if isinstance(error, Poison):
                reason = error.reason
                log.warning("record_unreadable", where=where, reason=reason)
            else:
                log.error("record_undecodable", where=where, exc_info=error)
            # The input is identified by its place on the topic: the record's own headers are not to be trusted.
            cause = Cause(where, where)
            return Input(
                where,
                Unreadable(reason),
                cause,
                inbox_id("", where),
                dead_letter=dead_letter,
                parked_place=token,
                replay=replay,
                place=where,
            )
        if item is None:
            # A replay that this version skips leaves no open letter.
            discarded.extend([token] if token is not None else [])
            return None
        record_id = item.inbox_id or inbox_id("", where)
        return Input(
            item.key,
            item.body,
            item.cause,
            item.inbox_id,
            None,
            dead_letter,
            parked_place=token,
            record_id=record_id,
            replay=replay,
            version=item.version,
            place=where,
        )

    async def _process(self, inputs: Sequence[Input], discarded: Sequence[UUID]) -> bool:
        """Process until the batch is committed. Returns False when the service stops first."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                if discarded:
                    await self._processor.discard(discarded)
                if inputs:
                    await self._processor.process(inputs)
            except Halt as halt:
                # The batch stays uncommitted until an operator has repaired the cause and restarts the service.
                self._halted = str(halt)
                log.critical("reading_halted", topics=self.name, reason=self._halted)
                await self._stopping.wait()
            except Exception as error:
                self._note_failure(error, len(inputs))
                attempt += 1
                try:
                    async with asyncio.timeout(backoff_s(attempt, 0.1, 5.0)):
                        await self._stopping.wait()
                except TimeoutError:
                    pass
            else:
                self._note_success()
                return True
        return False

    def _note_failure(self, error: Exception, size: int) -> None:
        """Log why the batch of `size` inputs is not committed, and keep it for the health checks."""
        follows = consequence(error)
        if follows is Consequence.STOP_READING:
            self._waiting_for = None
            self._set_stopped(described(error), error)
            return
        if follows is not Consequence.WAIT:
            log.critical("batch_failed", topics=self.name, exc_info=error)
        self._waiting_for = type(error).__name__
        self._set_stopped(None)
        log.warning("batch_retried", topics=self.name, size=size, error=self._waiting_for)

    def _note_success(self) -> None:
        self._waiting_for = None
        self._set_stopped(None)

    def _set_stopped(self, reason: str | None, error: Exception | None = None) -> None:
        """Note that reading is stopped for `reason`, or is not (None). Logged when it changes, not at each attempt."""
        before, self._stopped_by = self._stopped_by, reason
        if reason == before:
            return
        if before is None:
            self._stopped_at = time.monotonic()
        metrics.READING_STOPPED.labels(self._group).set(reason is not None)
        if reason is not None:
            log.critical("reading_stopped", topics=self.name, reason=reason, exc_info=error)
        else:
            log.warning("reading_resumed", topics=self.name, after_s=round(time.monotonic() - self._stopped_at))
