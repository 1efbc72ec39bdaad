"""One process of each simulator for all tests; each test starts with an empty simulator."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.simulators.tests.processes import ONEC, SMS, OneCSim, Sim, started


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    # Ignore a proxy in the environment: the requests go to 127.0.0.1.
    with httpx.Client(trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def onec_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with started(ONEC, tmp_path_factory.mktemp("onec"), CLOCK_FILE="") as (base, _):
        yield base


@pytest.fixture(scope="session")
def sms_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with started(SMS, tmp_path_factory.mktemp("sms"), CLOCK_FILE="") as (base, _):
        yield base


@pytest.fixture
def onec(onec_base: str, http: httpx.Client) -> OneCSim:
    sim = OneCSim(onec_base, http)
    sim.post("reset")
    return sim


@pytest.fixture
def sms(sms_base: str, http: httpx.Client) -> Sim:
    sim = Sim(sms_base, http)
    sim.post("reset")
    return sim


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "store"
