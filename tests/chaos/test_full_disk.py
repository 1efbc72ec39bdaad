"""The disk under PostgreSQL is full for a while: leads are turned away, and none that was taken is lost."""

import asyncio
import errno
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.parts import SERVICES
from deploy.local.ports import Ports
from deploy.local.system import LocalSystem
from tests.chaos.checker import Place, assert_exact, check
from tests.chaos.conftest import scratch
from tests.chaos.load import Load
from tests.e2e.world import World
from tests.process import until

pytestmark = [pytest.mark.infra, pytest.mark.long, pytest.mark.timeout(400)]

DISK = "512m"
RATE = 20
FULL_S = 10.0


@pytest.fixture(scope="module")
def small_disk(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of a system whose PostgreSQL has a small disk to itself."""
    with scratch(request) as folder:
        disk = folder / "postgres"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "tmpfs", str(disk)]
        mounted = subprocess.run(mount, capture_output=True, check=False)
        if mounted.returncode != 0:
            pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture(scope="module")
def system(small_disk: Path) -> Iterator[LocalSystem]:
    made = LocalSystem(small_disk, Ports.free())
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
async def world(system: LocalSystem) -> AsyncIterator[World]:
    met = World(system.endpoints())
    yield met
    await met.close()


async def test_with_a_full_disk_leads_are_turned_away_and_what_was_taken_arrives_once_there_is_room(
    system: LocalSystem, world: World
) -> None:
    load = await Load.prepare(world, "disk", 1, RATE * 30)
    pids = {service: system.pid(service) for service in SERVICES}
    flow = asyncio.create_task(load.run([world], 30))
    await asyncio.sleep(4)
    ballast = system.folder / "postgres" / "ballast"
    try:
        await _until_turned_away(load, ballast)
        await asyncio.sleep(FULL_S)
    finally:
        ballast.unlink()
    if system.pid("postgres") is None:  # it gives up when not even its recovery finds room: then it is started again
        await asyncio.to_thread(system.start_program, "postgres")
    await flow

    assert_exact(await check(Place.of(system), world, load), 1)
    assert pids == {service: system.pid(service) for service in SERVICES}, "a service was restarted"


async def _until_turned_away(load: Load, ballast: Path) -> None:
    """Fill the disk to the last byte, and what the server frees meanwhile too, until intake says so."""
    begun = time.monotonic()

    async def look() -> bool | None:
        _fill(ballast)
        return True if any(one.status == 503 and one.at > begun for one in load.answers) else None

    await until(look, "intake answers 503 when the disk is full", 20)
    told = [one for one in load.answers if one.status == 503]
    assert {(one.code, one.media_type) for one in told} == {("unavailable", "application/problem+json")}
    assert all(one.retry_after for one in told)


def _fill(ballast: Path) -> None:
    with ballast.open("ab") as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
