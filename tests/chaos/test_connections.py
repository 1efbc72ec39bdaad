"""Connections to Kafka and PostgreSQL hang, are reset or break: the services recover by themselves."""

import asyncio
import random
import secrets
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.local.errors import no_report
from deploy.local.kafka import Kafka
from deploy.local.parts import PREFIXES, SERVICES
from deploy.local.postgres import Postgres, create_databases
from deploy.local.program import never
from deploy.local.system import LocalSystem
from tests.chaos.checker import assert_exact, check
from tests.chaos.idle import Servers
from tests.chaos.load import Load
from tests.chaos.proxy import Proxy
from tests.e2e.harness import SystemHarness
from tests.infra import run
from tests.systems import running_system, scratch_folder

pytestmark = [pytest.mark.infra, pytest.mark.long, pytest.mark.timeout(600)]

RATE = 15
BOTH = ("kafka", "postgres")
LONG = pytest.mark.long
WHICH = [pytest.param(BOTH, id="both"), *(pytest.param((server,), id=server, marks=LONG) for server in BOTH)]


class ProxiedKafka(Kafka):
    """A Kafka that advertises the port of a proxy, which must be set before the start."""

    advertised: int = 0

    def prepare(self, report: Callable[[str], None] = no_report, cancelled: Callable[[], bool] = never) -> None:
        super().prepare(report, cancelled)
        file = self.folder / "server.properties"
        text = file.read_text()
        own = f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port},"
        assert own in text
        file.write_text(text.replace(own, f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.advertised},"))


@dataclass(frozen=True, slots=True)
class ProxiedSystem:
    """A system, and the proxies between its servers and all of their clients: `kafka` and `postgres`."""

    system: LocalSystem
    proxies: Mapping[str, Proxy]


@pytest.fixture(scope="module")
def proxied(request: pytest.FixtureRequest) -> Iterator[ProxiedSystem]:
    with scratch_folder(request) as folder:
        yield from _proxied(folder)


@pytest.fixture(scope="module")
def system(proxied: ProxiedSystem) -> LocalSystem:
    return proxied.system


def _proxied(folder: Path) -> Iterator[ProxiedSystem]:
    postgres = Postgres(folder / "postgres", password=secrets.token_urlsafe(16))
    kafka = ProxiedKafka(folder / "kafka")
    proxies = {"kafka": Proxy(kafka.port), "postgres": Proxy(postgres.port)}
    kafka.advertised = proxies["kafka"].port
    passwords = {service: secrets.token_urlsafe(16) for service in SERVICES}
    urls = {
        f"{PREFIXES[service]}DATABASE_URL": f"postgresql://{service}:{password}"
        f"@127.0.0.1:{proxies['postgres'].port}/{service}"
        for service, password in passwords.items()
    }
    kafka_url = f"127.0.0.1:{proxies['kafka'].port}"
    for proxy in proxies.values():
        proxy.start()
    try:
        kafka.start()
        postgres.start()
        run(create_databases(postgres.url(), passwords))
        with running_system(folder / "system", KAFKA_BOOTSTRAP_SERVERS=kafka_url, **urls) as system:
            try:
                yield ProxiedSystem(system, proxies)
            finally:
                for proxy in proxies.values():
                    proxy.heal()
    finally:
        kafka.stop()
        postgres.stop()
        for proxy in proxies.values():
            proxy.stop()


@pytest.mark.parametrize("servers", WHICH)
async def test_when_connections_hang_without_closing_no_lead_is_lost(
    proxied: ProxiedSystem, harness: SystemHarness, servers: Sequence[str]
) -> None:
    """The data that was on its way arrives 20 s later, when both sides have already given up the connection."""

    async def hang() -> None:
        for server in servers:
            proxied.proxies[server].stall()
        await asyncio.sleep(20)

    await _run_load(proxied, harness, "hangs-" + "-".join(servers), 28, hang())


@pytest.mark.parametrize("servers", WHICH)
async def test_when_connections_are_reset_again_and_again_no_lead_is_lost(
    proxied: ProxiedSystem, harness: SystemHarness, servers: Sequence[str]
) -> None:
    rng = random.Random("reset")

    async def reset() -> None:
        for _ in range(8):
            for server in servers:
                proxied.proxies[server].reset()
            await asyncio.sleep(rng.uniform(0.5, 2))

    await _run_load(proxied, harness, "reset-" + "-".join(servers), 16, reset())


@pytest.mark.parametrize("servers", WHICH)
async def test_when_connections_break_in_the_middle_of_a_message_no_lead_is_lost(
    proxied: ProxiedSystem, harness: SystemHarness, servers: Sequence[str]
) -> None:
    rng = random.Random("cut")

    async def cut() -> None:
        for _ in range(5):
            for server in servers:
                proxied.proxies[server].cut_after(rng.randint(2_000, 40_000))
            await asyncio.sleep(rng.uniform(1, 2))
            for proxy in proxied.proxies.values():
                proxy.heal()
            await asyncio.sleep(rng.uniform(0.5, 2))

    await _run_load(proxied, harness, "cut-" + "-".join(servers), 20, cut())


async def _run_load(
    proxied: ProxiedSystem, harness: SystemHarness, name: str, seconds: float, trouble: Coroutine[Any, Any, None]
) -> None:
    """Run a load during the faults of `trouble`, heal the proxies, and check the whole result."""
    load = await Load.prepare(harness, name, 1, round(RATE * seconds))
    running = asyncio.create_task(load.run([harness], seconds))
    await asyncio.sleep(3)
    try:
        await trouble
    finally:
        for proxy in proxied.proxies.values():
            proxy.heal()
    await running

    assert_exact(await check(Servers.of(proxied.system), harness, load), 1)
