"""Whether a record that a person wants to skip stands in the way."""

from enum import Enum
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.consumer.records import Record
from chassis.consumer.standing import Standing
from chassis.consumer.stops import Stops
from chassis.kafka_clients import client_options
from chassis.kafka_quirks import is_undecodable
from chassis.limits import READ_RECORD_MS
from chassis.operations.model import Refused
from chassis.settings import KafkaSettings

SKIPPED_UNREAD: Final = "skipped-unread"
"""The reason of a dead letter that names only the place of a record: the record could not be read."""


class Reading(Protocol):
    """The consumers of this process."""

    def reads(self, topic: str) -> bool:
        """Whether the service reads the topic."""
        ...

    def has_partition(self, partition: TopicPartition) -> bool | None:
        """Whether the partition exists; None if that is not known yet."""
        ...

    async def standing(self, partition: TopicPartition) -> Standing | None:
        """Where this process stands in a partition; None if the partition is not assigned to it."""
        ...

    def step_over(self, partition: TopicPartition, offset: int) -> None:
        """Go on behind a record that was skipped."""
        ...


class _Missing(Enum):
    UNDECODABLE = "undecodable"
    BEYOND_THE_END = "beyond-the-end"
    NOTHING = "nothing"


class Unread:
    """A record of which only the place is known."""

    key: Final[bytes | None] = None
    headers: Final[tuple[tuple[str, bytes | None], ...]] = ()
    value: Final[bytes | None] = None

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset


async def find_stuck(
    reading: Reading, stops: Stops, kafka: KafkaSettings, partition: TopicPartition, offset: int
) -> Record | Refused | None:
    """The record, if it stands in the way; why it does not; or None: another process reads the partition.

    Of a record that cannot be decoded only the place is returned (`Unread`). Raises KafkaError and OSError.
    """
    if not reading.reads(partition.topic):
        return Refused("not-read")
    standing = await reading.standing(partition)
    if standing is None:
        return Refused("unknown-partition") if reading.has_partition(partition) is False else None
    if offset < standing.next_offset or (*partition, offset) in stops.skipped:
        return Refused("already-handled")
    found = await _read(kafka, partition, offset)
    if found is _Missing.BEYOND_THE_END:
        return Refused("beyond-the-end")
    if found is _Missing.UNDECODABLE and offset in (standing.unreadable_at, standing.next_offset):
        return Unread(partition.topic, partition.partition, offset)
    if isinstance(found, _Missing) or found.offset != offset:
        return Refused("not-stuck")
    record: Record = found
    if offset in standing.retried or (standing.paused and await _is_next(kafka, partition, offset, standing)):
        return record
    return Refused("not-stuck")


async def _is_next(kafka: KafkaSettings, partition: TopicPartition, offset: int, standing: Standing) -> bool:
    """Whether the record at `offset` is the first that is not handled: there may be gaps between offsets."""
    if offset == standing.next_offset:
        return True
    first = await _read(kafka, partition, standing.next_offset)
    return not isinstance(first, _Missing) and first.offset == offset


async def _read(kafka: KafkaSettings, partition: TopicPartition, offset: int) -> Any:
    """The first record at or after `offset`, or why there is none (`_Missing`)."""
    # A consumer of its own: the service's own reads on meanwhile.
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        consumer.assign([partition])
        if offset >= (await consumer.end_offsets([partition]))[partition]:
            return _Missing.BEYOND_THE_END
        consumer.seek(partition, offset)
        try:
            found = await consumer.getmany(partition, timeout_ms=READ_RECORD_MS, max_records=1)
        except Exception as error:
            if is_undecodable(error):
                return _Missing.UNDECODABLE
            raise
        return next((record for records in found.values() for record in records), _Missing.NOTHING)
    finally:
        await consumer.stop()
