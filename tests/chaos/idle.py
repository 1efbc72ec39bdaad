"""Waits until a system is idle: no record unread, no work open, no outbox row left."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from contracts import topics
from contracts.asyncapi import FLOW
from deploy.local.parts import PORTAL, SERVICES
from deploy.local.system import LocalSystem
from tests.chaos.records import partitions_of

EVENT_TOPICS = (topics.LEADS, topics.VERDICTS, topics.RESERVATIONS, topics.MESSAGES)
_ALL_TOPICS = (
    *(*EVENT_TOPICS, topics.PARTNERS, topics.OPERATIONS, topics.DEAD_LETTERS),
    f"{topics.PORTAL_REQUESTS}.{PORTAL}",
)


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of a system, which the checker reads directly: `bootstrap.servers`, and a database URL by service."""

    kafka: str
    databases: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, system: LocalSystem) -> "Servers":
        """The servers of a running local system."""
        urls = {}
        for service in SERVICES:
            environment = system.environment(service)
            urls[service] = next(value for name, value in environment.items() if name.endswith("_DATABASE_URL"))
        return cls(system.endpoints()["kafka"], urls)


async def wait_until_idle(servers: Servers, within_s: float) -> str | None:
    """Wait until the system is idle. Returns None, or after `within_s` seconds a description of what is still open."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            unfinished = await _unfinished(servers)
        except (KafkaError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            unfinished = f"cannot read the system: {type(error).__name__}: {error}"
        if unfinished is None or time.monotonic() > deadline:
            return unfinished
        await asyncio.sleep(0.5)


async def _unfinished(servers: Servers) -> str | None:
    """What is unfinished in the system, or None.

    The places are read in the order in which data moves through them, between two reads of the ends of all topics. Data
    that moves on meanwhile is either found in a later place or has moved the end of a topic.
    """
    async with asyncio.timeout(30):
        consumer = AIOKafkaConsumer(bootstrap_servers=servers.kafka)
        admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka)
        try:
            await admin.start()
            await consumer.start()
            partitions = await partitions_of(admin, _ALL_TOPICS)
            before = await consumer.end_offsets(partitions)
            unfinished = await _lag(admin, before)
            for service, url in servers.databases.items():
                unfinished += await _open_rows(service, url)
            if before != await consumer.end_offsets(partitions):
                unfinished.append("events are being published")
        finally:
            await consumer.stop()
            await admin.close()
    return "; ".join(unfinished) or None


async def _lag(admin: AIOKafkaAdminClient, ends: Mapping[TopicPartition, int]) -> list[str]:
    topics_of_group: dict[str, set[str]] = defaultdict(set)
    for topic, (_, readers) in FLOW.items():
        for service in set(readers) & set(SERVICES):
            if topic == topics.PORTAL_REQUESTS:
                topics_of_group[f"{service}.requests"].add(f"{topic}.{PORTAL}")
            elif topic == topics.OPERATIONS:
                topics_of_group[f"{service.replace('_', '-')}.operations"].add(topic)
            else:
                topics_of_group[service.replace("_", "-")].add(topic)
    found = []
    for group, names in sorted(topics_of_group.items()):
        committed = await admin.list_consumer_group_offsets(group)
        lag = sum(
            end - max(0, committed[partition].offset if partition in committed else 0)
            for partition, end in ends.items()
            if partition.topic in names
        )
        if lag:
            found.append(f"the group {group} lags by {lag} records")
    return found


async def _open_rows(service: str, url: str) -> list[str]:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        work = await connection.fetch("SELECT kind, state, count(*) FROM work WHERE state <> 'done' GROUP BY 1, 2")
        outbox = await connection.fetchval("SELECT count(*) FROM outbox")
    finally:
        await connection.close()
    found = [f"{service}: {count} {kind} {state}" for kind, state, count in work]
    return [*found, f"{service}: {outbox} in the outbox"] if outbox else found
