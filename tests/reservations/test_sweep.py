"""The clock of many reservations at once: after an outage, and killed in the middle."""

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
from tests.reservations.conftest import MOSCOW, Reservations
from tests.topics import published

pytestmark = [pytest.mark.infra, pytest.mark.timeout(600)]

DAY = timedelta(days=1)
LONG = pytest.mark.long

_FILL = """
    INSERT INTO reservations (reservation_id, lead_id, client_key, partner_id, client, opened_at, confirmed_at,
                              reserved_through, reserved_until, rule, zone, since, next_due, next_step, status,
                              extensions, returns, earlier, cause)
    SELECT gen_random_uuid(), gen_random_uuid(), 'k1:' || lpad(to_hex($1 + n), 64, '0'), 'anna', 'sealed',
           $2::timestamptz - interval '180 days', $2::timestamptz - interval '180 days', $3, $2, 'P6M', 'Europe/Moscow',
           ($2::timestamptz - interval '180 days')::date, $4, $5, 'live', 0, 0, '[]',
           jsonb_build_object('id', gen_random_uuid(), 'correlation', 'story', 'traceparent', NULL)
    FROM generate_series(1, $6::integer) AS n
"""


class Fill:
    """Reservations as if they had been opened half a year ago."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._made = 0

    async def ending(self, until_: datetime, count: int) -> None:
        """So many that end at this instant and were reminded of."""
        await self._add(until_.astimezone(MOSCOW).date() - DAY, until_, until_, 0, count)

    async def reminded(self, on: date, left: int, count: int) -> None:
        """So many that are to be reminded of on this day, with so many days left."""
        through = on + left * DAY
        await self._add(through, _midnight(through + DAY), _midnight(on), left, count)

    async def _add(self, through: date, until_: datetime, due: datetime, step: int, count: int) -> None:
        await self._connection.execute(_FILL, self._made, until_, through, due, step, count)
        self._made += count


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=MOSCOW).astimezone(UTC)


@pytest.fixture
async def database(reservations: Reservations) -> Any:
    connection = await asyncpg.connect(reservations.url)
    yield connection
    await connection.close()


async def swept(database: Any) -> None:
    """Wait until nothing is due any more, and nothing is left to be told."""

    async def done() -> bool | None:
        now = datetime.now(UTC) + timedelta(days=3)
        due = await database.fetchval(
            "SELECT 1 FROM reservations WHERE status = 'live' AND next_due <= $1 LIMIT 1", now
        )
        waiting = await database.fetchval("SELECT 1 FROM outbox LIMIT 1")
        return True if due is None and waiting is None else None

    await until(done, "all that was due has fired", deadline_s=300)


@pytest.mark.parametrize("each", [pytest.param(300, id="3000"), pytest.param(5000, id="50000", marks=LONG)])
async def test_after_three_days_without_the_service_everything_overdue_fires_once_the_oldest_first(
    reservations: Reservations, database: Any, each: int
) -> None:
    """Ends on each of the days; reminders of days that are past, which nobody gets, and of the day it comes back."""
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

    expired = await reservations.heard("reservation-expired", 6 * each)
    assert len(expired) == 6 * each
    reminders = await reservations.heard("reservation-expiring", 2 * each)
    assert Counter(one["days_left"] for one in reminders) == {30: each, 7: each}
    assert {date.fromisoformat(one["reserved_through"]) - one["days_left"] * DAY for one in reminders} == {back}
    texts = [row["entry"] for row in await database.fetch("SELECT entry FROM history")]
    assert len(texts) == 8 * each
    order = await database.fetch(
        "SELECT r.reserved_until FROM reservations r JOIN history h USING (client_key)"
        " WHERE r.status = 'expired' ORDER BY (h.entry::jsonb->>'at')::timestamptz"
    )
    ends = [row["reserved_until"] for row in order]
    # By the batches that are under way at once.
    apart = TIMER_BATCH * TIMER_BATCHES_AT_ONCE
    assert all(end <= in_order for end, in_order in zip(ends, sorted(ends)[apart:], strict=False))


@pytest.mark.parametrize("seed", [1, 2, 3, *(pytest.param(seed, marks=LONG) for seed in range(4, 21))])
async def test_sweep_that_is_killed_anywhere_misses_nothing_and_repeats_nothing(
    reservations: Reservations, database: Any, seed: int
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

        await until(under_way, "the sweep goes on", deadline_s=60)
        await asyncio.sleep(rng.uniform(0, 0.3))
        instance.kill()
    await reservations.start()
    await swept(database)

    assert await _over(database) == count
    assert await database.fetchval("SELECT count(*) FROM history") == count
    told = await published(reservations.bootstrap, "reservations", "reservation-expired.v1", count)
    assert len({one["lead_id"] for one in told}) == len(told) == count


async def _over(database: Any) -> int:
    found: int = await database.fetchval("SELECT count(*) FROM reservations WHERE status = 'expired'")
    return found
