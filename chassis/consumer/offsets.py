"""Offsets of handled records: committed by a task of their own, for all partitions at once, after the transactions.

A committed offset is only the position from which reading starts again: the inbox drops repeats.

Not every offset is a record: the end of a transaction takes one, too, and aborted records are never read. So the lag is
counted from the position of the consumer, which passes them, and not from the last handled record.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog
from aiokafka import TopicPartition

from chassis.consumer.records import Record
from chassis.limits import REQUEST_TIMEOUT_S

log = structlog.get_logger(__name__)


class Lag(NamedTuple):
    """`behind`: records of each assigned partition that are not handled yet. `moved`: since the last measurement the
    consumer has read on, although all it has read may be aborted transactions."""

    behind: dict[TopicPartition, int]
    moved: bool


class Offsets:
    """The next offset of each assigned partition, as far as records were handled."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._handled: dict[TopicPartition, int] = {}
        self._uncommitted: dict[TopicPartition, int] = {}
        self._in_hand: Sequence[Record] = ()
        self._positions: dict[TopicPartition, int] = {}

    def take(self, records: Sequence[Record]) -> None:
        """These records were read and are not handled yet; the records taken before are handled, or read again."""
        self._in_hand = records

    def mark_handled(self, record: Record) -> None:
        """The record's transaction is committed."""
        partition = TopicPartition(record.topic, record.partition)
        self._handled[partition] = self._uncommitted[partition] = record.offset + 1

    def move(self, partition: TopicPartition, offset: int) -> None:
        """Reading goes on at `offset`, whatever was handled."""
        self._handled[partition] = self._uncommitted[partition] = offset

    def handled(self, partition: TopicPartition) -> int | None:
        """The next offset to read, or None if no record of the partition was handled since it was assigned."""
        return self._handled.get(partition)

    def forget(self, partitions: set[TopicPartition] | None = None) -> None:
        """Forget partitions that were revoked; None: all."""
        for partition in list(self._handled) if partitions is None else partitions:
            self._handled.pop(partition, None)
            self._uncommitted.pop(partition, None)

    async def commit(self, consumer: Any) -> None:
        """Commit what was handled since the last commit. A failure is only logged: the next commit repeats it."""
        if consumer is None or not self._uncommitted:
            return
        assigned = consumer.assignment()
        offsets = {partition: offset for partition, offset in self._uncommitted.items() if partition in assigned}
        if not offsets:
            return
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await consumer.commit(offsets)
        except Exception as error:  # in an outage the client raises more than its own errors
            log.info("offsets_not_committed", topics=self._name, error=type(error).__name__)
            return
        for partition, offset in offsets.items():
            if self._uncommitted.get(partition) == offset:
                del self._uncommitted[partition]

    async def lag(self, consumer: Any) -> Lag | None:
        """How far behind the consumer is. None if Kafka does not answer."""
        partitions: Sequence[TopicPartition] = list(consumer.assignment())
        if not partitions:
            return Lag({}, moved=False)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                # The end is that of committed transactions: what is still open can be neither read nor handled.
                ends = await consumer.end_offsets(partitions)
                positions = {partition: await consumer.position(partition) for partition in partitions}
        except Exception as error:  # as above
            log.info("lag_not_measured", topics=self._name, error=type(error).__name__)
            return None
        moved, self._positions = positions != self._positions, positions
        in_hand = Counter(TopicPartition(record.topic, record.partition) for record in self._in_hand)
        behind = {
            partition: max(0, ends[partition] - position) + in_hand[partition]
            for partition, position in positions.items()
        }
        return Lag(behind, moved)
