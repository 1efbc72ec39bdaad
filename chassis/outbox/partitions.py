"""A queue for each partition: a partition that cannot be written holds up its own events only."""

import asyncio
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from chassis.backoff import backoff_s
from chassis.limits import FLUSH_EVENTS
from chassis.outbox.queue import Queued

UNKNOWN: Final = -1
"""The partition of events whose topic is not known to the producer yet."""

_RETRY_FIRST_S: Final = 0.1
_RETRY_AT_MOST_S: Final = 5.0


class PartitionQueue:
    """The events of one partition, in order: in the one batch that is on its way, or waiting behind it.

    One batch at a time: if a batch failed and a later batch of its partition passed, the order would be lost.
    """

    __slots__ = (
        "abandoned",
        "at_most",
        "avoid",
        "batch",
        "failures",
        "future",
        "not_before",
        "partition",
        "producer",
        "reported",
        "sent_at",
        "topic",
        "troubled_since",
        "waiting",
    )

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.waiting: list[Queued] = []
        self.batch: list[Queued] = []
        self.future: asyncio.Future[Any] | None = None
        """The acknowledgement of the batch on its way."""
        self.producer: Any = None
        """The producer of the batch on its way."""
        self.avoid: Any = None
        """A producer whose sequence of this partition is broken: only another producer can write the partition."""
        self.sent_at = 0.0
        self.not_before = 0.0
        self.at_most = FLUSH_EVENTS
        """Events in the next batch: fewer after a refused batch, to find the event that is refused."""
        self.failures = 0
        self.troubled_since: float | None = None
        """Monotonic time since which the partition acknowledges nothing, or None."""
        self.reported = False
        self.abandoned = False
        """The identity that owned the events has ended."""

    def is_ready(self, now: float, producer: Any) -> bool:
        """Whether a batch can be sent now, by `producer`."""
        return bool(self.waiting) and self.future is None and now >= self.not_before and self.avoid is not producer

    def finish_batch(self) -> list[Queued]:
        """The events of the batch, which is not on its way any more."""
        batch, self.batch, self.future, self.producer = self.batch, [], None, None
        return batch

    def note_success(self) -> None:
        """The partition has acknowledged a batch."""
        self.failures, self.troubled_since, self.avoid = 0, None, None
        self.at_most = min(2 * self.at_most, FLUSH_EVENTS)

    def note_failure(self) -> None:
        """The batch failed, or the topic is unknown. The next attempt comes after a pause."""
        now = time.monotonic()
        self.failures += 1
        self.troubled_since = self.troubled_since or now
        self.not_before = now + backoff_s(self.failures, _RETRY_FIRST_S, _RETRY_AT_MOST_S)


class PartitionQueues:
    """The queues of the partitions that have events."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, int], PartitionQueue] = {}

    def __iter__(self) -> Iterator[PartitionQueue]:
        return iter(self._queues.values())

    def __len__(self) -> int:
        return len(self._queues)

    @property
    def events(self) -> int:
        """How many events wait or are on their way."""
        return sum(len(queue.waiting) + len(queue.batch) for queue in self)

    def clear(self) -> None:
        """Forget all events. Batches on their way are settled by their producers."""
        for queue in self:
            queue.abandoned, queue.waiting = True, []
        self._queues = {}

    def add(self, events: Sequence[Queued], partitions: Callable[[str], int | None]) -> None:
        """Append events to the queues of their partitions. `partitions` is the number of a topic's partitions.

        Events of a topic that `partitions` does not know wait in the queue `UNKNOWN` of the topic.
        """
        counts: dict[str, int] = {}
        queues = self._queues
        for item in events:
            event = item[1]
            topic = event.topic
            count = counts.get(topic)
            if count is None:
                count = counts[topic] = self._known(topic, partitions)
            where = (topic, partition_of(event.key, count) if count else UNKNOWN)
            queue = queues.get(where)
            if queue is None:
                queue = queues[where] = PartitionQueue(*where)
            queue.waiting.append(item)

    def drop_empty(self) -> None:
        """Forget the queues that have no events any more."""
        self._queues = {where: queue for where, queue in self._queues.items() if queue.waiting or queue.batch}

    def sort_unknown(self, partitions: Callable[[str], int | None]) -> None:
        """Move the events of topics that are known by now to the queues of their partitions."""
        for topic, partition in [where for where in self._queues if where[1] == UNKNOWN]:
            if partitions(topic):
                self.add(self._queues.pop((topic, partition)).waiting, partitions)

    def remove_key(self, key: str, after: int) -> list[int]:
        """Remove the waiting events of a key whose row ids are above `after`. Returns their row ids."""
        removed: list[int] = []
        for queue in self:
            later = {row_id for row_id, event in queue.waiting if event.key == key and row_id > after}
            if later:
                queue.waiting = [item for item in queue.waiting if item[0] not in later]
                removed.extend(later)
        return removed

    def _known(self, topic: str, partitions: Callable[[str], int | None]) -> int:
        # Events that wait for the topic to be known come first.
        return 0 if (topic, UNKNOWN) in self._queues else partitions(topic) or 0


def partition_of(key: str, partitions: int) -> int:
    """CRC32 of the key, like librdkafka's `consistent` partitioner: a hundredth of the cost of murmur2 in Python."""
    return zlib.crc32(key.encode()) % partitions
