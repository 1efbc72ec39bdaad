"""Rows that the former version wrote are read after the migration, and are the former version's again after a
downgrade."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from chassis.decision import Cause
from chassis.service import Database, Input
from contracts.verdicts import ReinstatementConfirmed
from services.reservations.domain import verdicts
from services.reservations.domain.model import ClientState
from services.reservations.store.clients import ClientStore
from tests.infra import DatabaseFactory, in_thread
from tests.reservations.driver import KEY, LEAD, POLICY, SECRET, names
from tests.reservations.harness import MIGRATIONS

pytestmark = pytest.mark.infra

REQUEST = UUID(int=5)

# A reservation that was extended, reminded of and expired, and a return that the gateway decides on.
_FORMER = f"""
    INSERT INTO reservations (reservation_id, lead_id, client_key, partner_id, client, opened_at, confirmed_at,
                              reserved_through, reserved_until, rule, zone, since, next_due, next_step, told_step,
                              status, extensions, returns, ended_at, earlier, cause)
    VALUES (gen_random_uuid(), '{LEAD}', '{KEY}', 'p1', 'sealed', '2025-01-10 09:00Z', '2025-08-10 09:00Z',
            '2026-08-10', '2026-08-10 21:00Z', 'P6M', 'Europe/Moscow', '2026-02-01', '2026-08-10 21:00Z', 0, 1,
            'expired', 1, 2, '2026-08-10 21:00Z', '[["2025-01-10", "2025-07-10"]]',
            '{{"id": "c-1", "correlation": "c-1", "traceparent": null}}');
    INSERT INTO facts (client_key, kind, ref, value)
    VALUES ('{KEY}', 'request', '{REQUEST}', jsonb_build_object(
        'type', 'return-requested.v1', 'state', 'asked', 'until', NULL,
        'cause', '{{"id": "c-2", "correlation": "c-2", "traceparent": null}}'::jsonb,
        'message', jsonb_build_object(
            'lead_id', '{LEAD}', 'client_key', '{KEY}', 'partner_id', 'p1', 'request_id', '{REQUEST}',
            'portal', 'demo', 'portal_request_id', 'r-1', 'requested_at', '2026-09-01T09:00:00Z',
            'manager', 'manager-3', 'reason', 'ипотека')));
"""


def migrate(url: str, revision: str, *, down: bool = False) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    in_thread(lambda: (command.downgrade if down else command.upgrade)(config, revision))


@pytest.fixture
async def former(database_factory: DatabaseFactory) -> str:
    """A database of the former version with those rows; its URL."""
    url = database_factory()
    migrate(url, "0003")
    await execute(url, _FORMER)
    return url


async def execute(url: str, sql: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        if sql.lstrip().startswith("SELECT"):
            return list(await connection.fetch(sql))
        await connection.execute(sql)
        return []
    finally:
        await connection.close()


async def loaded(url: str) -> ClientState:
    database = Database(url, name="test", pool_size=1)
    try:
        async with database.single() as tx:
            return (await ClientStore(SECRET).load(tx, [Input(KEY, None, Cause("c-3", "c-3"))]))[KEY]
    finally:
        await database.close()


async def test_reinstatement_requested_before_the_upgrade_is_granted_after_it(former: str) -> None:
    migrate(former, "head")
    client = await loaded(former)
    before = client.reservations[LEAD]
    now = datetime(2026, 9, 2, 9, tzinfo=UTC)
    message = ReinstatementConfirmed(
        lead_id=LEAD, client_key=KEY, partner_id="p1", request_id=REQUEST, confirmed_at=now
    )

    decision = verdicts.reinstatement_confirmed(client, message, Cause("c-3", "c-3"), now, policy=POLICY)

    assert (before.term, before.previous_step, before.term_set_on.isoformat()) == ("P6M", 1, "2026-02-01")
    assert names([event.message for event in decision.events]) == ["ReservationReinstated"]
    after = decision.state.reservations[LEAD]
    assert [last.isoformat() for _, last in after.earlier_terms] == ["2025-07-10", "2026-08-10"]


async def test_downgrade_gives_the_former_names_back(former: str) -> None:
    rows = "SELECT to_jsonb(r) FROM reservations r UNION ALL SELECT to_jsonb(f) FROM facts f"
    before = await execute(former, rows)

    migrate(former, "0004")
    upgraded = await execute(former, rows)
    migrate(former, "0003", down=True)

    assert await execute(former, rows) == before != upgraded


async def test_a_client_parked_by_the_former_version_keeps_its_place_and_its_time(
    database_factory: DatabaseFactory,
) -> None:
    url = database_factory()
    migrate(url, "0004")
    await execute(
        url,
        f"INSERT INTO streams (key, parked_at) VALUES ('{KEY}', '2026-09-01T09:00:00Z');"
        f" INSERT INTO parked (key, token, record) VALUES ('{KEY}', '{REQUEST}', '{REQUEST}')",
    )

    migrate(url, "head")
    connection = await asyncpg.connect(url)
    upgraded = await connection.fetchrow("SELECT key, token, since, letter, reason FROM parked")
    await connection.execute("INSERT INTO parked (token, record) VALUES (gen_random_uuid(), gen_random_uuid())")
    await connection.close()
    migrate(url, "0004", down=True)
    connection = await asyncpg.connect(url)
    downgraded = await connection.fetch("SELECT key, token FROM parked")
    await connection.close()

    assert upgraded is not None
    assert tuple(upgraded) == (KEY, REQUEST, datetime(2026, 9, 1, 9, tzinfo=UTC), None, None)
    assert [tuple(row) for row in downgraded] == [(KEY, REQUEST)]


async def test_former_reservations_get_the_term_and_the_zone_that_the_service_has(
    database_factory: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = database_factory()
    migrate(url, "0002")
    await execute(
        url,
        f"""
        INSERT INTO reservations (reservation_id, lead_id, client_key, partner_id, client, confirmed_at,
                                  reserved_through, reserved_until, status, cause)
        VALUES (gen_random_uuid(), '{LEAD}', '{KEY}', 'p1', 'sealed', '2026-08-10 20:00Z', '2026-10-11',
                '2026-10-11 14:00Z', 'live', '{{"id": "c-1", "correlation": "c-1", "traceparent": null}}')
        """,
    )
    monkeypatch.setenv("RESERVATIONS_TERM", "P2M")
    monkeypatch.setenv("RESERVATIONS_TIME_ZONE", "Asia/Vladivostok")

    migrate(url, "head")

    reservation = (await loaded(url)).reservations[LEAD]
    assert (reservation.term, reservation.zone) == ("P2M", "Asia/Vladivostok")
    assert reservation.term_set_on.isoformat() == "2026-08-11"
