"""A system at rest as text: its databases, topics, group offsets and simulators, out of one machine and into another.

`snapshot.py` writes it, `test_upgrade.py` reads it. The layout of a snapshot's folder is part of the format: older
snapshots are read for as long as they are kept.
"""

import asyncio
import base64
import json
import subprocess
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import BaseModel, ConfigDict

from chassis.settings import KafkaSettings
from contracts.topics import PARTNERS, TopicSpec
from deploy.local.postgres import BINARIES
from deploy.topics import provision, topic_specs
from tests.e2e.harness import Person
from tests.simulators.kit.rows import Rows

DATABASES: Final = "databases"
SECRETS: Final = "secrets.json"
EXPECTED: Final = "expected.json"
TOPICS: Final = "topics.json"
RECORDS: Final = "records.jsonl"
OFFSETS: Final = "offsets.json"
SIMULATORS: Final = ("onec", "sms")
MAX_BYTES: Final = 4 * 1024 * 1024


class Story(BaseModel):
    """One client of the snapshot. `key`: the idempotency key of the lead; `sms`: how many SMS the partner has by then.

    `requests` are those about the lead, in order; `reserved_through` is what the portal was shown last.
    """

    model_config = ConfigDict(frozen=True)

    partner_id: str
    realtor: Person
    client: Person
    key: str
    lead_id: str
    status: str
    reserved_through: str | None
    sms: int
    requests: tuple[str, ...] = ()


class Expected(BaseModel):
    """What the snapshot holds. `taken_at` is business time; `letters` are the ids of the open dead letters."""

    model_config = ConfigDict(frozen=True)

    taken_at: datetime
    stories: dict[str, Story]
    letters: tuple[str, ...]


# --- databases


def dump_database(url: str, path: Path) -> None:
    """The whole database as SQL, its alembic revision included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The key guards psql's meta-commands in a dump from a stranger. A fixed one leaves an unchanged dump unchanged.
    options = ["--no-owner", "--no-privileges", "--restrict-key=truce", f"--file={path}"]
    subprocess.run([BINARIES / "pg_dump", *options, url], check=True)


def restore_database(path: Path, url: str) -> None:
    """Into an empty database; the user of `url` owns all of it."""
    options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    subprocess.run([BINARIES / "psql", *options, f"--file={path}", url], check=True)


# --- Kafka


async def dump_topics(bootstrap: str, portal: str, folder: Path) -> None:
    """Topics with their settings, every record in its place, and how far each group has read."""
    specs = {spec.name: spec for spec in topic_specs([portal])}
    topics = [
        {"name": name, "partitions": spec.partitions, "config": dict(sorted(spec.config.items()))}
        for name, spec in sorted(specs.items())
    ]
    write_json(folder / TOPICS, topics)
    _write_lines(folder / RECORDS, await _all_records(bootstrap, sorted(specs)))
    write_json(folder / OFFSETS, await _committed(bootstrap))


async def _all_records(bootstrap: str, topics: list[str]) -> list[dict[str, Any]]:
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=MAX_BYTES
    )
    await consumer.start()
    found = []
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        async with asyncio.timeout(60):
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found.extend(records)
    finally:
        await consumer.stop()
    found.sort(key=lambda record: (record.topic, record.partition, record.offset))
    expected: dict[tuple[str, int], int] = defaultdict(int)
    for record in found:
        place = (record.topic, record.partition)
        # Then a record that is put back gets the offset it had, and so the offsets of groups keep their meaning.
        assert record.offset == expected[place], f"{place} has a gap before {record.offset}"
        expected[place] += 1
    return [
        {
            "topic": record.topic,
            "partition": record.partition,
            "key": _text(record.key),
            "headers": [[name, _text(value)] for name, value in record.headers],
            "value": _text(record.value),
        }
        for record in found
    ]


async def _committed(bootstrap: str) -> dict[str, dict[str, dict[str, int]]]:
    """Group → topic → partition → offset."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    offsets: dict[str, dict[str, dict[str, int]]] = {}
    try:
        for group, *_ in sorted(await admin.list_consumer_groups()):
            for partition, committed in sorted((await admin.list_consumer_group_offsets(group)).items()):
                of_topic = offsets.setdefault(group, {}).setdefault(partition.topic, {})
                of_topic[str(partition.partition)] = committed.offset
    finally:
        await admin.close()
    return offsets


