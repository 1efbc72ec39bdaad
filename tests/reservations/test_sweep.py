"""The clock of many reservations at once: after an outage, and with kills in the middle."""

import asyncio
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from chassis.clock import advance
from chassis.limits import TIMER_BATCH, TIMER_BATCHES_AT_ONCE
from tests.process import until
from tests.reservations.harness import MOSCOW, Harness

pytestmark = [pytest.mark.infra, pytest.mark.timeout(600)]

DAY = timedelta(days=1)
LONG = pytest.mark.long

_FILL = """
    INSERT INTO reservations (reservation_id, lead_id, client_key, partner_id, client, opened_at, confirmed_at,
                              reserved_through, reserved_until, term, zone, term_set_on, next_due, next_step, status,
                              extensions, returns, earlier_terms, cause)
    SELECT gen_random_uuid(), gen_random_uuid(), 'k1:' || lpad(to_hex($1 + n), 64, '0'), 'anna', 'sealed',
           $2::timestamptz - interval '180 days', $2::timestamptz - interval '180 days', $3, $2, 'P6M', 'Europe/Moscow',
           ($2::timestamptz - interval '180 days')::date, $4, $5, 'live', 0, 0, '[]',
           jsonb_build_object('id', gen_random_uuid(), 'correlation', 'c-1', 'traceparent', NULL)
    FROM generate_series(1, $6::integer) AS n
"""


class Fill:
    """Inserts reservations as if they had been opened half a year ago."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._made = 0

    async def ending(self, until_: datetime, count: int) -> None:
        """Add `count` reservations that end at this instant and whose reminders were all sent."""
        await self._add(until_.astimezone(MOSCOW).date() - DAY, until_, until_, 0, count)

    async def reminded(self, on: date, left: int, count: int) -> None:
        """Add `count` reservations with a reminder due on this day, `left` days before their end."""
        through = on + left * DAY
        await self._add(through, _midnight(through + DAY), _midnight(on), left, count)

    async def _add(self, through: date, until_: datetime, due: datetime, step: int, count: int) -> None:
        await self._connection.execute(_FILL, self._made, until_, through, due, step, count)
        self._made += count


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=MOSCOW).astimezone(UTC)


@pytest.fixture
async def database(reservations: Harness) -> Any:
    connection = await asyncpg.connect(reservations.url)
    yield connection
    await connection.close()


async def swept(database: Any) -> None:
    """Wait until no reservation is due and the outbox is empty."""

    async def done() -> bool | None:
        now = datetime.now(UTC) + timedelta(days=3)
        due = await database.fetchval(
            "SELECT 1 FROM reservations WHERE status = 'live' AND next_due <= $1 LIMIT 1", now
        )
        waiting = await database.fetchval("SELECT 1 FROM outbox LIMIT 1")
        return True if due is None and waiting is None else None

    await until(done, "no reservation is due and the outbox is empty", deadline_s=300)


@pytest.mark.parametrize("each", [pytest.param(300, id="3000"), pytest.param(5000, id="50000", marks=LONG)])
async def test_after_a_three_day_outage_all_overdue_clocks_fire_once_oldest_first(
    reservations: Harness, database: Any, each: int
) -> None:
    """Reservations end on each of the three days. Reminders of a day that has passed are dropped, those of the day on
    which the service starts again are sent."""
    fill, today = Fill(database), datetime.now(MOSCOW).date()
    back = today + 3 * DAY
    for hour in range(6):
        await fill.ending(_midnight(today + DAY) + timedelta(hours=hour * 9), each)
    for left in (30, 7):
        await fill.reminded(today + 2 * DAY, left, each)
        await fill.reminded(back, left, each)
    advance(reservations.clock, "P3D", MOSCOW)

    await reservations.start()
    await swept(database)

    expired = await reservations.published("reservation-expired", 6 * each)
    assert len(expired) == 6 * each
    reminders = await reservations.published("reservation-expiring", 2 * each)
    assert Counter(one["days_left"] for one in reminders) == {30: each, 7: each}
    assert {date.fromisoformat(one["reserved_through"]) - one["days_left"] * DAY for one in reminders} == {back}
    texts = [row["entry"] for row in await database.fetch("SELECT entry FROM history")]
    assert len(texts) == 8 * each
    order = await database.fetch(
        "SELECT r.reserved_until FROM reservations r JOIN history h USING (client_key)"
        " WHERE r.status = 'expired' ORDER BY (h.entry::jsonb->>'at')::timestamptz"
    )
    ends = [row["reserved_until"] for row in order]
    # In order, except among the batches that are decided at the same time.
    apart = TIMER_BATCH * TIMER_BATCHES_AT_ONCE
    assert all(end <= in_order for end, in_order in zip(ends, sorted(ends)[apart:], strict=False))


@pytest.mark.parametrize("seed", [1, 2, 3, *(pytest.param(seed, marks=LONG) for seed in range(4, 21))])
async def test_sweep_killed_at_any_point_expires_each_reservation_once(
    reservations: Harness, database: Any, seed: int
) -> None:
    rng = random.Random(seed)
    fill, count = Fill(database), 3000
    await fill.ending(_midnight(datetime.now(MOSCOW).date() + DAY), count)
    advance(reservations.clock, "P3D", MOSCOW)

    for _ in range(4):
        instance = await reservations.start(wait=False)
        before = await _over(database)

        async def under_way(before: int = before) -> bool | None:
            over = await _over(database)
            return True if over > before or over == count else None

        await until(under_way, "the sweep makes progress", deadline_s=60)
        await asyncio.sleep(rng.uniform(0, 0.3))
        instance.kill()
    await reservations.start()
    await swept(database)

    assert await _over(database) == count
    assert await database.fetchval("SELECT count(*) FROM history") == count
    expired = await reservations.published("reservation-expired", count)
    assert len({event["lead_id"] for event in expired}) == len(expired) == count


async def _over(database: Any) -> int:
    found: int = await database.fetchval("SELECT count(*) FROM reservations WHERE status = 'expired'")
    return found
