"""One whole system for all end-to-end tests, on free ports, in a scratch folder."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.ports import Ports
from deploy.local.system import LocalSystem
from tests.e2e.world import World


@pytest.fixture(scope="session")
def system() -> Iterator[LocalSystem]:
    """Running, with its clock shiftable and plain clients off, as in production."""
    folder = Path(tempfile.mkdtemp(prefix="truce-e2e-"))
    made = LocalSystem(folder, Ports.free(), env={"ALLOW_CLOCK_SHIFT": "true", "INTAKE_ACCEPT_PLAIN_CLIENTS": "false"})
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def world(system: LocalSystem) -> AsyncIterator[World]:
    met = World(system.endpoints())
    yield met
    await met.close()
