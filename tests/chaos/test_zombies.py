"""More than one instance of a service: frozen ones that wake up late, and members that come and go."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from deploy.local.parts import SERVICES
from deploy.local.system import LocalSystem
from tests.chaos.checker import Place, assert_exact, check
from tests.chaos.company import Company
from tests.chaos.load import Load
from tests.e2e.world import World

pytestmark = [pytest.mark.infra, pytest.mark.long, pytest.mark.timeout(600)]

FROZEN_S = 20.0  # longer than Kafka's session (10 s) and the database's patience with a silent one (15 s)
LONG = pytest.mark.long


@pytest.fixture
async def company(system: LocalSystem, tmp_path: Path) -> AsyncIterator[Company]:
    made = Company(system, tmp_path)
    yield made
    await made.end()


@pytest.mark.parametrize(
    "frozen",
    [pytest.param(SERVICES, id="all"), *(pytest.param((service,), id=service, marks=LONG) for service in SERVICES)],
)
async def test_whatever_a_frozen_instance_does_when_it_wakes_up_does_nothing(
    system: LocalSystem, world: World, company: Company, frozen: Sequence[str]
) -> None:
    """A second instance takes over in the middle of the stream; then the first goes on where it was."""
    load = await Load.prepare(world, "frozen-" + "-".join(service[:4] for service in frozen), 1, 400)
    pids = {service: system.pid(service) for service in frozen}
    flow = asyncio.create_task(load.run(company.doors, FROZEN_S + 10))
    await asyncio.gather(*(company.join(service) for service in frozen))
    try:
        _signal(pids, signal.SIGSTOP)
        await asyncio.sleep(FROZEN_S)
    finally:
        _signal(pids, signal.SIGCONT)
    await flow

    assert_exact(await check(Place.of(system), world, load, doors=company.doors), 1)
    for service in frozen:
        await asyncio.to_thread(system.wait_ready, service)


@pytest.mark.parametrize(
    ("seed", "leads", "seconds", "changes"),
    [(1, 300, 20.0, 8), *(pytest.param(seed, 1000, 60.0, 30, marks=LONG) for seed in (2, 3, 4))],
)
async def test_instances_may_come_and_go_while_leads_flow(
    system: LocalSystem, world: World, company: Company, seed: int, leads: int, seconds: float, changes: int
) -> None:
    """One to three instances of each service; those beside the first are started, terminated and killed."""
    rng = random.Random(f"members {seed}")
    load = await Load.prepare(world, "members", seed, leads)
    flow = asyncio.create_task(load.run(company.doors, seconds))
    for _ in range(changes):
        service = rng.choice(SERVICES)
        if company.size(service) == 0 or (company.size(service) == 1 and rng.random() < 0.5):
            await company.join(service)
        else:
            await company.leave(service, cleanly=rng.random() < 0.5)
        await asyncio.sleep(rng.uniform(0, seconds / changes))
    await flow

    assert_exact(await check(Place.of(system), world, load), seed)


def _signal(pids: Mapping[str, int | None], number: signal.Signals) -> None:
    for service, pid in pids.items():
        assert pid is not None, f"{service} does not run"
        os.kill(pid, number)
