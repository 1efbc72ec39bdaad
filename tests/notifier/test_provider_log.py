"""One suite for the record of the providers' health in PostgreSQL and for its test double in memory."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Protocol

import pytest_asyncio

from chassis.service import Database, execute, rows
from services.notifier.domain.answers import DisabledFor
from services.notifier.provider_pool import ProviderLog
from services.notifier.store.providers import PostgresProviderLog
from tests.notifier.doubles import InMemoryProviderLog

NO_MONEY = DisabledFor("3", 300.0)


class Bed(Protocol):
    """A provider log, its clock, and what it has kept for the operator's command."""

    @property
    def log(self) -> ProviderLog: ...

    async def let_pass(self, seconds: float) -> None: ...
    async def kept(self, name: str) -> tuple[str | None, Decimal | None]: ...


class InMemoryBed:
    def __init__(self) -> None:
        self.log = InMemoryProviderLog()

    async def let_pass(self, seconds: float) -> None:
        self.log.now_s += seconds

    async def kept(self, name: str) -> tuple[str | None, Decimal | None]:
        return self.log.errors[name], self.log.balances.get(name)


class PostgresBed:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.log = PostgresProviderLog(database)

    async def let_pass(self, seconds: float) -> None:
        async with self._database.single() as tx:
            await execute(
                tx, "UPDATE providers SET disabled_until = disabled_until - make_interval(secs => $1)", seconds
            )

    async def kept(self, name: str) -> tuple[str | None, Decimal | None]:
        async with self._database.single() as tx:
            [row] = await rows(tx, "SELECT error, balance FROM providers WHERE name = $1", name)
        return row.error, row.balance


@pytest_asyncio.fixture
async def bed(memory_or_postgres: str | None) -> AsyncIterator[Bed]:
    if memory_or_postgres is None:
        yield InMemoryBed()
        return
    database = Database(memory_or_postgres, name="test")
    yield PostgresBed(database)
    await database.close()


async def disabled(bed: Bed) -> dict[str, DisabledFor]:
    """The disabled providers, their remaining time in tens of seconds."""
    return {name: DisabledFor(code, round(left_s, -1)) for name, (code, left_s) in (await bed.log.disabled()).items()}


async def test_a_disabled_provider_is_recorded_until_its_time_is_over(bed: Bed) -> None:
    await bed.log.record("smsc", disabled=NO_MONEY, balance=None, error="3")
    await bed.log.record("kannel", disabled=None, balance=None, error=None)

    assert await disabled(bed) == {"smsc": NO_MONEY}
    await bed.let_pass(200)
    assert await disabled(bed) == {"smsc": DisabledFor("3", 100.0)}
    await bed.let_pass(100)
    assert await disabled(bed) == {}


async def test_good_health_enables_a_provider_and_an_error_alone_does_not(bed: Bed) -> None:
    await bed.log.record("smsc", disabled=NO_MONEY, balance=None, error="3")
    await bed.log.record("smsc", disabled=None, balance=None, error="http-500")

    assert await disabled(bed) == {"smsc": NO_MONEY}
    await bed.log.record("smsc", disabled=None, balance=Decimal("7.50"), error=None)
    assert await disabled(bed) == {}


async def test_the_latest_error_code_disables_the_provider_anew(bed: Bed) -> None:
    await bed.log.record("smsc", disabled=DisabledFor("3", 60.0), balance=None, error="3")
    await bed.log.record("smsc", disabled=DisabledFor("2", 300.0), balance=None, error="2")

    assert await disabled(bed) == {"smsc": DisabledFor("2", 300.0)}


async def test_the_latest_error_and_the_last_known_balance_are_kept(bed: Bed) -> None:
    await bed.log.record("smsc", disabled=None, balance=Decimal("7.50"), error=None)
    assert await bed.kept("smsc") == (None, Decimal("7.50"))

    await bed.log.record("smsc", disabled=None, balance=None, error="http-500")
    assert await bed.kept("smsc") == ("http-500", Decimal("7.50"))
