"""Ends of many reservations at one instant: a hundred thousand of a million open reservations.

The reservations service is compared with bare SQL on the same server, which changes, inserts and queues the same rows
in batches of 500 with the same commits.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaProducer

from chassis.decision import Cause
from chassis.envelope import encode
from contracts.verdicts import LeadConfirmed
from services.reservations.domain.history import Head, appended
from tests.bench.bed import OURS, PARTNER, Bed, Running

BATCH: Final = 500
FEW: Final = 10_000
OPENED: Final = 5_000
SEALED_CHARACTERS: Final = 290  # the length of a sealed client
DEADLINE_S: Final = 600.0

# Inserts `$1` reservations from the number `$2` on. Reservations with a number below `$3` end at `$4`, others later.
# Each history has one entry. The hashes are not valid, because nothing in this bench verifies them.
_FILL: Final = """
    WITH made AS (
        SELECT n, 'k1:' || lpad(to_hex(n), 64, '0') AS client_key, gen_random_uuid() AS lead_id
        FROM generate_series($2::bigint, $2::bigint + $1::bigint - 1) AS n
    ), streamed AS (
        INSERT INTO streams (key, sequence) SELECT client_key, 1 FROM made
    ), entries AS (
        INSERT INTO history (client_key, number, entry, hash) SELECT client_key, 1, repeat('x', 180), $6 FROM made
    ), headed AS (
        INSERT INTO heads (client_key, count, hash, seal) SELECT client_key, 1, $6, $6 FROM made
    )
    INSERT INTO reservations (reservation_id, lead_id, client_key, partner_id, client, opened_at, confirmed_at,
                              reserved_through, reserved_until, term, zone, term_set_on, next_due, next_step, status,
                              extensions, returns, earlier_terms, cause)
    SELECT gen_random_uuid(), lead_id, client_key, 'partner-1', repeat('e', $5), until - interval '180 days',
           until - interval '180 days', until::date, until, 'P6M', 'Europe/Moscow', (until - interval '180 days')::date,
           until, 0, 'live', 0, 0, '[]', jsonb_build_object('id', lead_id, 'correlation', lead_id, 'traceparent', NULL)
    FROM made, LATERAL (SELECT CASE WHEN n < $3 THEN $4::timestamptz
                               ELSE $4::timestamptz + interval '30 days' + n % 180 * interval '1 day' END AS until) u
"""
# The minimum of the same work: find due reservations, change them, insert history entries, queue events.
_FLOOR: Final = """
    WITH due AS (
        SELECT reservation_id, client_key, lead_id, reserved_until FROM reservations
        WHERE status = 'live' AND next_due <= $1 ORDER BY next_due LIMIT 500
    ), locked AS (
        UPDATE streams s SET sequence = s.sequence + 1 FROM due WHERE s.key = due.client_key RETURNING s.key
    ), ended AS (
        UPDATE reservations r SET status = 'expired', ended_at = r.reserved_until FROM due
        WHERE r.reservation_id = due.reservation_id RETURNING r.client_key
    ), entries AS (
        INSERT INTO history (client_key, number, entry, hash) SELECT client_key, 2, $2, $3 FROM due
    ), headed AS (
        UPDATE heads h SET count = 2, hash = $3, seal = $3 FROM due WHERE h.client_key = due.client_key
    ), queued AS (
        INSERT INTO outbox (event_id, owner, topic, key, headers, value)
        SELECT gen_random_uuid(), NULL, 'reservations', client_key, $4, convert_to($5, 'UTF8') FROM due
    )
    SELECT count(*) FROM ended
