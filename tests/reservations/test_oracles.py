"""The builder's calendar beside two others: PostgreSQL's and dateutil's."""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from dateutil.relativedelta import relativedelta

from services.reservations.terms import Term

pytestmark = pytest.mark.infra

# Moved by an hour in spring and autumn, at midnight too, by half an hour, or not at all.
ZONES = (
    "Europe/Moscow",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
)
ANCHORS = 100_000
SIX_MONTHS = Term.parse("P6M")

# The day after the last, at its start. PostgreSQL's dates clamp to the month's end by themselves.
_ORACLE = """
    SELECT n, ((anchor AT TIME ZONE zone)::date + interval '6 months')::date AS through,
           (((anchor AT TIME ZONE zone)::date + interval '6 months')::date + 1)::timestamp AT TIME ZONE zone AS until
    FROM unnest($1::timestamptz[], $2::text[]) WITH ORDINALITY AS t (anchor, zone, n) ORDER BY n
"""


async def test_hundred_thousand_terms_end_as_postgresql_and_dateutil_say(postgres_admin_url: str) -> None:
    """Anchors over forty years, a tenth of them near a change of clocks, another at ends of months."""
    rng = random.Random(20261125)
    anchors, zones = [], []
    for n in range(ANCHORS):
        moment = datetime(2005, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(40 * 365 * 86400))
        if n % 10 == 0:
            moment = moment.replace(month=rng.choice((3, 4, 9, 10, 11)), day=rng.randint(1, 30))
        elif n % 10 == 1:
            moment = datetime(moment.year, 3, 1, tzinfo=UTC) - timedelta(hours=rng.randint(0, 48))
        anchors.append(moment)
        zones.append(rng.choice(ZONES))
    connection = await asyncpg.connect(postgres_admin_url)
    try:
        oracle = await connection.fetch(_ORACLE, anchors, zones)
    finally:
        await connection.close()

    for moment, name, row in zip(anchors, zones, oracle, strict=True):
        zone = ZoneInfo(name)
        through, until = SIX_MONTHS.end(moment, zone)
        assert through == row["through"] == moment.astimezone(zone).date() + relativedelta(months=6)
        assert until == row["until"]
        year = SIX_MONTHS.end(moment, zone, 2)[0]
        assert year == moment.astimezone(zone).date() + relativedelta(months=12)
