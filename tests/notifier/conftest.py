"""The SMS simulator as the process it is, and the adapter that talks to it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

import services.notifier
from chassis.migrations import upgrade
from services.notifier.providers.smsc import Smsc
from tests.infra import DatabaseFactory
from tests.notifier.world import World
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
def world(fresh_topics: str, database_factory: DatabaseFactory, sms: Sim, tmp_path: Path) -> Iterator[World]:
    database = database_factory("notifier", lambda url: upgrade(url, MIGRATIONS))
    made = World(fresh_topics, database, sms, tmp_path)
    yield made
    made.stop()