"""


def clocks(bed: Bed, open_: int, due: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Measure with `open_` open reservations, of which `due` end at one instant, and with ten thousand open ones."""
    few = _measured(bed, FEW, FEW // 2, report)
    full = _measured(bed, open_, due, report)
    floor = _floor(bed, open_, due, report)
    return {
        "bench": "clocks",
        "open": open_,
        "due": due,
        "sweep_s": round(full["sweep_s"], 2),
        "fired_per_s": round(due / full["sweep_s"]),
        "floor_fired_per_s": round(due / floor),
        "of_floor": round(floor / full["sweep_s"], 3),
        "open_10k_fired_per_s": round(FEW // 2 / few["sweep_s"]),
        "of_10k": round(due / full["sweep_s"] / (FEW // 2 / few["sweep_s"]), 3),
        "opened_per_s_at_10k": round(few["opened_per_s"]),
        "opened_per_s_at_full": round(full["opened_per_s"]),
        "resident_mb": full["resident_mb"],
    }


def _measured(bed: Bed, open_: int, due: int, report: Callable[[str], None]) -> dict[str, Any]:
    # The clock file exists for this run alone, and moves the clock when all rows are in place.
    clock = bed.folder / "clock.json"
    clock.write_text('{"shift_seconds": 0}')
    end = datetime.now(UTC) + timedelta(days=100)
    with bed.running(OURS, ("reservations",), {"ALLOW_CLOCK_SHIFT": "true"}) as running:
        try:
            report(f"clocks: filling {open_} reservations")
            asyncio.run(_fill(running, open_, due, end))
            before = running.resident_mb()["reservations"]
            opened_per_s = asyncio.run(_open(bed, running, open_))
            report(f"clocks: {open_} open: {opened_per_s:.0f} opened per second")
            past = json.dumps({"shift_seconds": timedelta(days=100, seconds=1).total_seconds()})
            sweep_s = asyncio.run(_swept(running, due, lambda: clock.write_text(past)))
            after = running.resident_mb()["reservations"]
            report(f"clocks: {open_} open: {due} ended in {sweep_s:.1f} s, {due / sweep_s:.0f} per second")
        finally:
            clock.unlink()
    resident = {"before": round(before, 1), "after": round(after, 1)}
    return {"sweep_s": sweep_s, "opened_per_s": opened_per_s, "resident_mb": resident}


def _floor(bed: Bed, open_: int, due: int, report: Callable[[str], None]) -> float:
    end = datetime.now(UTC) + timedelta(days=100)
    with bed.running(OURS, ()) as running:
        asyncio.run(_fill(running, open_, due, end))
        seconds = asyncio.run(_bare(running, due, end))
        report(f"clocks: floor: {due} ended in {seconds:.1f} s, {due / seconds:.0f} per second")
    return seconds


async def _fill(running: Running, open_: int, due: int, end: datetime) -> None:
    connection = await asyncpg.connect(running.databases["reservations"])
    for first in range(0, open_, 50_000):
        count = min(50_000, open_ - first)
        await connection.execute(_FILL, count, first, due, end, SEALED_CHARACTERS, "5a" * 32, timeout=600)
    # The clock jumps into another day, whose list would be taken during the measurement.
    await connection.execute(
        "INSERT INTO reservation_lists (list_id, day, published) VALUES (gen_random_uuid(), '9999-12-31', true)"
    )
    for table in ("reservations", "history", "heads", "streams"):
        await connection.execute(f"VACUUM ANALYZE {table}", timeout=600)
    await connection.execute("CHECKPOINT", timeout=600)
    await connection.close()


async def _open(bed: Bed, running: Running, already: int) -> float:
    """Publish `OPENED` more confirmed leads. Returns how many reservations per second the service opens."""
    now = datetime.now(UTC)
    leads = [
        LeadConfirmed(
            lead_id=uuid.uuid4(),
            client_key=f"k1:{already + number:064x}",
            partner_id=PARTNER,
            client="e" * SEALED_CHARACTERS,
            received_at=now,
            checked_at=now,
            confirmed_at=now,
        )
        for number in range(OPENED)
    ]
    connection = await asyncpg.connect(running.databases["reservations"])
    started = time.monotonic()
    await _publish(bed.kafka.bootstrap, leads)
    sql = "SELECT count(*) FROM (SELECT 1 FROM heads WHERE client_key >= $1 LIMIT $2) h"
    await _wait(running, connection, sql, OPENED, f"k1:{already:064x}", OPENED)
    await connection.close()
    return OPENED / (time.monotonic() - started)


async def _publish(bootstrap: str, leads: Sequence[LeadConfirmed]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5) as producer:
        sent = []
        for lead in leads:
            cause = Cause(str(lead.lead_id), str(lead.lead_id))
            event = encode(lead, event_id=uuid.uuid4(), source="bench", at=lead.received_at, cause=cause, sequence=None)
            sent.append(await producer.send(event.topic, event.value, key=event.key.encode(), headers=event.headers))
        await asyncio.gather(*sent)


async def _swept(running: Running, due: int, begin: Callable[[], object]) -> float:
    """Seconds from `begin()`, which makes the reservations due, to the last event in the outbox."""
    connection = await asyncpg.connect(running.databases["reservations"])
    # The sequence of the outbox gives the number of events for free. Counting rows twenty times a second would cost as
    # much as the measured work.
    written = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_id_seq"
    before = await connection.fetchval(written)
    started = time.monotonic()
    begin()
    await _wait(running, connection, written, before + due)
    # The last rows have numbers from the sequence before their commit.
    await _wait(running, connection, "SELECT count(*) FROM reservations WHERE status = 'expired'", due)
    seconds = time.monotonic() - started
    events = await connection.fetchval("SELECT count(*) FROM history WHERE number = 2")
    assert events == due, f"{events} history entries instead of {due}"
    await connection.close()
    return seconds


async def _wait(running: Running, connection: Any, sql: str, wanted: int, *args: Any) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while await connection.fetchval(sql, *args) < wanted:
        running.must_live()
        if time.monotonic() > deadline:
            raise RuntimeError("the reservations are not processed in time")
        await asyncio.sleep(0.05)


async def _bare(running: Running, due: int, end: datetime) -> float:
    connection = await asyncpg.connect(running.databases["reservations"])
    await connection.execute("SET enable_seqscan = off")
    _, entry = appended(Head(), b"k", "k1:", {"at": end.isoformat(), "what": "expired", "lead": str(uuid.uuid4())})
    ended, started = 0, time.monotonic()
    while ended < due:
        # Values as long as the service's.
        ended += await connection.fetchval(_FLOOR, end, entry.text, entry.hash.hex(), "h" * 560, "v" * 900)
    seconds = time.monotonic() - started
    await connection.close()
    return seconds
