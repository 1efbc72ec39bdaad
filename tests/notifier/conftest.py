"""The SMS simulator as the process it is, and the adapter that talks to it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from services.notifier.providers.smsc import Smsc
from tests.simulators.tests.processes import LOGIN, PSW, SMS, Sim, started


@pytest.fixture(scope="session")
def sms_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with started(SMS, tmp_path_factory.mktemp("sms"), CLOCK_FILE="") as (base, _):
        yield base


@pytest.fixture
def sms(sms_base: str) -> Iterator[Sim]:
    with httpx.Client(trust_env=False, timeout=20) as http:
        sim = Sim(sms_base, http)
        sim.post("reset")
        yield sim


@pytest_asyncio.fixture
async def smsc(sms: Sim) -> AsyncIterator[Smsc]:
    adapter = Smsc(sms.base, LOGIN, PSW)
    yield adapter
    await adapter.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
