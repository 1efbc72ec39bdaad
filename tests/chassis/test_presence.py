"""Who is alive owns what it claimed; who is not, does not. Real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from chassis.database.presence import Presence
from chassis.migrations import upgrade
from tests.chassis.conftest import MIGRATIONS
from tests.process import until

pytestmark = pytest.mark.infra


@asynccontextmanager
async def alive(url: str, name: str) -> AsyncIterator[Presence]:
    presence = Presence(url, name)
    running = asyncio.create_task(presence.run())
    try:
        yield presence
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def identity(presence: Presence) -> int:
    async def taken() -> int | None:
        return presence.id

    return await until(taken, "an identity is taken")


async def claimed(connection: asyncpg.Connection, ref: str, owner: int) -> None:
    await connection.execute(
        "INSERT INTO work (kind, ref, key, payload, cause, owner) VALUES ('call', $1, $1, '{}', '{}', $2)", ref, owner
    )


async def until_freed(connection: asyncpg.Connection, ref: str) -> None:
    async def freed() -> bool | None:
        return await connection.fetchval("SELECT true FROM work WHERE ref = $1 AND owner IS NULL", ref) or None

    await until(freed, f"{ref} is freed")


async def test_what_a_dead_owner_claimed_is_freed_and_what_a_live_one_did_is_not(
    database_factory: Callable[..., str],
) -> None:
    url = await asyncio.to_thread(database_factory, "chassis-sample", lambda url: upgrade(url, MIGRATIONS))
    connection = await asyncpg.connect(url)
    async with alive(url, "one") as one, alive(url, "other") as other:
        await claimed(connection, "dead", 7)
        await claimed(connection, "live", await identity(one))
        await identity(other)
        await until_freed(connection, "dead")
        assert await connection.fetchval("SELECT owner FROM work WHERE ref = 'live'") == one.id
    await connection.close()


async def test_what_is_claimed_while_another_looks_for_the_dead_stays_with_its_owner(
    database_factory: Callable[..., str],
) -> None:
    """The one that looks is held up in the middle, as by a slow disk; meanwhile a new process comes and claims."""
    url = await asyncio.to_thread(database_factory, "chassis-sample", lambda url: upgrade(url, MIGRATIONS))
    connection, observer = await asyncpg.connect(url), await asyncpg.connect(url)
    await claimed(connection, "dead", 7)
    holding = connection.transaction()
    await holding.start()
    await connection.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")

    async def held_up() -> bool | None:
        found = await observer.fetchval(
            "SELECT true FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND application_name = 'looks presence'"
        )
        return found or None

    async with alive(url, "looks") as looks:
        await identity(looks)
        await until(held_up, "it is held up")
        async with alive(url, "claims") as claims:
            await claimed(observer, "new", owner := await identity(claims))
            await holding.commit()
            await until_freed(observer, "dead")
            assert await observer.fetchval("SELECT owner FROM work WHERE ref = 'new'") == owner
    await connection.close()
    await observer.close()
