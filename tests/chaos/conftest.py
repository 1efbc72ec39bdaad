"""One whole system for all failures that do not need one of their own, on free ports, in a scratch folder."""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.ports import Ports
from deploy.local.system import LocalSystem
from tests.e2e.world import World


@contextlib.contextmanager
def scratch(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder, gone afterwards; of its systems the logs are kept where a test failed."""
    failed_before = request.session.testsfailed
    folder = Path(tempfile.mkdtemp(prefix="truce-chaos-"))
    try:
        yield folder
    finally:
        if request.session.testsfailed > failed_before:
            kept = Path(tempfile.mkdtemp(prefix="truce-chaos-logs-"))
            for logs in folder.glob("**/logs"):
                shutil.copytree(logs, kept, dirs_exist_ok=True)
            print(f"\nlogs of the services are in {kept}")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def system(request: pytest.FixtureRequest) -> Iterator[LocalSystem]:
    """Running; supervisord starts again whatever service is killed."""
    with scratch(request) as folder:
        made = LocalSystem(folder, Ports.free(), env={"INTAKE_ACCEPT_PLAIN_CLIENTS": "false"})
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
