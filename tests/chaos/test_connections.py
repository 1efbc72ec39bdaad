"""Connections to Kafka and PostgreSQL hang, are reset, and break in the middle: the services find their way back."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.local import Kafka, LocalSystem, Ports, Postgres
from deploy.local.errors import silent
from deploy.local.parts import PREFIXES, SERVICES
from deploy.local.postgres import create_databases
from tests.chaos.checker import Place, assert_exact, check
from tests.chaos.conftest import scratch
from tests.chaos.load import Load
from tests.chaos.proxy import Proxy
from tests.e2e.world import World
from tests.infra import run

pytestmark = [pytest.mark.infra, pytest.mark.long, pytest.mark.timeout(600)]

RATE = 15
BOTH = ("kafka", "postgres")
LONG = pytest.mark.long
WHICH = [pytest.param(BOTH, id="both"), *(pytest.param((server,), id=server, marks=LONG) for server in BOTH)]


class DistantKafka(Kafka):
    """It tells its clients to come through the proxy, whose port must be known before it starts."""

    advertised: int = 0

    def prepare(self, report: Callable[[str], None] = silent, cancelled: Callable[[], bool] = lambda: False) -> None:
        super().prepare(report, cancelled)
        file = self.folder / "server.properties"
        text = file.read_text()
        own = f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port},"
        assert own in text
        file.write_text(text.replace(own, f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.advertised},"))


@dataclass(frozen=True, slots=True)
class Distant:
    """A system, and the proxies through which everybody reaches its servers."""

    system: LocalSystem
    proxies: Mapping[str, Proxy]


@pytest.fixture(scope="module")
def distant(request: pytest.FixtureRequest) -> Iterator[Distant]:
    with scratch(request) as folder:
        yield from _distant(folder)


def _distant(folder: Path) -> Iterator[Distant]:
    postgres = Postgres(folder / "postgres", password=secrets.token_urlsafe(16))
    kafka = DistantKafka(folder / "kafka")
    proxies = {"kafka": Proxy(kafka.port), "postgres": Proxy(postgres.port)}
    kafka.advertised = proxies["kafka"].port
    passwords = {service: secrets.token_urlsafe(16) for service in SERVICES}
    urls = {
        f"{PREFIXES[service]}DATABASE_URL": f"postgresql://{service}:{password}"
        f"@127.0.0.1:{proxies['postgres'].port}/{service}"
        for service, password in passwords.items()
    }
    system = LocalSystem(
        folder / "system",
        Ports.free(),
        env={"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{proxies['kafka'].port}", **urls},
    )
    for proxy in proxies.values():
        proxy.start()
    try:
        kafka.start()
        postgres.start()
        run(create_databases(postgres.url(), passwords))
        system.start()
        yield Distant(system, proxies)
    finally:
        for proxy in proxies.values():
            proxy.heal()
        system.stop()
        kafka.stop()
        postgres.stop()
        for proxy in proxies.values():
            proxy.stop()


@pytest.fixture
async def world(distant: Distant) -> AsyncIterator[World]:
    met = World(distant.system.endpoints())
    yield met
    await met.close()


@pytest.mark.parametrize("servers", WHICH)
async def test_a_connection_that_hangs_without_closing_is_given_up_and_nothing_is_lost(
    distant: Distant, world: World, servers: Sequence[str]
) -> None:
    """What was on its way arrives when the line lives again, long after everybody has given it up."""

    async def hang() -> None:
        for server in servers:
            distant.proxies[server].stall()
        await asyncio.sleep(20)

    await _under(distant, world, "hangs-" + "-".join(servers), 28, hang())


@pytest.mark.parametrize("servers", WHICH)
async def test_connections_that_are_reset_again_and_again_lose_nothing(
    distant: Distant, world: World, servers: Sequence[str]
) -> None:
    rng = random.Random("reset")

    async def reset() -> None:
        for _ in range(8):
            for server in servers:
                distant.proxies[server].reset()
            await asyncio.sleep(rng.uniform(0.5, 2))

    await _under(distant, world, "reset-" + "-".join(servers), 16, reset())


@pytest.mark.parametrize("servers", WHICH)
async def test_connections_that_break_in_the_middle_of_a_message_lose_nothing(
    distant: Distant, world: World, servers: Sequence[str]
) -> None:
    rng = random.Random("cut")

    async def cut() -> None:
        for _ in range(5):
            for server in servers:
                distant.proxies[server].cut_after(rng.randint(2_000, 40_000))
            await asyncio.sleep(rng.uniform(1, 2))
            for proxy in distant.proxies.values():
                proxy.heal()
            await asyncio.sleep(rng.uniform(0.5, 2))

    await _under(distant, world, "cut-" + "-".join(servers), 20, cut())


async def _under(distant: Distant, world: World, name: str, seconds: float, trouble: Coroutine[Any, Any, None]) -> None:
    """Leads flow, trouble strikes, the lines heal: all is exact, without anybody's help."""
    load = await Load.prepare(world, name, 1, round(RATE * seconds))
    flow = asyncio.create_task(load.run([world], seconds))
    await asyncio.sleep(3)
    try:
        await trouble
    finally:
        for proxy in distant.proxies.values():
            proxy.heal()
    await flow

    assert_exact(await check(Place.of(distant.system), world, load), 1)
