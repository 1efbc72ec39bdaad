"""Reading records so that a partition that cannot be read costs only itself.

aiokafka reads partitions one after the other. If the records of one cannot be decoded (an unknown codec, a wrong
checksum, a header name that is not UTF-8), the poll raises: records that it has already taken from
other partitions are lost, and their positions have moved. After such a failure all positions go back to what was
*handled*; the partitions are then read one at a time, and the one that fails is paused by itself.

Topics that are paused (`Stops`) are held: nothing of them is returned, and their positions stay.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError

from chassis.backoff import backoff_s
from chassis.consumer.offsets import Offsets
from chassis.consumer.records import Record
from chassis.consumer.stops import Stops
from chassis.kafka_quirks import committed_offsets, is_undecodable
from chassis.limits import BATCH_RECORDS, POLL_MS, RETRY_UNREADABLE_S, SUSPECT_POLL_MS
from chassis.observability import metrics

log = structlog.get_logger(__name__)

_SUSPECT_PAUSE_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class UnreadablePartition:
    """A paused partition: reading fails at `offset`, with an error of type `error`, since monotonic time `since`."""

    topic: str
    partition: int
    offset: int
    error: str
    since: float


class Reader:
    """Polls one aiokafka consumer, a member of `group`.

    `on_released` is called for each topic that is read again after a pause. `steps_over`: a record that cannot be
    decoded is skipped, instead of pausing its partition.
    """

    def __init__(
        self,
        group: str,
        offsets: Offsets,
        stops: Stops,
        *,
        on_released: Callable[[str], None],
        steps_over: bool = False,
    ) -> None:
        self._group = group
        self._offsets = offsets
        self._stops = stops
        self._on_released = on_released
        self._steps_over = steps_over
        self._held: set[str] = set()
        self._suspects: deque[TopicPartition] = deque()
        self._unreadable: dict[TopicPartition, UnreadablePartition] = {}
        self._failures = 0
        self._retry_at = 0.0

    def forget(self) -> None:
        """Forget failures after a rebalance: the partitions are read anew."""
        self._suspects.clear()
        for partition in list(self._unreadable):
            self._drop(partition)

    def unreadable(self) -> list[UnreadablePartition]:
        """The partitions that are paused because they cannot be read."""
        return list(self._unreadable.values())

    async def poll(self, consumer: Any) -> tuple[Record, ...]:
        """At most 500 records. Raises ConsumerStoppedError only; after any other failure nothing is lost."""
        self._follow_stops(consumer)
        self._retry_unreadable(consumer)
        if self._suspects:
            return await self._poll_suspects(consumer)
        try:
            found = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
        except ConsumerStoppedError:
            raise
        except Exception as error:
            log.error("poll_failed", group=self._group, error=type(error).__name__, exc_info=error)
            self._failures += 1
            await asyncio.sleep(backoff_s(self._failures, 0.1, 5.0))
            await self._rewind(consumer)
            return ()
        self._failures = 0
        if self._unreadable:
            self._note_readable(found)
        return tuple(
            record
            for partition, records in found.items()
            if not self._is_held_after_all(consumer, partition, records)
            for record in records
        )

    # --- held topics

    def hold(self, consumer: Any, topic: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Return no more records of a topic. `offsets`: where reading goes on later, for partitions read further."""
        self._held.add(topic)
        for partition in consumer.assignment():
            if partition.topic == topic:
                consumer.pause(partition)
                if partition in offsets:
                    consumer.seek(partition, offsets[partition])

    def holds(self, topic: str) -> bool:
        """Whether the topic is held."""
        return topic in self._held

    def step_over(self, consumer: Any, partition: TopicPartition, offset: int) -> None:
        """Go on behind the record at `offset`, if the partition stands at it: held, or paused because of it."""
        unreadable = self._unreadable.get(partition)
        if partition.topic not in self._held and (unreadable is None or unreadable.offset != offset):
            return
        self._move_past(consumer, partition, offset)

    def _move_past(self, consumer: Any, partition: TopicPartition, offset: int) -> None:
        consumer.seek(partition, offset + 1)
        self._offsets.move(partition, offset + 1)
        if partition in self._unreadable:
            self._drop(partition)
        if partition.topic not in self._held:
            consumer.resume(partition)
            # The next record may be as bad: read by itself, it costs the others nothing.
            self._suspects.append(partition)

    def _follow_stops(self, consumer: Any) -> None:
        """Hold the topics that are paused, release those that were resumed, step over records that were skipped."""
        released = self._held - set(self._stops.paused)
        self._held = set(self._stops.paused)
        if self._held or released:
            # After a rebalance no partition is paused any more.
            for partition in consumer.assignment():
                if partition.topic in self._held:
                    consumer.pause(partition)
                elif partition.topic in released and partition not in self._unreadable:
                    consumer.resume(partition)
        for topic in released:
            self._on_released(topic)
        for partition, found in list(self._unreadable.items()):
            if (*partition, found.offset) in self._stops.skipped and partition in consumer.assignment():
                self._move_past(consumer, partition, found.offset)

    def _is_held_after_all(self, consumer: Any, partition: TopicPartition, records: Sequence[Record]) -> bool:
        """Whether records of a held topic were read, because a rebalance during the poll has assigned them anew."""
        if partition.topic not in self._held:
            return False
        consumer.seek(partition, records[0].offset)
        consumer.pause(partition)
        return True

    # --- partitions that cannot be read

    async def _rewind(self, consumer: Any) -> None:
        """Set every position to what was handled, and suspect every partition."""
        # A partition that was resumed to be tried again is among the suspects, too.
        partitions = consumer.assignment() - consumer.paused()
        await self._seek_to_handled(consumer, partitions)
        self._suspects.extend(sorted(partitions))

    async def _seek_to_handled(self, consumer: Any, partitions: Collection[TopicPartition]) -> None:
        for attempt in itertools.count(1):
            try:
                offsets = await self._next_offsets(consumer, partitions)
                break
            except ConsumerStoppedError:
                raise
            except Exception as error:
                # Reading must not go on at an unknown position.
                log.warning("rewind_retried", group=self._group, error=type(error).__name__)
                await asyncio.sleep(backoff_s(attempt, 0.1, 5.0))
                partitions = [partition for partition in partitions if partition in consumer.assignment()]
        for partition, offset in offsets.items():
            if partition in consumer.assignment():
                consumer.seek(partition, offset)

    async def _next_offsets(
        self, consumer: Any, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """The first offset of each partition that is not handled. One partition after the other would take minutes."""
        offsets = {partition: self._offsets.handled(partition) for partition in partitions}
        unknown = [partition for partition, offset in offsets.items() if offset is None]
        offsets.update(await committed_offsets(consumer, unknown))
        if new := [partition for partition, offset in offsets.items() if offset is None]:
            offsets.update(await consumer.beginning_offsets(new))
        return {partition: offset for partition, offset in offsets.items() if offset is not None}

    async def _poll_suspects(self, consumer: Any) -> tuple[Record, ...]:
        """The records of the first suspect that has any. A suspect without any for a second is no suspect any more."""
        deadline = time.monotonic() + SUSPECT_POLL_MS / 1000
        while self._suspects:
            for _ in range(len(self._suspects)):
                partition = self._suspects.popleft()
                if partition not in consumer.assignment() or partition.topic in self._held:
                    continue
                records, failed = await self._read_suspect(consumer, partition)
                if records:
                    return records
                if not failed:
                    self._suspects.append(partition)
            if time.monotonic() > deadline:
                self._suspects.clear()
            await asyncio.sleep(_SUSPECT_PAUSE_S)
        return ()

    async def _read_suspect(self, consumer: Any, partition: TopicPartition) -> tuple[tuple[Record, ...], bool]:
        """Read what was fetched of one partition a record at a time, so that the good records before an undecodable
        one are kept. Returns also whether the partition failed."""
        records: list[Record] = []
        try:
            while len(records) < BATCH_RECORDS:
                found = await consumer.getmany(partition, timeout_ms=0, max_records=1)
                if not found:
                    break
                records.extend(found[partition])
        except ConsumerStoppedError:
            raise
        except Exception as error:
            if not (self._steps_over and is_undecodable(error)):
                await self._pause(consumer, partition, records[-1].offset + 1 if records else None, error)
            elif not records:  # else the next poll fails at the same record, when these are handled
                await self._seek_to_handled(consumer, [partition])
                offset = await consumer.position(partition)
                log.error("record_stepped_over", where=f"{partition.topic}/{partition.partition}/{offset}")
                self._move_past(consumer, partition, offset)
            return tuple(records), True
        if records:
            self._note_readable([partition])
        return tuple(records), False

    async def _pause(self, consumer: Any, partition: TopicPartition, offset: int | None, error: Exception) -> None:
        if offset is None:
            await self._seek_to_handled(consumer, [partition])
        if partition not in consumer.assignment():
            return  # it went to another member meanwhile
        if offset is None:
            offset = await consumer.position(partition)
        else:
            consumer.seek(partition, offset)
        consumer.pause(partition)
        known = self._unreadable.get(partition)
        since = known.since if known is not None else time.monotonic()
        self._unreadable[partition] = UnreadablePartition(
            partition.topic, partition.partition, offset, type(error).__name__, since
        )
        self._retry_at = time.monotonic() + RETRY_UNREADABLE_S
        self._count(partition.topic)
        log.critical(
            "partition_unreadable",
            topic=partition.topic,
            partition=partition.partition,
            offset=offset,
            error=type(error).__name__,
        )

    def _retry_unreadable(self, consumer: Any) -> None:
        if not self._unreadable or time.monotonic() < self._retry_at:
            return
        self._retry_at = time.monotonic() + RETRY_UNREADABLE_S
        for partition in self._unreadable:
            if partition in consumer.assignment() and partition.topic not in self._held:
                consumer.resume(partition)
                self._suspects.append(partition)

    def _note_readable(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            if partition in self._unreadable:
                log.warning("partition_readable", topic=partition.topic, partition=partition.partition)
                self._drop(partition)

    def _drop(self, partition: TopicPartition) -> None:
        del self._unreadable[partition]
        self._count(partition.topic)

    def _count(self, topic: str) -> None:
        count = sum(1 for partition in self._unreadable if partition.topic == topic)
        metrics.UNREADABLE_PARTITIONS.labels(topic, self._group).set(count)
