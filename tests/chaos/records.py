"""Reads every record of a topic for the checker."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

READ_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic. `body` is the parsed JSON object, empty if the value is none."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: Mapping[str, str]
    value: bytes
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The CloudEvents type."""
        return self.headers["ce_type"]

    @property
    def identity(self) -> tuple[str, str]:
        """CloudEvents source and id. Two records with the same identity are the same event."""
        return self.headers["ce_source"], self.headers["ce_id"]

    @property
    def lead_id(self) -> str:
        """The id of the lead in the body."""
        return str(self.body.get("lead_id"))


async def read_topics(bootstrap: str, names: Sequence[str]) -> dict[str, list[Record]]:
    """Every record of the topics, by topic; the records of each partition are in their order."""
    found: dict[str, list[Record]] = {name: [] for name in names}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    async with asyncio.timeout(READ_WITHIN_S):
        try:
            await admin.start()
            await consumer.start()
            partitions = await partitions_of(admin, names)
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                    found[partition.topic].extend(_record(record) for record in records)
        finally:
            await consumer.stop()
            await admin.close()
    return found


async def partitions_of(admin: AIOKafkaAdminClient, names: Sequence[str]) -> list[TopicPartition]:
    """All partitions of the topics."""
    # A consumer cannot be used here: it returns no partitions for topics that it has not read yet.
    found = [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in await admin.describe_topics(list(names))
        for partition in topic["partitions"]
    ]
    assert {partition.topic for partition in found} == set(names)
    return found


def _record(raw: Any) -> Record:
    body = json.loads(raw.value or b"{}")
    return Record(
        raw.topic,
        raw.partition,
        raw.offset,
        (raw.key or b"").decode(errors="replace"),
        {name: (value or b"").decode(errors="replace") for name, value in raw.headers},
        raw.value or b"",
        body if isinstance(body, dict) else {},
    )
