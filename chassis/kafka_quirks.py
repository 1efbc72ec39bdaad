"""Every workaround of FastStream and aiokafka, and nothing else. Each names the fault that it works around."""

import asyncio
import logging
import math
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

import aiokafka.errors
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    BrokerResponseError,
    CorruptRecordException,
    KafkaError,
    ProducerClosed,
    UnsupportedCodecError,
)
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage, KafkaMessage

from chassis.limits import BATCH_RECORDS, DRAIN_S, END_PRODUCER_S, MAX_BATCH_BYTES, POLL_MS

log = structlog.get_logger(__name__)

_FETCH_WAIT_MS: Final = 500
_MAY_SEND_EVERY_S: Final = 0.05
_REPEATED_LOG_EVERY_S: Final = 10.0
_REMEMBERED_LOGS: Final = 1000
_NO_LINGER: Final = struct.pack("ii", 1, 0)

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


class InvalidRecordError(BrokerResponseError):  # type: ignore[misc]  # aiokafka's errors are not typed
    """A broker refused a record. aiokafka does not know this code of Kafka's and would report an unknown error."""

    errno = 87
    message = "INVALID_RECORD"
    description = "The broker refused a record of the batch."


aiokafka.errors.kafka_errors[InvalidRecordError.errno] = InvalidRecordError


def idempotent_producer(options: dict[str, Any], may_send: Callable[[], bool]) -> AIOKafkaProducer:
    """An idempotent producer, not started. It sends no request while `may_send` returns False.

    - aiokafka gives a batch up that finds no leader for its request time-out, although the batch has used up its
      sequence numbers: Kafka would refuse all later batches of that partition. So batches do not expire.
    - aiokafka repeats a batch by itself until Kafka acknowledges it. A process that was frozen meanwhile must not: its
      events may belong to another process. So `may_send` is called before each request.
    """
    producer = AIOKafkaProducer(
        **options, acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=MAX_BATCH_BYTES
    )
    producer._message_accumulator._batch_ttl = math.inf
    send = producer._sender._send_produce_req

    async def send_if_allowed(node: Any, batches: Any) -> None:
        while not may_send() and not producer._closed:  # noqa: ASYNC110  # a clock decides, not an event
            await asyncio.sleep(_MAY_SEND_EVERY_S)
        if not producer._closed:
            await send(node, batches)

    producer._sender._send_produce_req = send_if_allowed
    return producer


def take_back_sequence(producer: AIOKafkaProducer, topic: str, partition: int, records: int) -> None:
    """Use the sequence numbers of a batch again that a broker refused.

    aiokafka keeps them as used, and Kafka would refuse the next batch of the partition as out of order.
    """
    producer._txn_manager.increment_sequence_number(TopicPartition(topic, partition), -records)


async def end_producer(producer: AIOKafkaProducer) -> None:
    """End a producer. Batches on their way get the error ProducerClosed, and may or may not be written.

    aiokafka's own stop waits until all batches are acknowledged. If that is cancelled, the producer's tasks and
    connections stay, and it repeats its batches for ever.
    """
    if producer._closed:
        return
    producer._closed = True
    task = producer._sender.sender_task
    if task is not None:
        # Requests end with their connections; without a new connection nothing is sent again.
        for connection in list(producer.client._conns.values()):
            _reset(connection)
        task.cancel()
        await asyncio.wait([task], timeout=END_PRODUCER_S)
        accumulator = producer._message_accumulator
        accumulator._closed = True
        for batch in [*(one for of in accumulator._batches.values() for one in of), *accumulator._pending_batches]:
            batch.failure(ProducerClosed())
            batch._drain_waiter.exception()
    await producer.client.close()


def _reset(connection: Any) -> None:
    """Cut a connection. What it has not sent is dropped: it must not arrive after the network has recovered."""
    if connection._writer is not None:
        socket_ = connection._writer.get_extra_info("socket")
        if socket_ is not None:
            socket_.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        connection._writer.transport.abort()
    connection.close()


def partition_count(producer: AIOKafkaProducer, topic: str) -> int | None:
    """How many partitions `topic` has, as far as the producer knows. `partitions_for` costs a coroutine, and waits."""
    partitions = producer.client.cluster.partitions_for_topic(topic)
    return len(partitions) if partitions is not None else None


class _Seldom(logging.Filter):
    """aiokafka logs each of its repetitions, ten a second for each partition. One in ten seconds is enough."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = f"{record.msg} {record.args}"
        if record.created - self._shown.get(text, 0.0) < _REPEATED_LOG_EVERY_S:
            return False
        if len(self._shown) > _REMEMBERED_LOGS:
            self._shown.clear()
        self._shown[text] = record.created
        return True


def is_undecodable(error: BaseException) -> bool:
    """Whether a read failed because of the records themselves, not because of the broker or the network.

    aiokafka raises what its decoders raise: a UnicodeDecodeError for a header name, an error of a codec library.
    """
    if isinstance(error, (CorruptRecordException, UnsupportedCodecError)):
        return True
    return not isinstance(error, (KafkaError, OSError, TimeoutError))


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
    logging.getLogger("aiokafka.producer.sender").addFilter(_Seldom())
    # FastStream warns at each start that it creates no topics, which is what we want.
    logging.getLogger("faststream").setLevel(logging.ERROR)
