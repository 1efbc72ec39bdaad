"""A live process keeps the rows that it claimed; those of a dead process are freed. Real PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from chassis.database.dead_owners import run_freeing
from chassis.database.pool import Database
from chassis.database.presence import Presence
from tests.process import until

pytestmark = pytest.mark.infra

LOCKED_S = 7.5
"""Longer than a heartbeat may take."""


@asynccontextmanager
async def running(url: str, name: str) -> AsyncIterator[Presence]:
    presence, database = Presence(url, name), Database(url, name=name)
    tasks = [asyncio.create_task(presence.run()), asyncio.create_task(run_freeing(database, presence))]
    try:
        yield presence
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await database.close()


async def identity(presence: Presence) -> int:
    async def taken() -> int | None:
        return presence.id

    return await until(taken, "the process has an identity")


async def insert_claimed(connection: asyncpg.Connection, ref: str, owner: int) -> None:
    await connection.execute(
        "INSERT INTO work (kind, ref, key, payload, cause, owner) VALUES ('call', $1, $1, '{}', '{}', $2)", ref, owner
    )


async def wait_until_freed(connection: asyncpg.Connection, ref: str) -> None:
    async def freed() -> bool | None:
        return await connection.fetchval("SELECT true FROM work WHERE ref = $1 AND owner IS NULL", ref) or None

    await until(freed, f"{ref} is freed")


async def test_rows_of_a_dead_owner_are_freed_and_rows_of_a_live_owner_are_not(sample_database: str) -> None:
    connection = await asyncpg.connect(sample_database)
    async with running(sample_database, "one") as one, running(sample_database, "other") as other:
        await insert_claimed(connection, "dead", 7)
        await insert_claimed(connection, "live", await identity(one))
        await identity(other)
        await wait_until_freed(connection, "dead")
        assert await connection.fetchval("SELECT owner FROM work WHERE ref = 'live'") == one.id
    await connection.close()


async def test_rows_claimed_during_a_search_for_dead_owners_stay_with_their_owner(sample_database: str) -> None:
    """The search is blocked between its two steps, as by a slow disk. Meanwhile a new process starts and claims."""
    connection, observer = await asyncpg.connect(sample_database), await asyncpg.connect(sample_database)
    await insert_claimed(connection, "dead", 7)
    holding = connection.transaction()
    await holding.start()
    await connection.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")

    async def blocked() -> bool | None:
        found = await observer.fetchval(
            "SELECT true FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND application_name = 'searches'"
        )
        return found or None

    async with running(sample_database, "searches") as searches:
        await identity(searches)
        await until(blocked, "the search is blocked")
        async with running(sample_database, "claims") as claims:
            await insert_claimed(observer, "new", owner := await identity(claims))
            await holding.commit()
            await wait_until_freed(observer, "dead")
            assert await observer.fetchval("SELECT owner FROM work WHERE ref = 'new'") == owner
    await connection.close()
    await observer.close()


@pytest.mark.parametrize("table", ["outbox", "work"])
async def test_a_locked_table_costs_no_process_its_identity(sample_database: str, table: str) -> None:
    connection = await asyncpg.connect(sample_database)
    async with running(sample_database, "one") as one:
        before = await identity(one)
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()

            async def locked_for_long() -> bool | None:
                return True if time.monotonic() - began > LOCKED_S else None

            await until(locked_for_long, f"{table} is locked for {LOCKED_S} s")
            assert one.id == before
            assert one.is_certain()
        await insert_claimed(connection, "dead", 7)
        await wait_until_freed(connection, "dead")
    await connection.close()


async def test_a_process_that_suspends_publishing_frees_its_events_and_keeps_its_work(sample_database: str) -> None:
    connection = await asyncpg.connect(sample_database)
    async with running(sample_database, "one") as one:
        owner = await identity(one)
        await insert_claimed(connection, "kept", owner)
        await connection.execute(
            "INSERT INTO outbox (event_id, owner, topic, key, headers, value)"
            " VALUES (gen_random_uuid(), $1, 't', 'k', '[]', '')",
            one.publisher_id,
        )

        one.suspend_publishing()

        async def freed() -> bool | None:
            return await connection.fetchval("SELECT true FROM outbox WHERE owner IS NULL") or None

        async def resumed() -> bool | None:
            return True if one.publisher_id is not None else None

        assert one.publisher_id is None
        await until(freed, "the event is freed")
        assert await connection.fetchval("SELECT owner FROM work") == owner == one.id
        one.resume_publishing()
        await until(resumed, "the process has a publisher's identity again")
    await connection.close()
