"""Clients at rest: what is saved is loaded again, also from the tables of the version before."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from chassis.decision import Cause, derived_id
from chassis.migrations import upgrade
from chassis.service import Database, Input, write_rows
from services.onec_gateway.domain.inputs import CheckOverdue, EnquirySeen, JournalEntered, Ruled, SaleSeen
from services.onec_gateway.domain.model import ClientState, Enquiry, Policy, Ruling, Sighting
from services.onec_gateway.domain.reservations import KnownReservation
from services.onec_gateway.domain.series import Place, Series
from services.onec_gateway.store.clients import ClientStore
from services.onec_gateway.store.mirror import Mirror
from tests.infra import DatabaseFactory
from tests.onec_gateway.conftest import MOSCOW
from tests.onec_gateway.driver import DomainDriver, held_client
from tests.onec_gateway.samples import DAY, KEY, MINUTE, NOON, SALE, UNTIL, answered, extended, lead_id, reinstatement
from tests.simulators.tests.processes import ROOT

pytestmark = pytest.mark.infra

SCRIPTS = ROOT / "services" / "onec_gateway" / "migrations"
WALK_IN = Enquiry("walk-in", NOON + DAY, "0000-000007")


@pytest.fixture
async def database(database_factory: DatabaseFactory) -> AsyncIterator[Database]:
    database = Database(database_factory("onec_gateway", lambda url: upgrade(url, SCRIPTS)), name="test", pool_size=1)
    yield database
    await database.close()


async def load(database: Database) -> ClientState:
    async with database.single() as tx:
        states = await ClientStore().load(tx, [Input(KEY, CheckOverdue(lead_id(1)), Cause("test", "test"))])
    return states[KEY]


async def save(database: Database, client: ClientState) -> None:
    changed = [rows for rows in ClientStore().save({KEY: (ClientState(KEY), client)}) if rows.values]
    async with database.single() as tx:
        for rows in changed:
            await write_rows(tx, rows)


def expired_with_a_request() -> DomainDriver:
    driver = held_client().apply(EnquirySeen(WALK_IN, NOON + DAY, NOON), NOON + DAY).apply(extended(), NOON + DAY)
    driver.apply(JournalEntered(lead_id(1), NOON + DAY), NOON + DAY).expire()
    return driver.apply(SaleSeen(SALE, NOON + DAY), NOON + DAY).apply(reinstatement(), UNTIL + DAY)


def ruled_within_the_skew() -> DomainDriver:
    driver = DomainDriver(Policy(clock_skew=timedelta(minutes=1))).submit(1).apply(answered(1, NOON), NOON + MINUTE)
    driver.apply(CheckOverdue(lead_id(1)), NOON + 10 * MINUTE)
    return driver.apply(Ruled(lead_id(1), Ruling(True, "Менеджер", "видел журнал")), NOON + DAY)


@pytest.mark.parametrize("make", [held_client, expired_with_a_request, ruled_within_the_skew])
async def test_client_is_loaded_as_it_was_saved(database: Database, make: Any) -> None:
    saved = make().client

    await save(database, saved)

    assert await load(database) == saved


async def test_fact_of_an_unknown_kind_stops_the_load(database: Database) -> None:
    async with database.single() as tx:
        await tx.execute("INSERT INTO facts (client_key, kind, ref, body) VALUES ($1, 'guess', '1', '{}')", KEY)

    with pytest.raises(ValueError, match="guess"):
        await load(database)


async def test_client_of_the_version_before_is_upgraded_and_can_be_downgraded(
    database_factory: DatabaseFactory,
) -> None:
    url = database_factory("onec_gateway_0004", lambda url: migrate(url, "0004"))
    connection = await asyncpg.connect(url)
    await connection.execute(OF_VERSION_0004)
    before = await dump(connection)

    await asyncio.to_thread(migrate, url, "head")

    database = Database(url, name="test", pool_size=1)
    client = await load(database)
    await database.close()
    assert client.leads[lead_id(1)].check_requested
    assert client.reservations == {
        lead_id(1): KnownReservation(lead_id(1), NOON, UNTIL, date(2026, 9, 14), journal_entered_at=NOON + MINUTE)
    }
    assert client.sightings == {
        "walk-in": Sighting(WALK_IN, NOON + DAY),
        "quiet": Sighting(Enquiry("quiet", NOON), NOON + DAY),
    }

    await asyncio.to_thread(migrate, url, "0004", command.downgrade)
    assert await dump(connection) == before
    await connection.close()


async def test_places_and_collisions_of_the_version_before_are_carried_over(database_factory: DatabaseFactory) -> None:
    url = database_factory("onec_gateway_0005", lambda url: migrate(url, "0005"))
    connection = await asyncpg.connect(url)
    await connection.execute(OF_VERSION_0005)

    await asyncio.to_thread(migrate, url, "head")

    database = Database(url, name="test", pool_size=1)
    client = await load(database)
    places = await Mirror(database, MOSCOW).places("enquiries")
    await database.close()
    assert places.by_series == {Series("0000-", 6, 2026): Place(7, NOON + DAY)}
    (collision,) = client.collisions.values()
    assert (collision.kind, collision.enquiry, collision.lead_id) == ("later", "walk-in", lead_id(1))
    assert (collision.first_seen_at, collision.seen_at) == (NOON + DAY, None)
    assert collision.id == derived_id(f"walk-in/{lead_id(1)}/later", "collision-detected.v1")

    await asyncio.to_thread(migrate, url, "0005", command.downgrade)
    (row,) = await connection.fetch("SELECT journal, number, at FROM watermarks")
    assert tuple(row) == ("enquiries", "0000-000007", NOON + DAY)
    assert await connection.fetchval("SELECT count(*) FROM facts WHERE kind <> 'sighting'") == 0
    await connection.close()


def migrate(url: str, revision: str, step: Callable[[Config, str], None] = command.upgrade) -> None:
    """Upgrade or downgrade to `revision`."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["url"] = url
    step(config, revision)


