"""The sample service as real processes, on topics, a group and a database of the test's own."""

import asyncio
import json
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from joserfc.jwk import ECKey

from chassis.migrations import upgrade
from contracts.sealing import decrypt_with
from contracts.topics import DEAD_LETTERS, TOPICS
from tests.process import DEADLINE_S, ServiceProcess, until

PARTITIONS = 3
MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass
class Sample:
    """What a test does to the sample service, and what it sees of it."""

    bootstrap: str
    url: str
    suffix: str
    folder: Path
    operator_key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "d1"}))
    instances: list[ServiceProcess] = field(default_factory=list)

    @property
    def heard(self) -> str:
        return f"sample-heard{self.suffix}"

    @property
    def told(self) -> str:
        return f"sample-told{self.suffix}"

    async def start(self, *, wait: bool = True, **environment: str) -> "subprocess.Popen[bytes]":
        """One more instance, with `wait` ready to be relied on. It takes over from the one before at once."""
        started = await ServiceProcess.start(
            "tests.chassis.sample",
            "SAMPLE_",
            {
                "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
                "SAMPLE_DATABASE_URL": self.url,
                "SAMPLE_SUFFIX": self.suffix,
                "KAFKA_GROUP_INSTANCE_ID": "one",
                "DEAD_LETTERS_PUBLIC_KEY": json.dumps(self.operator_key.as_dict(private=False)),
                **environment,
            },
            self.folder / f"{len(self.instances)}.log",
            wait=wait,
            warm=True,
        )
        self.instances.append(started)
        return started.process

    async def until_health(self, status: int, instance: int = -1) -> None:
        """Wait until the readiness of an instance, of the last one unless told, is `status`."""
        async with httpx.AsyncClient(base_url=self.instances[instance].admin) as client:

            async def holds() -> bool | None:
                return True if (await client.get("/health/ready")).status_code == status else None

            await until(holds, f"readiness is {status}")

    async def until_logged(self, number: int, event: str) -> None:
        """Wait until an instance has logged an event."""

        async def holds() -> bool | None:
            # Not parsed: its last line may be half written.
            return True if f'"event":"{event}"' in (self.folder / f"{number}.log").read_text() else None

        await until(holds, f"instance {number} logs {event!r}")

    def log(self, number: int) -> list[dict[str, Any]]:
        """The log of an instance, parsed."""
        return [json.loads(line) for line in (self.folder / f"{number}.log").read_text().splitlines()]

    async def hearing(self, size: int) -> None:
        """The broker takes records of at most `size` bytes for what is told; of 0 it takes none."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            limit = ConfigResource(ConfigResourceType.TOPIC, self.told, {"max.message.bytes": str(size)})
            await admin.alter_configs([limit])
        finally:
            await admin.close()

    async def say(self, *messages: dict[str, Any], start: int = 0) -> None:
        """Messages `{"name", "n", "wish"?}`, each with an id that follows from name and n."""
        await self.send(
            [
                (message["name"].encode(), headers_for(message), json.dumps(message).encode())
                for message in messages[start:]
            ]
        )

    async def send(self, records: Iterable[tuple[bytes, Sequence[tuple[str, bytes]], bytes | None]]) -> None:
        """Raw records: key, headers, value."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=2, max_request_size=2**21)
        await producer.start()
        try:
            sent = [
                await producer.send(self.heard, value, key=key, headers=list(headers))
                for key, headers, value in records
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def read(self, topic: str, enough: Callable[[list[Any]], bool]) -> list[Any]:
        """All records of a topic, once they are `enough`; the order is that of each partition."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        records: list[Any] = []
        try:
            partitions = consumer.partitions_for_topic(topic) or set(range(PARTITIONS))
            consumer.assign([TopicPartition(topic, number) for number in partitions])
            deadline = time.monotonic() + DEADLINE_S
            while not enough(records):
                assert time.monotonic() < deadline, f"{len(records)} records on {topic}, and not what was expected"
                for of_partition in (await consumer.getmany(timeout_ms=200)).values():
                    records.extend(of_partition)
        finally:
            await consumer.stop()
        return records

    async def stories(self, total: int) -> dict[str, list[dict[str, Any]]]:
        """What was told of each name, in order, once `total` different events were; repeats left out as readers do."""
        records = await self.read(self.told, lambda so_far: len({_header(one, "ce_id") for one in so_far}) >= total)
        seen: set[str] = set()
        told: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            if (identity := _header(record, "ce_id")) not in seen:
                seen.add(identity)
                value = json.loads(record.value)
                told.setdefault(value["name"], []).append({**value, "sequence": int(_header(record, "ce_sequence"))})
        return told

    async def dead(self, total: int) -> list[dict[str, Any]]:
        """The dead letters of this test's topic, opened, once there are `total` of them."""
        records = await self.read(DEAD_LETTERS, lambda so_far: len(self._mine(so_far)) >= total)
        return self._mine(records)

    def _mine(self, records: Sequence[Any]) -> list[dict[str, Any]]:
        letters = [json.loads(one.value) for one in records if _header(one, "ce_type") == "dead-letter.v1"]
        return [
            {**letter, "original": json.loads(decrypt_with([self.operator_key], letter["original"]))}
            for letter in letters
            if letter["original_topic"] == self.heard
        ]

    async def query(self, sql: str) -> list[Any]:
        connection = await asyncpg.connect(self.url)
        try:
            return list(await connection.fetch(sql))
        finally:
            await connection.close()

    async def until(self, sql: str, expected: Any) -> None:
        """Wait until a one-valued query gives `expected`."""

        async def holds() -> bool | None:
            return True if (await self.query(sql))[0][0] == expected else None

        await until(holds, f"{sql} is {expected}")

    def close(self) -> None:
        for instance in self.instances:
            instance.end()


def messages(names: int, each: int, wish: str = "count") -> list[dict[str, Any]]:
    return [{"name": f"name-{name}", "n": n, "wish": wish} for n in range(each) for name in range(names)]


def assert_in_order(stories: dict[str, list[dict[str, Any]]], names: int, each: int) -> None:
    assert len(stories) == names
    for told in stories.values():
        assert [event["n"] for event in told] == list(range(each))
        assert [event["count"] for event in told] == list(range(1, each + 1))
        assert [event["sequence"] for event in told] == list(range(1, each + 1))


def headers_for(message: dict[str, Any]) -> list[tuple[str, bytes]]:
    identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{message['name']}/{message['n']}")
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(identity).encode()),
        ("ce_type", b"heard.v1"),
        ("ce_source", b"/test"),
    ]


@pytest.fixture
async def sample(kafka_bootstrap: str, database_factory: Callable[..., str], tmp_path: Path) -> AsyncIterator[Sample]:
    url = await asyncio.to_thread(database_factory, "chassis-sample", lambda url: upgrade(url, MIGRATIONS))
    made = Sample(kafka_bootstrap, url, f"-{uuid.uuid4().hex[:8]}", tmp_path)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        topics = [NewTopic(name, PARTITIONS, 1) for name in (made.heard, made.told)]
        letters = next(spec for spec in TOPICS if spec.name == DEAD_LETTERS)
        if letters.name not in await admin.list_topics():
            topics.append(NewTopic(letters.name, letters.partitions, 1, topic_configs=letters.config))
        await admin.create_topics(topics)
        yield made
    finally:
        await admin.close()
        made.close()


def _header(record: Any, name: str) -> str:
    return str(dict(record.headers)[name].decode())
