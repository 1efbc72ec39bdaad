"""Several instances of a service: frozen instances that continue late, and instances that start and end."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from deploy.local.parts import SERVICES
from deploy.local.system import LocalSystem
from tests.chaos.checker import assert_exact, check
from tests.chaos.idle import Servers
from tests.chaos.instances import Instances
from tests.chaos.load import Load
from tests.e2e.harness import SystemHarness

pytestmark = [pytest.mark.infra, pytest.mark.long, pytest.mark.timeout(600)]

FROZEN_S = 20.0  # longer than Kafka's session (10 s) and the chassis' lease of a process (15 s)
LONG = pytest.mark.long


@pytest.fixture
async def instances(system: LocalSystem, tmp_path: Path) -> AsyncIterator[Instances]:
    made = Instances(system, tmp_path)
    yield made
    await made.close()


@pytest.mark.parametrize(
    "frozen",
    [pytest.param(SERVICES, id="all"), *(pytest.param((service,), id=service, marks=LONG) for service in SERVICES)],
)
async def test_a_frozen_instance_has_no_effect_when_it_continues(
    system: LocalSystem, harness: SystemHarness, instances: Instances, frozen: Sequence[str]
) -> None:
    """A second instance takes over during the load. Then the first instance continues where it was frozen."""
    load = await Load.prepare(harness, "frozen-" + "-".join(service[:4] for service in frozen), 1, 400)
    pids = {service: system.pid(service) for service in frozen}
    running = asyncio.create_task(load.run(instances.intakes, FROZEN_S + 10))
    await asyncio.gather(*(instances.add(service) for service in frozen))
    try:
        _signal(pids, signal.SIGSTOP)
        await asyncio.sleep(FROZEN_S)
    finally:
        _signal(pids, signal.SIGCONT)
    await running

    assert_exact(await check(Servers.of(system), harness, load, intakes=instances.intakes), 1)
    for service in frozen:
        await asyncio.to_thread(system.wait_ready, service)


@pytest.mark.parametrize(
    ("seed", "leads", "seconds", "changes"),
    [(1, 300, 20.0, 8), *(pytest.param(seed, 1000, 60.0, 30, marks=LONG) for seed in (2, 3, 4))],
)
async def test_no_lead_is_lost_while_instances_start_and_end(
    system: LocalSystem,
    harness: SystemHarness,
    instances: Instances,
    seed: int,
    leads: int,
    seconds: float,
    changes: int,
) -> None:
    """Each service has one to three instances. Instances beside the first are started, terminated and killed."""
    rng = random.Random(f"members {seed}")
    load = await Load.prepare(harness, "members", seed, leads)
    running = asyncio.create_task(load.run(instances.intakes, seconds))
    for _ in range(changes):
        service = rng.choice(SERVICES)
        if instances.count(service) == 0 or (instances.count(service) == 1 and rng.random() < 0.5):
            await instances.add(service)
        else:
            await instances.remove(service, cleanly=rng.random() < 0.5)
        await asyncio.sleep(rng.uniform(0, seconds / changes))
    await running

    assert_exact(await check(Servers.of(system), harness, load), seed)


def _signal(pids: Mapping[str, int | None], number: signal.Signals) -> None:
    for service, pid in pids.items():
        assert pid is not None, f"{service} does not run"
        os.kill(pid, number)
