"""The builder's calendar compared with PostgreSQL's and dateutil's."""

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given, settings
from hypothesis import strategies as st

from services.reservations.domain.terms import Term

pytestmark = pytest.mark.infra

# Zones that change their clocks by an hour, at midnight, by half an hour, or not at all.
ZONES = (
    "Europe/Moscow",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
)
AT_ONCE = 500
SIX_MONTHS = Term.parse("P6M")

# The last day, and the start of the day after it. PostgreSQL clamps dates to the end of the month as well.
_ORACLE = """
    SELECT n, ((anchor AT TIME ZONE zone)::date + interval '6 months')::date AS through,
           (((anchor AT TIME ZONE zone)::date + interval '6 months')::date + 1)::timestamp AT TIME ZONE zone AS until
    FROM unnest($1::timestamptz[], $2::text[]) WITH ORDINALITY AS t (anchor, zone, n) ORDER BY n
"""


def _anchor(chance: bytes) -> tuple[datetime, str]:
    """Return an anchor within forty years, often near a clock change, the end of a month or a leap day."""
    number, where = int.from_bytes(chance[:6], "big"), int.from_bytes(chance[6:8], "big")
    zone, kind = ZONES[where % len(ZONES)], where // len(ZONES) % 4
    moment = datetime(2005, 1, 1, tzinfo=UTC) + timedelta(seconds=number % (40 * 365 * 86400))
    # Local days begin up to twelve hours before or after those of UTC.
    near = timedelta(seconds=number % (3 * 86400)) - timedelta(days=1, hours=12)
    match kind:
        case 1:
            moment = datetime(moment.year, (3, 4, 9, 10, 11)[number % 5], moment.day % 30 + 1, tzinfo=UTC) + near
        case 2:
            moment = datetime(moment.year, moment.month, 1, tzinfo=UTC) + near
        case 3:
            moment = datetime(moment.year // 4 * 4, 2, 29, tzinfo=UTC) + near
    return moment, zone


_MANY = st.binary(min_size=8 * AT_ONCE, max_size=8 * AT_ONCE).map(
    lambda chances: [_anchor(chances[first : first + 8]) for first in range(0, len(chances), 8)]
)


@pytest.mark.parametrize("anchors", [10_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_terms_end_as_in_postgresql_and_dateutil(postgres_admin_url: str, anchors: int) -> None:
    """Hypothesis draws the bytes of many anchors at once: drawing the anchors one by one takes minutes."""
    seen = 0

    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(postgres_admin_url))

        @settings(max_examples=anchors // AT_ONCE, deadline=None)
        @given(_MANY)
        def agree(drawn: list[tuple[datetime, str]]) -> None:
            nonlocal seen
            moments, zones = [moment for moment, _ in drawn], [zone for _, zone in drawn]
            oracle = runner.run(connection.fetch(_ORACLE, moments, zones))
            for moment, name, row in zip(moments, zones, oracle, strict=True):
                zone = ZoneInfo(name)
                through, until = SIX_MONTHS.end(moment, zone)
                assert through == row["through"] == moment.astimezone(zone).date() + relativedelta(months=6)
                assert until == row["until"]
                year = SIX_MONTHS.end(moment, zone, 2)[0]
                assert year == moment.astimezone(zone).date() + relativedelta(months=12)
            seen += len(drawn)

        agree()
        runner.run(connection.close())
    assert seen >= anchors
