"""The sample service as real processes, with topics, a consumer group and a database for one test."""

import asyncio
import json
import os
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from joserfc.jwk import ECKey

from contracts.sealing import decrypt_with
from contracts.topics import DEAD_LETTERS, OPERATION_RESULTS, OPERATIONS, TOPICS
from tests.process import DEADLINE_S, ServiceProcess, run_warm, until

PARTITIONS = 3
MIGRATIONS = Path(__file__).parent / "migrations"

Request = dict[str, Any]
"""The body of a request to the sample service: `{"name", "n", "action"?}`."""
RawRecord = tuple[bytes, Sequence[tuple[str, bytes]], bytes | None]
"""Key, headers and value of a record."""
EventsByName = dict[str, list[dict[str, Any]]]
"""Bodies of published events by name, in the order of publishing, each with its `sequence`."""


@dataclass
class Harness:
    """Starts instances of the sample service, publishes requests to them, and reads what they publish and store."""

    bootstrap: str
    url: str
    suffix: str
    folder: Path
    operator_key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "d1"}))
    instances: list[ServiceProcess] = field(default_factory=list)

    @property
    def service(self) -> str:
        return f"sample{self.suffix}"

    @property
    def requests_topic(self) -> str:
        return f"sample-requests{self.suffix}"

    @property
    def results_topic(self) -> str:
        return f"sample-results{self.suffix}"

    @property
    def states_topic(self) -> str:
        return f"sample-states{self.suffix}"

    def topics(self, existing: Collection[str], replicas: int = 1) -> list[NewTopic]:
        """The topics of the sample service, without shared ones among `existing`. That of states is compacted soon."""
        compacted = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
        return [
            NewTopic(self.requests_topic, PARTITIONS, replicas),
            NewTopic(self.results_topic, PARTITIONS, replicas),
            NewTopic(self.states_topic, PARTITIONS, replicas, topic_configs=compacted),
            *(
                NewTopic(spec.name, spec.partitions, replicas, topic_configs=spec.config)
                for spec in TOPICS
                if spec.name in (DEAD_LETTERS, OPERATIONS, OPERATION_RESULTS) and spec.name not in existing
            ),
        ]

    # --- instances

    async def start(self, *, wait: bool = True, **environment: str) -> "subprocess.Popen[bytes]":
        """Start one more instance; with `wait`, return when it is ready.

        By default all instances are the same static member of the group, so a new one takes over at once.
        """
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

    async def wait_for_readiness(self, status: int, instance: int = -1) -> None:
        """Wait until the readiness of an instance (the last one by default) has this HTTP status."""
        async with httpx.AsyncClient(base_url=self.instances[instance].admin) as client:

            async def holds() -> bool | None:
                return True if (await client.get("/health/ready")).status_code == status else None

            await until(holds, f"readiness is {status}")

    async def health(self, instance: int = -1) -> dict[str, Any]:
        """What an instance's readiness says: `status`, and `reasons` by the name of the check."""
        async with httpx.AsyncClient(base_url=self.instances[instance].admin) as client:
            found: dict[str, Any] = (await client.get("/health/ready")).json()
            return found

    async def wait_for_health(self, status: str, check: str = "", reason: str = "") -> None:
        """Wait until the last instance's readiness has this status, and its check `check` names `reason`."""

        async def holds() -> bool | None:
            health = await self.health()
            return True if health["status"] == status and reason in health.get("reasons", {}).get(check, "") else None

        await until(holds, f"health is {status}, {check}: {reason}")

    async def metrics(self, instance: int = -1) -> str:
        """The metrics of an instance in Prometheus' text format."""
        async with httpx.AsyncClient(base_url=self.instances[instance].admin) as client:
            return (await client.get("/metrics")).text

    async def wait_for_metric(self, name: str, expected: float) -> None:
        """Wait until the samples of a metric of the last instance add up to `expected`."""

        async def holds() -> bool | None:
            lines = (await self.metrics()).splitlines()
            values = [float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{")]
            return True if values and round(sum(values)) == expected else None

        await until(holds, f"{name} is {expected}")

    async def wait_for_log(self, instance: int, event: str) -> None:
        """Wait until an instance has logged an event."""

        async def holds() -> bool | None:
            # The text is not parsed: the last line may be half written.
            log = self.folder / f"{instance}.log"
            return True if log.exists() and f'"event":"{event}"' in log.read_text() else None

        await until(holds, f"instance {instance} logs {event!r}")

    def log(self, instance: int) -> list[dict[str, Any]]:
        """The log of an instance, parsed."""
        return [json.loads(line) for line in (self.folder / f"{instance}.log").read_text().splitlines()]

    async def command(self, module: str, *arguments: str, code: int = 0, **more: str) -> str:
        """Run an operator's command and return what it prints. `code` is the exit code that the test expects,
        `more` more of the environment.
        """
        environment = {
            **os.environ,
            "COLUMNS": "200",
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "SAMPLE_DATABASE_URL": self.url,
            "SAMPLE_ADMIN_PORT": "0",
            "DEAD_LETTERS_PUBLIC_KEY": json.dumps(self.operator_key.as_dict(private=False)),
            "DEAD_LETTERS_PRIVATE_KEY": json.dumps(self.operator_key.as_dict(private=True)),
            **more,
        }
        done = await asyncio.to_thread(run_warm, module, *arguments, environment=environment)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def close(self) -> None:
        """End all instances."""
        for instance in self.instances:
            instance.end()

    # --- topics

    async def publish(self, *requests: Request) -> None:
        """Publish requests. The `ce_id` of each is derived from its `name` and `n`."""
        await self.publish_raw(
            [(request["name"].encode(), headers_for(request), json.dumps(request).encode()) for request in requests]
        )

    async def publish_raw(self, records: Iterable[RawRecord], topic: str | None = None) -> None:
        """Publish records to the topic of the requests, or to another topic."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=2, max_request_size=2**21)
        await producer.start()
        try:
            sent = [
                await producer.send(topic or self.requests_topic, value, key=key, headers=list(headers))
                for key, headers, value in records
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def limit_result_bytes(self, size: int) -> None:
        """Let Kafka accept only batches of results of at most `size` bytes; it refuses larger ones for good."""
        async with self._admin() as admin:
            limit = ConfigResource(ConfigResourceType.TOPIC, self.results_topic, {"max.message.bytes": str(size)})
            await admin.alter_configs([limit])

    async def hold_results(self) -> None:
        """Let Kafka acknowledge no result until `pass_results`: the topic is gone, with the results on it."""

        async def gone() -> bool | None:
            return None if self.results_topic in await admin.list_topics() else True

        async with self._admin() as admin:
            await admin.delete_topics([self.results_topic])
            await until(gone, f"{self.results_topic} is gone")

    async def pass_results(self, max_bytes: int = 2**20) -> None:
        """End `hold_results`. Kafka accepts batches of at most `max_bytes` bytes."""
        async with self._admin() as admin:
            limit = {"max.message.bytes": str(max_bytes)}
            await admin.create_topics([NewTopic(self.results_topic, PARTITIONS, 1, topic_configs=limit)])

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    async def read(self, topic: str, enough: Callable[[list[Any]], bool]) -> list[Any]:
        """All records of a topic, as soon as `enough` is true for them. They are in order within each partition."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        records: list[Any] = []
        try:
            partitions = consumer.partitions_for_topic(topic) or set(range(PARTITIONS))
            consumer.assign([TopicPartition(topic, number) for number in partitions])
            deadline = time.monotonic() + DEADLINE_S
            while not enough(records):
                assert time.monotonic() < deadline, f"{len(records)} records on {topic}, and not those expected"
                for of_partition in (await consumer.getmany(timeout_ms=200)).values():
                    records.extend(of_partition)
        finally:
            await consumer.stop()
        return records

    async def results(self, total: int) -> EventsByName:
        """The published results by name, as soon as there are `total` different ones. Repeats are left out."""
        records = await self.read(
            self.results_topic, lambda found: len({_header(one, "ce_id") for one in found}) >= total
        )
        seen: set[str] = set()
        by_name: EventsByName = {}
        for record in records:
            if (identity := _header(record, "ce_id")) not in seen:
                seen.add(identity)
                value = json.loads(record.value)
                by_name.setdefault(value["name"], []).append({**value, "sequence": int(_header(record, "ce_sequence"))})
        return by_name

    async def dead_letters(self, total: int) -> list[dict[str, Any]]:
        """The dead letters of this test, decrypted, as soon as there are `total` of them."""
        records = await self.read(DEAD_LETTERS, lambda found: len(self._decrypted(found)) >= total)
        return self._decrypted(records)

    def _decrypted(self, records: Sequence[Any]) -> list[dict[str, Any]]:
        letters = [json.loads(one.value) for one in records if _header(one, "ce_type") == "dead-letter.v1"]
        return [
            {**letter, "original": json.loads(decrypt_with([self.operator_key], letter["original"]))}
            for letter in letters
            if letter["original_topic"] in (self.requests_topic, self.states_topic)
        ]

    # --- database

    async def query(self, sql: str) -> list[Any]:
        """The rows of one statement."""
        connection = await asyncpg.connect(self.url)
        try:
            return list(await connection.fetch(sql))
        finally:
            await connection.close()

    async def wait_for(self, sql: str, expected: Any) -> None:
        """Wait until a query of one value returns `expected`."""

        async def holds() -> bool | None:
            return True if (await self.query(sql))[0][0] == expected else None

        await until(holds, f"{sql} is {expected}")


def requests(names: int, each: int, action: str = "count") -> list[Request]:
    """Requests 0 to `each - 1` for each of `names` names, by turns."""
    return [{"name": f"name-{name}", "n": n, "action": action} for n in range(each) for name in range(names)]


def assert_in_order(results: EventsByName, names: int, each: int) -> None:
    """Each of `names` names has results 0 to `each - 1`, counted and numbered without gaps."""
    assert len(results) == names
    for events in results.values():
        assert [event["n"] for event in events] == list(range(each))
        assert [event["count"] for event in events] == list(range(1, each + 1))
        assert [event["sequence"] for event in events] == list(range(1, each + 1))


def headers_for(request: Request) -> list[tuple[str, bytes]]:
    """The headers of a request's record."""
    identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{request['name']}/{request['n']}")
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(identity).encode()),
        ("ce_type", b"count-requested.v1"),
        ("ce_source", b"/test"),
    ]


def _header(record: Any, name: str) -> str:
    return str(dict(record.headers)[name].decode())
