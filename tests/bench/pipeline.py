"""Leads through all four services: leads per second, latency, and processor time."""

import asyncio
import json
import random
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaProducer
from joserfc.jwk import ECKey

from chassis.decision import derived_id
from contracts.sealing import encrypt_to
from contracts.topics import PORTAL_REQUESTS
from deploy.local.parts import PORTAL
from tests.bench.bed import PARTNER, Bed, Cpu, Running, Variant
from tests.e2e.harness import invent

TOPIC = f"{PORTAL_REQUESTS}.{PORTAL}"
SLOWEST_PER_S = 10

# The rows that each program must store for every lead, by service and table.
KEPT = {
    "intake": {"requests": 1, "leads": 1, "inbox": 1},
    "onec_gateway": {"leads": 1, "holds": 1, "known_reservations": 1, "work": 2, "inbox": 2},
    "reservations": {"reservations": 1, "inbox": 1},
    "notifier": {"messages": 1, "attempts": 1, "work": 1, "inbox": 1},
}


@dataclass(frozen=True, slots=True)
class Lead:
    """A portal's request with a sealed client. `key` is its `ce_id`."""

    key: str
    value: bytes

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """CloudEvents headers with the present time."""
        return [
            ("ce_specversion", b"1.0"),
            ("ce_id", self.key.encode()),
            ("ce_type", b"submit-lead.v1"),
            ("ce_source", b"/portals/demo"),
            ("ce_time", datetime.now(UTC).isoformat().encode()),
        ]

    @property
    def lead_id(self) -> UUID:
        """The id that intake derives for the lead."""
        return derived_id(f"{PORTAL}/{self.key}", "lead")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one run."""

    leads_per_s: float
    cpu: Cpu


def invent_leads(bed: Bed, count: int, first: int = 0) -> list[Lead]:
    """`count` leads with different clients. `first` is the number of the first."""
    rng = random.Random(first)
    public = ECKey.import_key(json.loads(bed.secrets.public_key("unsealing_key")))
    consent = {"given_at": "2026-11-01T12:00:00+03:00", "advertising": False}
    leads = []
    for number in range(first, first + count):
        client = {"full_name": invent(rng).full_name, "phone": f"+7916{number:07d}"}
        sealed = encrypt_to(public, json.dumps(client, ensure_ascii=False).encode())
        body = {"partner_id": PARTNER, "client": sealed, "consent": consent}
        leads.append(Lead(f"lead-{number:09d}", json.dumps(body).encode()))
    return leads


def throughput(bed: Bed, variant: Variant, leads: Sequence[Lead]) -> Outcome:
    """Publish all leads at once. The run ends at the commit of the last SMS row."""
    with bed.running(variant) as running:
        outcome = asyncio.run(_throughput(running, leads))
        asyncio.run(_check_rows(running, variant, len(leads)))
    return outcome


def latency(bed: Bed, variant: Variant, leads: Sequence[Lead], rate_per_s: float) -> list[float]:
    """Milliseconds from the portal's produce to the commit of each SMS row, without the first tenth."""
    with bed.running(variant) as running:
        return asyncio.run(_latency(running, leads, rate_per_s))


async def _throughput(running: Running, leads: Sequence[Lead]) -> Outcome:
    before = running.cpu()
    started = time.time()
    await produce(running, leads)
    await until_sent(running, len(leads))
    used = running.cpu().since(before)
    committed = await _committed(running)
    return Outcome(len(leads) / (max(committed.values()) - started), used)


async def _latency(running: Running, leads: Sequence[Lead], rate_per_s: float) -> list[float]:
    sent_at: dict[UUID, float] = {}
    producer = AIOKafkaProducer(bootstrap_servers=running.bed.kafka.bootstrap, acks="all", linger_ms=0)
    await producer.start()
    try:
        started = time.monotonic()
        for number, lead in enumerate(leads):
            await asyncio.sleep(max(0.0, started + number / rate_per_s - time.monotonic()))
            sent_at[lead.lead_id] = time.time()
            await producer.send_and_wait(TOPIC, lead.value, key=lead.key.encode(), headers=lead.headers)
    finally:
        await producer.stop()
    await until_sent(running, len(leads))
    committed = await _committed(running)
    measured = islice(sent_at.items(), len(leads) // 10, None)
    return [(committed[lead_id] - at) * 1000 for lead_id, at in measured]


async def produce(running: Running, leads: Sequence[Lead]) -> None:
    """Publish leads on the portal's topic as fast as possible."""
    producer = AIOKafkaProducer(bootstrap_servers=running.bed.kafka.bootstrap, acks="all", max_batch_size=2**19)
    await producer.start()
    try:
        partitions = len(await producer.partitions_for(TOPIC))
        builders: dict[int, Any] = {}
        sent = []
        for lead in leads:
            partition = zlib.crc32(lead.key.encode()) % partitions
            while True:
                builder = builders.setdefault(partition, producer.create_batch())
                if builder.append(key=lead.key.encode(), value=lead.value, headers=lead.headers, timestamp=None):
                    break
                sent.append(await producer.send_batch(builders.pop(partition), TOPIC, partition=partition))
        sent += [await producer.send_batch(builder, TOPIC, partition=number) for number, builder in builders.items()]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def until_sent(running: Running, count: int) -> None:
    """Wait until the notifier has sent `count` messages. Some of them have a delivery report by then."""
    through = "SELECT count(*) FROM messages WHERE status IN ('sent', 'delivered')"
    deadline = time.monotonic() + 60 + count / SLOWEST_PER_S
    connection = await asyncpg.connect(running.databases["notifier"])
    try:
        while (sent := await connection.fetchval(through)) < count:
            running.must_live()
            if time.monotonic() > deadline:
                raise RuntimeError(f"only {sent} of {count} SMS were sent; see {running.bed.folder}")
            await asyncio.sleep(0.2)
    finally:
        await connection.close()


async def _committed(running: Running) -> dict[UUID, float]:
    connection = await asyncpg.connect(running.databases["notifier"])
    try:
        sql = "SELECT lead_id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 AS at FROM messages"
        return {row["lead_id"]: row["at"] for row in await connection.fetch(sql)}
    finally:
        await connection.close()


async def _check_rows(running: Running, variant: Variant, leads: int) -> None:
    """Raise RuntimeError unless the variant has stored every row of `KEPT` for every lead within some seconds."""
    for service, tables in KEPT.items():
        connection = await asyncpg.connect(running.databases[service])
        try:
            for table, each in tables.items():
                for _ in range(100):
                    if (found := await connection.fetchval(f"SELECT count(*) FROM {table}")) == each * leads:
                        break
                    await asyncio.sleep(0.1)
                else:
                    raise RuntimeError(f"{variant.name}: {found} rows in {service}.{table}, {each * leads} expected")
        finally:
            await connection.close()
