"""Each service killed at each named place, at the first message of a batch, in its middle and at its end: exact."""

import asyncio
import itertools
import signal
from functools import partial
from pathlib import Path

import pytest

from chassis import crash_points
from deploy.local.parts import PREFIXES, SERVICES
from deploy.local.system import LocalSystem
from tests.chaos.checker import Place, assert_exact, check
from tests.chaos.load import Load
from tests.e2e.world import World
from tests.process import ServiceProcess, until

pytestmark = [pytest.mark.infra, pytest.mark.long, pytest.mark.timeout(1800)]

LEADS, SECONDS = 250, 25.0
NUMBERS = (1, 10, 30)
POINTS = {
    crash_points.COMMITTED: SERVICES,
    crash_points.PUBLISHED: SERVICES,
    crash_points.HANDLED: SERVICES,
    crash_points.CALLED: ("onec_gateway", "notifier"),
}


async def test_every_lead_is_exact_wherever_its_services_were_killed(
    system: LocalSystem, world: World, tmp_path: Path
) -> None:
    loads: dict[int, Load] = {}
    for seed, (number, point) in enumerate(itertools.product(NUMBERS, POINTS), start=100):
        loads[seed] = await Load.prepare(world, "points", seed, LEADS, on_topic=0.5)
        loads[seed].calls_before = None
        async with asyncio.TaskGroup() as group:
            group.create_task(loads[seed].run([world], SECONDS))
            await until(partial(_flows, loads[seed]), "leads flow")
            for service in POINTS[point]:
                group.create_task(_kill_at(system, service, point, number, tmp_path))
    for seed, load in loads.items():
        assert_exact(await check(Place.of(system), world, load), seed)


async def _flows(load: Load) -> bool | None:
    return True if load.taken else None


async def _kill_at(system: LocalSystem, service: str, point: str, number: int, folder: Path) -> None:
    """In the place of a service one that ends at `point`, and then the service again.

    Each comes back by itself: what one needs to come to its point may be another's to tell.
    """
    await asyncio.to_thread(system.stop_program, service)
    environment = {**system.environment(service), "CRASH_AT": f"{point}:{number}"}
    log = folder / f"{service}-{point}-{number}.log"
    one = await ServiceProcess.start(f"services.{service}", PREFIXES[service], environment, log, wait=False)

    async def ended() -> bool | None:
        return True if one.process.poll() is not None else None

    try:
        await until(ended, f"{service} is killed at {point}:{number}")
        assert one.process.returncode == -signal.SIGKILL, one.log.read_text()[-3000:]
    finally:
        one.end()
        await asyncio.to_thread(system.start_program, service)
