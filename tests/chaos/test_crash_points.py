"""Each service is killed at each named point of its code, at the 1st, 10th and 30th time that it gets there."""

import asyncio
import itertools
import signal
from functools import partial
from pathlib import Path

import pytest

from chassis import crash_points
from deploy.local.parts import PREFIXES, SERVICES
from deploy.local.system import LocalSystem
from tests.chaos.checker import assert_exact, check
from tests.chaos.idle import Servers
from tests.chaos.load import Load
from tests.e2e.harness import SystemHarness
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


async def test_every_lead_is_exact_at_whatever_point_its_services_are_killed(
    system: LocalSystem, harness: SystemHarness, tmp_path: Path
) -> None:
    loads: dict[int, Load] = {}
    for seed, (number, point) in enumerate(itertools.product(NUMBERS, POINTS), start=100):
        loads[seed] = await Load.prepare(harness, "points", seed, LEADS, on_topic=0.5)
        loads[seed].calls_before = None
        async with asyncio.TaskGroup() as group:
            group.create_task(loads[seed].run([harness], SECONDS))
            await until(partial(_has_begun, loads[seed]), "a lead is accepted")
            for service in POINTS[point]:
                group.create_task(_kill_at(system, service, point, number, tmp_path))
    for seed, load in loads.items():
        assert_exact(await check(Servers.of(system), harness, load), seed)


async def _has_begun(load: Load) -> bool | None:
    return True if load.accepted else None


async def _kill_at(system: LocalSystem, service: str, point: str, number: int, folder: Path) -> None:
    """Replace a service by an instance that ends at `point`, and start the service again after that.

    The services are replaced independently: an instance can need events of another service to get to its point.
    """
    await asyncio.to_thread(system.stop_program, service)
    environment = {**system.environment(service), "CRASH_AT": f"{point}:{number}"}
    log = folder / f"{service}-{point}-{number}.log"
    instance = await ServiceProcess.start(f"services.{service}", PREFIXES[service], environment, log, wait=False)

    async def ended() -> bool | None:
        return True if instance.process.poll() is not None else None

    try:
        await until(ended, f"{service} is killed at {point}:{number}")
        assert instance.process.returncode == -signal.SIGKILL, instance.log.read_text()[-3000:]
    finally:
        instance.end()
        await asyncio.to_thread(system.start_program, service)
