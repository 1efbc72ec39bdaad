"""The SMS simulator as a process of its own, the SMSC adapter connected to it, and the harness of the service."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

import services.notifier
from chassis.migrations import upgrade
from services.notifier.providers.smsc import Smsc
from tests.infra import DatabaseFactory
from tests.notifier.harness import Harness
from tests.simulators.tests.processes import LOGIN, PSW, SMS, Sim, started

MIGRATIONS = Path(services.notifier.__file__).parent / "migrations"


@pytest.fixture(scope="session")
def sms_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with started(SMS, tmp_path_factory.mktemp("sms"), CLOCK_FILE="") as (base, _):
        yield base


@pytest.fixture
def sms(sms_base: str) -> Iterator[Sim]:
    with httpx.Client(trust_env=False, timeout=20) as http:
        sim = Sim(sms_base, http)
        sim.post("reset")
        sim.post("callbacks", {"url": "", "secret": ""})
        yield sim


@pytest_asyncio.fixture
async def smsc(sms: Sim) -> AsyncIterator[Smsc]:
    adapter = Smsc(sms.base, LOGIN, PSW)
    yield adapter
    await adapter.close()


@pytest.fixture
def harness(fresh_topics: str, database_factory: DatabaseFactory, sms: Sim, tmp_path: Path) -> Iterator[Harness]:
    made = Harness(fresh_topics, _migrated(database_factory), sms, tmp_path)
    yield made
    made.stop()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.infra)])
def memory_or_postgres(request: pytest.FixtureRequest) -> str | None:
    """A test that runs twice, on a test double in memory (None) and on PostgreSQL (the URL of a migrated database)."""
    return None if request.param == "memory" else _migrated(request.getfixturevalue("database_factory"))


def _migrated(database_factory: DatabaseFactory) -> str:
    return database_factory("notifier", lambda url: upgrade(url, MIGRATIONS))
