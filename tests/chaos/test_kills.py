"""Every service is killed again and again under a thousand leads: nothing is lost, and nothing happens twice."""

import asyncio
import os
import random
import signal

import pytest

from deploy.local.parts import SERVICES
from deploy.local.system import LocalSystem
from tests.chaos.checker import Place, assert_exact, check
from tests.chaos.load import Load
from tests.e2e.world import World
from tests.process import until

pytestmark = [pytest.mark.infra, pytest.mark.timeout(420)]

LEADS = 1000
SECONDS = 25.0
KILLS = 5
SEEDS = [1, 2, 3, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(4, 11))]


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_lead_is_lost_or_doubled_when_each_service_is_killed_five_times(
    system: LocalSystem, world: World, seed: int
) -> None:
    load = await Load.prepare(world, "kills", seed, LEADS)

    async with asyncio.TaskGroup() as group:
        group.create_task(load.run([world], SECONDS))
        for service in SERVICES:
            group.create_task(_kill(system, service, random.Random(f"{service} {seed}")))

    assert_exact(await check(Place.of(system), world, load), seed)


async def _kill(system: LocalSystem, service: str, rng: random.Random) -> None:
    """At random moments while the leads flow. One that is not up at its moment is killed as soon as it is."""
    before = 0.0
    for at in sorted(rng.uniform(0, SECONDS) for _ in range(KILLS)):
        await asyncio.sleep(at - before)
        before = at
        pid = await _next_pid(system, service)
        os.kill(pid, signal.SIGKILL)

        async def gone(pid: int = pid) -> bool | None:
            return True if await asyncio.to_thread(system.pid, service) != pid else None

        await until(gone, f"{service} is gone")


async def _next_pid(system: LocalSystem, service: str) -> int:
    async def look() -> int | None:
        return await asyncio.to_thread(system.pid, service)

    return await until(look, f"{service} is started again")
