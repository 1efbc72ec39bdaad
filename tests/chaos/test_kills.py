"""Every service is killed again and again under a thousand leads: nothing is lost, and nothing happens twice."""

import asyncio
import os
import random
import signal
from collections import Counter

import pytest

from deploy.local.parts import SERVICES
from deploy.local.system import LocalSystem
from tests.chaos.checker import PARTNER_JOURNAL, Place, assert_exact, check
from tests.chaos.load import Load, onec_calls
from tests.e2e.world import World
from tests.process import until

pytestmark = [pytest.mark.infra, pytest.mark.timeout(600)]

LEADS = 1000
SECONDS = 25.0
KILLS = 5
# Three in one go: what a kill left in doubt at the provider is looked for during a minute, which they share.
SEEDS = [
    pytest.param((1, 2, 3), id="1-3"),
    *(pytest.param((seed,), id=str(seed), marks=pytest.mark.long) for seed in range(4, 11)),
]


@pytest.mark.parametrize("seeds", SEEDS)
async def test_no_lead_is_lost_or_doubled_when_each_service_is_killed_five_times(
    system: LocalSystem, world: World, seeds: tuple[int, ...]
) -> None:
    loads: dict[int, Load] = {}
    for seed in seeds:
        loads[seed] = await Load.prepare(world, "kills", seed, LEADS)
        async with asyncio.TaskGroup() as group:
            group.create_task(loads[seed].run([world], SECONDS))
            for service in SERVICES:
                group.create_task(_kill(system, service, random.Random(f"{service} {seed}")))

    before = loads[seeds[0]].calls_before
    reports = []
    for seed, load in loads.items():
        load.calls_before = None
        reports.append(await check(Place.of(system), world, load))
        assert_exact(reports[-1], seed)
    written = Counter(call["set"] for call in (await onec_calls(world))[before:] if call["committed"])
    assert written == {PARTNER_JOURNAL: sum(report.counts["journal entries"] for report in reports)}, f"seeds {seeds}"


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
