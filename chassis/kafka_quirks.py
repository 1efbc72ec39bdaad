"""Every workaround of FastStream and aiokafka, and nothing else. Each names the fault that it works around."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage, KafkaMessage

from chassis.limits import BATCH_RECORDS, DRAIN_S, POLL_MS

log = structlog.get_logger(__name__)

_STOP_PRODUCER_S: Final = 2
_FETCH_WAIT_MS: Final = 500

Poll = Callable[[AIOKafkaConsumer], Coroutine[Any, Any, tuple[Any, ...]]]
Handle = Callable[[Any], Awaitable[None]]


class Subscription(Protocol):
    """A FastStream subscriber. `consumer` is its aiokafka consumer, or None before the start and after the stop."""

    @property
    def consumer(self) -> Any: ...


def batch_subscription(
    broker: KafkaBroker,
    *,
    topics: Sequence[str],
    pattern: str | None,
    group: str,
    instance: str | None,
    listener: ConsumerRebalanceListener,
    poll: Poll,
    handle: Handle,
) -> Subscription:
    """A group member that reads `topics`, or the topics that match `pattern`, by the batch.

    - FastStream commits before handling by default: acknowledgement is manual, and we commit explicit offsets.
    - FastStream publishes a handler's result to any topic that the header `reply_to` names: no replies.
    - FastStream's parser decodes headers strictly and drops a record whose headers do not decode: own parser.
    - FastStream's own poll sleeps for its timeout once more after an empty poll, and does not see records that arrive
      meanwhile: `poll` replaces it.
    - FastStream logs what a handler raises and continues behind the batch, which loses the batch: `handle` must not
      raise.
    - aiokafka reads records of aborted and of open transactions by default: only committed records are read.
    - A static member (`instance`) that leads its group and comes back does not discover new topics (KAFKA-13435):
      with a pattern, `instance` must be None.
    """
    assert pattern is None or instance is None

    async def parse(records: Any) -> KafkaMessage:
        batch = records if isinstance(records, tuple) else (records,)
        return KafkaAckableMessage(
            body=b"",
            raw_message=batch,
            consumer=subscriber.consumer,
            message_id=f"{batch[0].topic}-{batch[0].partition}-{batch[0].offset}",
        )

    async def decode(message: KafkaMessage) -> Any:
        return message.raw_message

    subscriber = broker.subscriber(
        *topics,
        pattern=pattern,
        batch=True,
        max_records=BATCH_RECORDS,
        batch_timeout_ms=POLL_MS,
        group_id=group,
        group_instance_id=instance,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
        listener=listener,
        parser=parse,
        decoder=decode,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    )
    subscriber.get_msg = poll  # type: ignore[method-assign, assignment]  # see above
    subscriber(handle)
    return subscriber


async def stop_broker(broker: KafkaBroker) -> None:
    """Stop a broker that is thrown away. After an outage its stop may hang, or raise anything."""
    try:
        async with asyncio.timeout(DRAIN_S):
            await broker.stop()
    except Exception as error:
        log.info("kafka_client_not_stopped", client="consumer", error=type(error).__name__)


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Stop a producer that is thrown away. In an outage its stop hangs, because it waits for its batches."""
    try:
        async with asyncio.timeout(_STOP_PRODUCER_S):
            await producer.stop()
    except (KafkaError, TimeoutError, OSError) as error:
        log.info("kafka_client_not_stopped", client="producer", error=type(error).__name__)


async def partition_count(producer: AIOKafkaProducer, topic: str) -> int:
    """How many partitions `topic` has. `partitions_for` alone costs a coroutine for each event."""
    partitions = producer.client.cluster.partitions_for_topic(topic)
    return len(partitions or await producer.partitions_for(topic))


async def committed_offsets(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int | None]:
    """The committed offset of each partition, or None. aiokafka's own `committed` costs a request for each."""
    committed = await consumer._coordinator.fetch_committed_offsets(partitions)
    offsets = {partition: committed[partition].offset for partition in partitions if partition in committed}
    return {partition: offset if (offset := offsets.get(partition, -1)) >= 0 else None for partition in partitions}


class _NoErrorAtStart(logging.Filter):
    """aiokafka logs an error whenever the group's coordinator is not known yet, as at every start, and then retries."""

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith("Group Coordinator Request failed"):
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


def quiet_loggers() -> None:
    """Show of the Kafka libraries' logs what an operator can use."""
    # aiokafka logs every rebalance twice at INFO.
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    logging.getLogger("aiokafka.consumer.group_coordinator").addFilter(_NoErrorAtStart())
    # FastStream warns at each start that it creates no topics, which is what we want.
    logging.getLogger("faststream").setLevel(logging.ERROR)
