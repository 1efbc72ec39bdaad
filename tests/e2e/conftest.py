"""One whole system for all end-to-end tests."""

from collections.abc import Iterator

import pytest

from deploy.local.system import LocalSystem
from tests.systems import running_system, scratch_folder


@pytest.fixture(scope="session")
def system(request: pytest.FixtureRequest) -> Iterator[LocalSystem]:
    """A running system. Its clock can be shifted, and it refuses plain clients on topics, as in production."""
    with (
        scratch_folder(request) as folder,
        running_system(folder, ALLOW_CLOCK_SHIFT="true", INTAKE_ACCEPT_PLAIN_CLIENTS="false") as running,
    ):
        yield running