async def dump(connection: asyncpg.Connection) -> list[str]:
    return [
        str(row["t"])
        for table in ("leads", "terms", "facts")
        for row in await connection.fetch(f"SELECT to_jsonb(t) AS t FROM {table} t ORDER BY 1")
    ]


OF_VERSION_0004 = f"""
    INSERT INTO leads (lead_id, client_key, partner_id, client, received_at, number, cause, check_asked, enquiries,
                       status)
    VALUES ('{lead_id(1)}', '{KEY}', 'p1', 'sealed', '{NOON}', 1, '{{"id": "c", "correlation": "s"}}', true, '[]',
            'under-review');
    INSERT INTO terms (lead_id, client_key, confirmed_at, until, through, journal_at)
    VALUES ('{lead_id(1)}', '{KEY}', '{NOON}', '{UNTIL}', '2026-09-14', '{NOON + MINUTE}');
    INSERT INTO facts (client_key, kind, ref, body)
    SELECT '{KEY}', 'sighting', ref, jsonb_build_object(
        'enquiry', jsonb_build_object('ref', ref, 'date', dated, 'number', number, 'ours', false),
        'first_seen_at', '{(NOON + DAY).isoformat()}', 'not_there_at', null, 'was_dated', null, 'deleted', false,
        'told', told)
    FROM (VALUES ('walk-in', '{(NOON + DAY).isoformat()}', '0000-000007', '{lead_id(1)}/later'),
                 ('quiet', '{NOON.isoformat()}', '', '')) AS sighting (ref, dated, number, told);
"""
OF_VERSION_0005 = f"""
    INSERT INTO leads (lead_id, client_key, partner_id, client, received_at, number, cause, check_requested, enquiries,
                       status)
    VALUES ('{lead_id(1)}', '{KEY}', 'p1', 'sealed', '{NOON}', 1, '{{"id": "c", "correlation": "s"}}', true, '[]',
            'under-review');
    INSERT INTO facts (client_key, kind, ref, body) VALUES ('{KEY}', 'sighting', 'walk-in', jsonb_build_object(
        'enquiry', jsonb_build_object('ref', 'walk-in', 'date', '{(NOON + DAY).isoformat()}', 'number', '0000-000007',
                                      'ours', false),
        'first_seen_at', '{(NOON + DAY).isoformat()}', 'not_there_at', null, 'was_dated', null, 'deleted', false,
        'last_collision', '{lead_id(1)}/later'));
    INSERT INTO watermarks (journal, number, at) VALUES ('enquiries', '0000-000007', '{NOON + DAY}');
"""
