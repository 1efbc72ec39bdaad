"""The disk of PostgreSQL is full for a while: leads are refused, and no accepted lead is lost."""

import asyncio
import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.parts import SERVICES
from deploy.local.system import LocalSystem
from tests.chaos.checker import assert_exact, check
from tests.chaos.idle import Servers
from tests.chaos.load import Load
from tests.e2e.harness import SystemHarness
from tests.process import until
from tests.systems import running_system, scratch_folder

pytestmark = [pytest.mark.infra, pytest.mark.long, pytest.mark.timeout(400)]

DISK = "512m"
RATE = 20
FULL_S = 10.0


@pytest.fixture(scope="module")
def small_disk(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of a system, with a small disk mounted as PostgreSQL's folder."""
    with scratch_folder(request) as folder:
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
    with running_system(small_disk) as running:
        yield running


async def test_a_full_disk_refuses_leads_and_accepted_leads_arrive_once_there_is_room(
    system: LocalSystem, harness: SystemHarness
) -> None:
    load = await Load.prepare(harness, "disk", 1, RATE * 30)
    pids = {service: system.pid(service) for service in SERVICES}
    running = asyncio.create_task(load.run([harness], 30))
    await asyncio.sleep(4)
    ballast = system.folder / "postgres" / "ballast"
    try:
        await _fill_until_refused(load, ballast)
        await asyncio.sleep(FULL_S)
    finally:
        ballast.unlink()
    if system.pid("postgres") is None:  # PostgreSQL ends if its recovery finds no room either
        await asyncio.to_thread(system.start_program, "postgres")
    await running

    assert_exact(await check(Servers.of(system), harness, load), 1)
    assert pids == {service: system.pid(service) for service in SERVICES}, "a service was restarted"


async def _fill_until_refused(load: Load, ballast: Path) -> None:
    """Fill the disk to the last byte, again and again as the server frees space, until intake returns 503."""
    begun = time.monotonic()

    async def look() -> bool | None:
        _fill(ballast)
        return True if any(response.status == 503 and response.at > begun for response in load.responses) else None

    await until(look, "intake returns 503 when the disk is full", 20)
    refused = [response for response in load.responses if response.status == 503]
    assert {(response.code, response.media_type) for response in refused} == {
        ("unavailable", "application/problem+json")
    }
    assert all(response.retry_after for response in refused)


def _fill(ballast: Path) -> None:
    with ballast.open("ab") as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
