"""Kafka, PostgreSQL or both go down during a load and come back: the services recover without a restart."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from deploy.local.parts import SERVICES
from deploy.local.system import LocalSystem
from tests.chaos.checker import assert_exact, check
from tests.chaos.idle import Servers
from tests.chaos.load import Load, Response
from tests.e2e.harness import SystemHarness
from tests.process import until

pytestmark = [pytest.mark.infra, pytest.mark.timeout(600)]

RATE = 15
BEFORE_S, AFTER_S = 4.0, 4.0
# A short outage and a long outage.
DOWN_FOR = [10, pytest.param(30, marks=pytest.mark.long)]


@dataclass(frozen=True, slots=True)
class Outage:
    """The responses while the servers were certainly down, and the services' process ids before and after."""

    load: Load
    responses: Sequence[Response]
    pids: tuple[dict[str, int | None], dict[str, int | None]]


@pytest.mark.long
@pytest.mark.parametrize("seconds", [10, 30])
async def test_while_kafka_is_down_leads_are_accepted_and_they_all_arrive_afterwards(
    system: LocalSystem, harness: SystemHarness, seconds: int
) -> None:
    outage = await _outage(system, harness, "no-kafka", ["kafka"], seconds)

    assert len(outage.responses) > RATE * seconds / 2
    assert {response.status for response in outage.responses} == {202}
    await _exact(system, harness, outage, seconds)


@pytest.mark.long
@pytest.mark.parametrize("seconds", [10, 30])
async def test_while_postgres_is_down_intake_returns_503_and_loses_nothing(
    system: LocalSystem, harness: SystemHarness, seconds: int
) -> None:
    outage = await _outage(system, harness, "no-postgres", ["postgres"], seconds)

    _assert_retry_after(outage.responses)
    await _exact(system, harness, outage, seconds)


@pytest.mark.long
@pytest.mark.parametrize("seconds", DOWN_FOR)
async def test_while_kafka_and_postgres_are_down_intake_returns_503_and_loses_nothing(
    system: LocalSystem, harness: SystemHarness, seconds: int
) -> None:
    outage = await _outage(system, harness, "no-servers", ["kafka", "postgres"], seconds)

    _assert_retry_after(outage.responses)
    await _exact(system, harness, outage, seconds)


async def _outage(system: LocalSystem, harness: SystemHarness, name: str, down: Sequence[str], seconds: int) -> Outage:
    """Kill the servers during a load, and start them again after `seconds`."""
    load_s = BEFORE_S + seconds + AFTER_S
    load = await Load.prepare(harness, name, seconds, round(RATE * load_s))
    pids = _pids(system)
    running = asyncio.create_task(load.run([harness], load_s))
    await asyncio.sleep(BEFORE_S)
    for server in down:
        await _kill(system, server)
    down_at = time.monotonic()
    await asyncio.sleep(seconds)
    up_at = time.monotonic()
    for server in down:
        await asyncio.to_thread(system.start_program, server)
    await running
    # The first second is left out: a request from before the kill can get its response just after the kill.
    responses = [response for response in load.responses if down_at + 1 < response.at < up_at]
    return Outage(load, responses, (pids, _pids(system)))


async def _kill(system: LocalSystem, server: str) -> None:
    pid = system.pid(server)
    assert pid is not None
    os.kill(pid, signal.SIGKILL if server == "kafka" else signal.SIGQUIT)  # SIGQUIT: PostgreSQL's "immediate"

    async def gone() -> bool | None:
        return True if await asyncio.to_thread(system.pid, server) is None else None

    await until(gone, f"the process of {server} has ended")


def _assert_retry_after(responses: Sequence[Response]) -> None:
    assert responses
    assert {(response.status, response.code, response.media_type) for response in responses} == {
        (503, "unavailable", "application/problem+json")
    }
    assert all(response.retry_after is not None and int(response.retry_after) > 0 for response in responses)


async def _exact(system: LocalSystem, harness: SystemHarness, outage: Outage, seed: int) -> None:
    report = await check(Servers.of(system), harness, outage.load)
    assert_exact(report, seed)
    before, after = outage.pids
    assert before == after == _pids(system), "a service was restarted"


def _pids(system: LocalSystem) -> dict[str, int | None]:
    return {service: system.pid(service) for service in SERVICES}
