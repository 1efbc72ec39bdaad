"""One 1C simulator for all tests of the gateway, emptied before each; and the gateway as a process."""

from collections.abc import AsyncIterator, Iterator
from zoneinfo import ZoneInfo

import httpx
import pytest

from services.onec_gateway.onec import mapping
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.journals import Journals
from tests.simulators.tests.processes import ONEC, PASSWORD, USER, OneCSim, started


@pytest.fixture(scope="session")
def onec_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with started(ONEC, tmp_path_factory.mktemp("onec"), CLOCK_FILE="") as (base, _):
        yield base


@pytest.fixture
def sim(onec_base: str) -> Iterator[OneCSim]:
    with httpx.Client(trust_env=False, timeout=20) as http:
        sim = OneCSim(onec_base, http)
        sim.post("reset")
        yield sim


@pytest.fixture
async def onec(sim: OneCSim) -> AsyncIterator[OneC]:
    client = OneC(f"{sim.base}/crm", USER, PASSWORD, concurrency=4)
    yield client
    await client.close()


@pytest.fixture
def journals(onec: OneC) -> Journals:
    return Journals(onec, mapping.load(), ZoneInfo("Europe/Moscow"))
