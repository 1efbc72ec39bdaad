"""Whole local systems for tests, and the fixture `harness` of every test with a fixture `system`."""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.ports import Ports
from deploy.local.system import LocalSystem
from tests.e2e.harness import SystemHarness


@contextlib.contextmanager
def scratch_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder that is removed at the end. If a test failed meanwhile, the logs of the systems in it are kept."""
    failed_before = request.session.testsfailed
    folder = Path(tempfile.mkdtemp(prefix="truce-system-"))
    try:
        yield folder
    finally:
        if request.session.testsfailed > failed_before:
            kept = Path(tempfile.mkdtemp(prefix="truce-system-logs-"))
            for logs in folder.glob("**/logs"):
                shutil.copytree(logs, kept, dirs_exist_ok=True)
            print(f"\nlogs of the services are in {kept}")
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_system(folder: Path, **environment: str) -> Iterator[LocalSystem]:
    """A running system in `folder` on free ports, with the operator's variables `environment`, stopped at the end."""
    system = LocalSystem(folder, Ports.free(), env=environment)
    try:
        system.start()
        yield system
    finally:
        system.stop()


@pytest.fixture
async def harness(system: LocalSystem) -> AsyncIterator[SystemHarness]:
    """The harness of the running system that the fixture `system` gives."""
    made = SystemHarness(system.endpoints())
    yield made
    await made.close()
