"""Delay of a verdict's SMS, alone and on a morning when a hundred thousand reminders are due.

The notifier runs with a provider that accepts at once. The delay ends when the notifier has stored the outcome, a
little later than the provider's response.
"""

import asyncio
import statistics
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaProducer

from chassis.decision import Cause
from chassis.envelope import encode
from contracts.person import Person
from contracts.reservations import ReservationOpened
from contracts.sealing import Sealer
from services.notifier.domain import wording
from tests.bench.bed import OURS, PARTNER, Bed, Running

RATE: Final = 50.0
ALONE_S: Final = 30
SAMPLE_S: Final = 60
CONFIGURED_PER_S: Final = 20
DEADLINE_S: Final = 60.0
_SETTLED: Final = "SELECT lead_id, settled_at FROM messages WHERE lead_id = ANY($1::uuid[]) AND settled_at IS NOT NULL"
_REMINDED: Final = """
    SELECT count(*) FROM messages WHERE template = $1 AND settled_at >= $2 AND settled_at < $3
"""


def sms(bed: Bed, due: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Measure verdicts at 50 per second for half a minute, then for a minute while `due` reminders are due."""
    settings = {"NOTIFIER_QUIET_TEXTS_PER_SECOND": str(CONFIGURED_PER_S)}
    with bed.running(OURS, ("notifier",), settings) as running:
        alone = asyncio.run(_verdicts(bed, running, int(RATE * ALONE_S)))
        report(f"sms: alone: {len(alone)} verdicts, p99 {_p99(alone):.0f} ms")
        asyncio.run(_schedule(bed, running, due))
        started = datetime.now(UTC)
        among = asyncio.run(_verdicts(bed, running, int(RATE * SAMPLE_S)))
        reminded = asyncio.run(_reminded(running, started, started + timedelta(seconds=SAMPLE_S)))
        report(f"sms: among {due} reminders: p99 {_p99(among):.0f} ms, {reminded / SAMPLE_S:.1f} reminders per second")
        cpu = running.cpu().python["notifier"]
    return {
        "bench": "sms",
        "rate_per_s": int(RATE),
        "verdicts": len(alone),
        "p50_ms": round(statistics.median(alone), 1),
        "p99_ms": round(_p99(alone), 1),
        "due": due,
        "sample_s": SAMPLE_S,
        "configured_per_s": CONFIGURED_PER_S,
        "reminders_per_s": round(reminded / SAMPLE_S, 1),
        "among_reminders_p50_ms": round(statistics.median(among), 1),
        "among_reminders_p99_ms": round(_p99(among), 1),
        "notifier_cpu_s": round(cpu, 1),
    }


def _p99(ms: Sequence[float]) -> float:
    return statistics.quantiles(ms, n=100)[98]


async def _verdicts(bed: Bed, running: Running, count: int) -> list[float]:
    """Milliseconds from each event to the outcome of its SMS, at a steady rate."""
    sealer = Sealer(bed.secrets["sealing_keys"])
    events = [_opened(sealer) for _ in range(count)]
    sent: dict[uuid.UUID, datetime] = {}
    loop = asyncio.get_running_loop()
    async with AIOKafkaProducer(bootstrap_servers=bed.kafka.bootstrap) as producer:
        started, under_way = loop.time(), []
        for number, event in enumerate(events):
            await asyncio.sleep(max(0.0, started + number / RATE - loop.time()))
            cause = Cause(str(event.lead_id), str(event.lead_id))
            sent[event.lead_id] = now = datetime.now(UTC)
            out = encode(event, event_id=uuid.uuid4(), source="bench", at=now, cause=cause, sequence=None)
            under_way.append(await producer.send(out.topic, out.value, key=out.key.encode(), headers=out.headers))
        await asyncio.gather(*under_way)
    connection = await asyncpg.connect(running.databases["notifier"])
    deadline = loop.time() + DEADLINE_S
    while len(settled := await connection.fetch(_SETTLED, list(sent))) < count:
        running.must_live()
        if loop.time() > deadline:
            raise RuntimeError(f"only {len(settled)} of {count} SMS have an outcome; see {bed.folder}")
        await asyncio.sleep(0.5)
    await connection.close()
    return [(row["settled_at"] - sent[row["lead_id"]]) / timedelta(milliseconds=1) for row in settled]


def _opened(sealer: Sealer) -> ReservationOpened:
    lead_id, now = uuid.uuid4(), datetime.now(UTC)
    return ReservationOpened(
        lead_id=lead_id,
        client_key=f"k1:{uuid.uuid4().hex * 2}",
        partner_id=PARTNER,
        reservation_id=uuid.uuid4(),
        client=sealer.seal(Person.parse("Иванов Иван Иванович", "+79161234567"), str(lead_id)),
        confirmed_at=now,
        reserved_through=(now + timedelta(days=180)).date(),
        reserved_until=now + timedelta(days=180),
    )


async def _schedule(bed: Bed, running: Running, due: int) -> None:
    """Insert `due` reminders that are due now."""
    sealer, now = Sealer(bed.secrets["sealing_keys"]), datetime.now(UTC)
    client = Person.parse("Иванов Иван Иванович", "+79161234567")
    facts = '{"through": "24.05.2027", "days": "7"}'
    records = []
    for _ in range(due):
        lead_id = uuid.uuid4()
        sealed = sealer.seal(client, str(lead_id))
        records.append(
            (
                *(uuid.uuid4(), lead_id, f"k1:{uuid.uuid4().hex * 2}", PARTNER, str(wording.EXPIRING), sealed, facts),
                *(str(lead_id), 0, str(lead_id), now, now, now + timedelta(days=1), "scheduled", 0),
            )
        )
    connection = await asyncpg.connect(running.databases["notifier"])
    await connection.execute("CREATE TEMPORARY TABLE new (LIKE messages)")
    await connection.execute("ALTER TABLE new ALTER facts TYPE text")
    columns = (
        *("message_id", "lead_id", "client_key", "partner_id", "template", "client", "facts", "about", "place"),
        *("correlation", "created_at", "due_at", "valid_until", "status", "calls"),
    )
    await connection.copy_records_to_table("new", records=records, columns=columns)
    names = ", ".join(columns)
    values = names.replace("facts", "facts::jsonb")
    await connection.execute(f"INSERT INTO messages ({names}) SELECT {values} FROM new", timeout=120)
    await connection.execute("VACUUM ANALYZE messages", timeout=120)
    await connection.close()


async def _reminded(running: Running, since: datetime, until: datetime) -> int:
    connection = await asyncpg.connect(running.databases["notifier"])
    count: int = await connection.fetchval(_REMINDED, str(wording.EXPIRING), since, until)
    await connection.close()
    return count
