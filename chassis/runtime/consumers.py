"""The consumers of a service: they join their groups, and are replaced when their Kafka client goes silent."""

import asyncio
import itertools
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from pydantic import BaseModel

from chassis.backoff import backoff_s
from chassis.consumer.consumer import ClientSilent, Consumer
from chassis.consumer.reader import UnreadablePartition
from chassis.consumer.records import Decode, WriteDeadLetter, decode_events
from chassis.consumer.standing import Standing
from chassis.consumer.stops import Stops
from chassis.kafka_clients import new_broker
from chassis.kafka_quirks import stop_broker
from chassis.operations.log import decode_operations
from chassis.processor.processor import Processor
from chassis.service import Service
from chassis.settings import KafkaSettings

log = structlog.get_logger(__name__)


class Consumers:
    """One consumer for the topics inside the system, one for each pattern of external topics, one for operations."""

    def __init__(self, service: Service, processor: Processor, stops: Stops, kafka: KafkaSettings) -> None:
        self._service = service
        self._processor = processor
        self._stops = stops
        self._kafka = kafka
        self._broker: KafkaBroker | None = None
        self._consumers: Sequence[Consumer] = ()

    async def run(self) -> None:
        """Consume for as long as the service runs. Raises what breaks the handling of a batch."""
        while True:
            await self._join()
            try:
                async with asyncio.TaskGroup() as group:
                    for consumer in self._consumers:
                        group.create_task(consumer.run())
            except* ClientSilent as silent:
                log.error("kafka_client_replaced", topics=str(silent.exceptions[0]))
            await self.leave()

    async def stop(self) -> None:
        """Finish the current batches and commit their offsets."""
        await asyncio.gather(*(consumer.stop() for consumer in self._consumers))

    async def leave(self) -> None:
        """Leave the groups."""
        broker, self._broker = self._broker, None
        if broker is not None:
            await stop_broker(broker)

    def not_ready_reason(self) -> str | None:
        """Why consuming cannot be relied on now, or None."""
        if not self._consumers:
            return "Kafka has not answered yet"
        return next((reason for consumer in self._consumers if (reason := consumer.not_ready_reason())), None)

    def degraded_reason(self) -> str | None:
        """What is not read although the service works, or None."""
        return "; ".join(reason for consumer in self._consumers if (reason := consumer.degraded_reason())) or None

    def paused(self) -> list[dict[str, Any]]:
        """Partitions that cannot be read now: see `chassis.observability.health.Paused`."""
        return [_paused_row(one) for consumer in self._consumers for one in consumer.unreadable()]

    def stuck_reason(self) -> str | None:
        """Why only a restart will help, or None."""
        return next((reason for consumer in self._consumers if (reason := consumer.stuck_reason())), None)

    # --- what a person decides (`chassis.operations.skipping.Reading`)

    def reads(self, topic: str) -> bool:
        """Whether the service reads the topic."""
        if any(rule.topic == topic for rule in self._service.rules):
            return True
        return any(re.match(external.pattern, topic) for external in self._service.external)

    def has_partition(self, partition: TopicPartition) -> bool | None:
        """Whether the partition exists; None if that is not known yet."""
        known = [consumer.has_partition(partition) for consumer in self._consumers if consumer.reads(partition.topic)]
        return known[0] if known else None

    async def standing(self, partition: TopicPartition) -> Standing | None:
        """Where this process stands in a partition; None if the partition is not assigned to it."""
        for consumer in self._consumers:
            if (standing := await consumer.standing(partition)) is not None:
                return standing
        return None

    def step_over(self, partition: TopicPartition, offset: int) -> None:
        """Go on behind a record that was skipped."""
        for consumer in self._consumers:
            consumer.step_over(partition, offset)

    async def _join(self) -> None:
        """Join the groups; retry until Kafka answers."""
        for attempt in itertools.count(1):
            broker = new_broker(self._kafka, self._service.name)
            consumers = self._new_consumers(broker)
            try:
                await broker.start()
            except (KafkaError, OSError) as error:
                log.warning("kafka_unavailable", error=type(error).__name__)
                await stop_broker(broker)
                await asyncio.sleep(backoff_s(attempt, 0.2, 5.0))
            else:
                self._broker, self._consumers = broker, consumers
                log.info("consuming", topics=[consumer.name for consumer in consumers])
                return

    def _new_consumers(self, broker: KafkaBroker) -> list[Consumer]:
        service = self._service
        models: dict[str, list[type[BaseModel]]] = {}
        for rule in service.rules:
            if rule.topic is not None:
                models.setdefault(rule.topic, []).append(rule.body)
        consumers = []
        if models:
            decode = decode_events([model for of_topic in models.values() for model in of_topic])
            consumers.append(self._consumer(broker, service.name, decode, service.dead_letter, tuple(models)))
        for external in service.external:
            group = f"{service.name}.requests"
            consumers.append(
                self._consumer(broker, group, external.decode, service.dead_letter, pattern=external.pattern)
            )
        # In a group of its own: neither a record of another topic nor a batch that fails holds operations up.
        group, topic = f"{service.name}.operations", service.operations.topic
        consumers.append(self._consumer(broker, group, decode_operations(service.name), None, (topic,)))
        return consumers

    def _consumer(
        self,
        broker: KafkaBroker,
        group: str,
        decode: Decode,
        dead_letter: WriteDeadLetter | None,
        topics: Sequence[str] = (),
        pattern: str | None = None,
    ) -> Consumer:
        return Consumer(
            broker,
            self._processor,
            group=group,
            decode=decode,
            dead_letter=dead_letter,
            replayed=None if dead_letter is None else self._service.replayed,
            stops=self._stops,
            service=self._service.name,
            poison_share=self._service.settings.poison_share,
            instance=self._kafka.group_instance_id or None if pattern is None else None,
            topics=topics,
            pattern=pattern,
        )


def _paused_row(paused: UnreadablePartition) -> dict[str, Any]:
    since = datetime.now(UTC) - timedelta(seconds=time.monotonic() - paused.since)
    return {
        "kind": "unreadable-partition",
        "topic": paused.topic,
        "partition": paused.partition,
        "offset": paused.offset,
        "since": since.isoformat(timespec="seconds"),
        "why": paused.error,
    }
