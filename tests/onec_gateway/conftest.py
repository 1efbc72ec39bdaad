"""One 1C simulator for all tests of the gateway, emptied before each; and the gateway as a process."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from services.onec_gateway.onec import mapping
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.exchange import Exchange
from services.onec_gateway.onec.gate import Gate
from services.onec_gateway.onec.journals import Journals
from services.onec_gateway.onec.mapping import Mapping
from services.onec_gateway.onec.odata import WebServer
from services.onec_gateway.onec.search import Search
from services.onec_gateway.onec.throttle import Throttle
from services.onec_gateway.onec.verify import verify
from tests.infra import DatabaseFactory
from tests.onec_gateway.harness import Harness, running
from tests.simulators.tests.processes import ONEC, PASSWORD, USER, OneCSim, started

MOSCOW = ZoneInfo("Europe/Moscow")
MAPPINGS = Path(__file__).parent / "mappings"


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
def exchanges() -> list[Exchange]:
    return []


@pytest.fixture
async def onec(sim: OneCSim, exchanges: list[Exchange]) -> AsyncIterator[OneC]:
    client = connected(sim, exchanges)
    yield client
    await client.close()


@pytest.fixture(params=["register", "document"])
def names(request: pytest.FixtureRequest) -> Mapping:
    """Both ways of keeping the partner journal."""
    return mapping.load(MAPPINGS / "document.toml" if request.param == "document" else None)


@pytest.fixture
def search(onec: OneC) -> Search:
    return Search(onec, mapping.load(), MOSCOW)


@pytest.fixture
async def journals(onec: OneC, names: Mapping) -> Journals:
    verified = await verify(onec, names)
    assert verified.is_good, verified.problems
    return Journals(onec, Search(onec, names, MOSCOW), names, MOSCOW, verified.length)


@pytest.fixture
async def gateway(
    fresh_topics: str, database_factory: DatabaseFactory, sim: OneCSim, tmp_path: Path
) -> AsyncIterator[Harness]:
    """The gateway on real Kafka, real PostgreSQL and the simulator of 1C; no process of it runs yet."""
    async with running(fresh_topics, database_factory, sim, tmp_path) as harness:
        yield harness


def connected(
    sim: OneCSim,
    exchanges: list[Exchange],
    *,
    at_once: int = 4,
    timeout_s: float = 20.0,
    web_server: WebServer = "iis",
) -> OneC:
    """A client of the simulator; its exchanges go to the list."""
    return OneC(
        f"{sim.base}/crm",
        USER,
        PASSWORD,
        gate=Gate(Throttle(at_once, per_second=1000)),
        record=exchanges.append,
        web_server=web_server,
        connections=at_once,
        probe_set=mapping.load().clients.set,
        timeout_s=timeout_s,
    )