async def restore_topics(folder: Path, bootstrap: str, *, offsets: bool) -> None:
    """Into a Kafka without topics. Without `offsets` every group reads everything from the start."""
    topics = json.loads((folder / TOPICS).read_text())
    settings = KafkaSettings.model_validate({"bootstrap_servers": bootstrap})
    await provision(settings, [TopicSpec(**topic) for topic in topics])
    await _put_back(bootstrap, _lines(folder / RECORDS))
    if offsets:
        for group, committed in json.loads((folder / OFFSETS).read_text()).items():
            await _commit(bootstrap, group, committed)


async def leave_old_marks(folder: Path, bootstrap: str, services: Iterable[str]) -> None:
    """Replays and discards on topic `partners`, one of each partner for each service, as versions before key
    `replay/…` published them: under the key of the original record, a discard with an empty value."""
    partners = [record for record in _lines(folder / RECORDS) if record["topic"] == PARTNERS]
    marks: list[dict[str, Any]] = []
    for record in partners:
        for service in services:
            marks.append({**record, "headers": [*record["headers"], ["replay", service]]})
            discard = f"{service} {uuid.uuid4()} discard"
            marks.append({**record, "headers": [["replay", discard]], "value": ""})
    await _put_back(bootstrap, marks)


async def unread(bootstrap: str, topic: str, groups: Iterable[str]) -> int:
    """How many records of a topic the groups have not committed yet."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
    finally:
        await consumer.stop()
    committed = await _committed(bootstrap)
    return sum(
        end - committed.get(group, {}).get(topic, {}).get(str(partition.partition), 0)
        for group in groups
        for partition, end in ends.items()
    )


async def _put_back(bootstrap: str, records: Iterable[Mapping[str, Any]]) -> None:
    # With the time of today: what is kept for thirty days must not go before it was read.
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, max_request_size=MAX_BYTES)
    await producer.start()
    try:
        sent = [
            await producer.send(
                record["topic"],
                _bytes(record["value"]),
                key=_bytes(record["key"]),
                headers=[(name, _bytes(value)) for name, value in record["headers"]],
                partition=record["partition"],
            )
            for record in records
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def _commit(bootstrap: str, group: str, committed: Mapping[str, Mapping[str, int]]) -> None:
    offsets = {
        TopicPartition(topic, int(partition)): offset
        for topic, of_topic in committed.items()
        for partition, offset in of_topic.items()
    }
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(offsets)
    finally:
        await consumer.stop()


def _text(content: bytes | None) -> str | dict[str, str] | None:
    """UTF-8 as it is, to be read by people; anything else in base64."""
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content or b"").decode()}


def _bytes(stored: str | Mapping[str, str] | None) -> bytes | None:
    if stored is None or isinstance(stored, str):
        return None if stored is None else stored.encode()
    return base64.b64decode(stored["base64"])


# --- simulators


def dump_simulator(name: str, data: Path, folder: Path) -> None:
    """The store of a simulator that is stopped, a document a line."""
    rows = Rows(data, f"{name}.sqlite")
    try:
        _write_lines(folder / f"{name}.jsonl", rows.load())
    finally:
        rows.close()


def restore_simulator(name: str, folder: Path, data: Path) -> None:
    """Before it starts."""
    rows = Rows(data, f"{name}.sqlite")
    try:
        for kind, key, body in _lines(folder / f"{name}.jsonl"):
            rows.put(kind, key, body)
    finally:
        rows.close()


# --- files


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def _write_lines(path: Path, contents: Iterable[Any]) -> None:
    path.write_text("".join(f"{json.dumps(content, ensure_ascii=False)}\n" for content in contents))


def _lines(path: Path) -> Iterator[Any]:
    with path.open() as lines:  # split at line feeds alone: a text may hold other separators
        for line in lines:
            yield json.loads(line)
