"""One whole system for all failure tests that do not need a system of their own."""

from collections.abc import Iterator

import pytest

from deploy.local.system import LocalSystem
from tests.systems import running_system, scratch_folder


@pytest.fixture(scope="session")
def system(request: pytest.FixtureRequest) -> Iterator[LocalSystem]:
    """A running system. supervisord starts every killed service again."""
    with scratch_folder(request) as folder, running_system(folder, INTAKE_ACCEPT_PLAIN_CLIENTS="false") as running:
        yield running
