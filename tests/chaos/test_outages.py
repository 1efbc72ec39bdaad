"""Kafka, PostgreSQL or both go away under a stream of leads, and come back: nobody has to restart anything."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from deploy.local.parts import SERVICES
from deploy.local.system import LocalSystem
from tests.chaos.checker import Place, assert_exact, check
from tests.chaos.load import Answer, Load
from tests.e2e.world import World
from tests.process import until

pytestmark = [pytest.mark.infra, pytest.mark.timeout(600)]

RATE = 15
BEFORE_S, AFTER_S = 4.0, 4.0
# In `make test` both at once stands for either; each alone, and for longer, is in `make test-long`.
DOWN_FOR = [10, pytest.param(30, marks=pytest.mark.long)]


@dataclass(frozen=True, slots=True)
class Outage:
    """What was answered while the servers were certainly down, and which process served before and after."""

    load: Load
    answers: Sequence[Answer]
    pids: tuple[dict[str, int | None], dict[str, int | None]]


@pytest.mark.long
@pytest.mark.parametrize("seconds", [10, 30])
async def test_while_kafka_is_down_leads_are_taken_and_all_of_them_arrive_afterwards(
    system: LocalSystem, world: World, seconds: int
) -> None:
    outage = await _outage(system, world, "no-kafka", ["kafka"], seconds)

    assert len(outage.answers) > RATE * seconds / 2
    assert {answer.status for answer in outage.answers} == {202}
    await _exact(system, world, outage, seconds)


@pytest.mark.long
@pytest.mark.parametrize("seconds", [10, 30])
async def test_while_postgres_is_down_nothing_is_half_taken_and_portals_are_told_when_to_come_back(
    system: LocalSystem, world: World, seconds: int
) -> None:
    outage = await _outage(system, world, "no-postgres", ["postgres"], seconds)

    _told_to_come_back(outage.answers)
    await _exact(system, world, outage, seconds)


@pytest.mark.long
@pytest.mark.parametrize("seconds", DOWN_FOR)
async def test_kafka_and_postgres_may_be_down_at_once(system: LocalSystem, world: World, seconds: int) -> None:
    outage = await _outage(system, world, "no-servers", ["kafka", "postgres"], seconds)

    _told_to_come_back(outage.answers)
    await _exact(system, world, outage, seconds)


async def _outage(system: LocalSystem, world: World, name: str, down: Sequence[str], seconds: int) -> Outage:
    """Servers end without a word, stay away, and are started again, while leads keep coming."""
    flow_s = BEFORE_S + seconds + AFTER_S
    load = await Load.prepare(world, name, seconds, round(RATE * flow_s))
    pids = _pids(system)
    flow = asyncio.create_task(load.run([world], flow_s))
    await asyncio.sleep(BEFORE_S)
    for server in down:
        await _end(system, server)
    down_at = time.monotonic()
    await asyncio.sleep(seconds)
    up_at = time.monotonic()
    for server in down:
        await asyncio.to_thread(system.start_program, server)
    await flow
    # What was asked just before the end may be answered just after it.
    answers = [answer for answer in load.answers if down_at + 1 < answer.at < up_at]
    return Outage(load, answers, (pids, _pids(system)))


async def _end(system: LocalSystem, server: str) -> None:
    pid = system.pid(server)
    assert pid is not None
    os.kill(pid, signal.SIGKILL if server == "kafka" else signal.SIGQUIT)  # SIGQUIT: PostgreSQL's "immediate"

    async def gone() -> bool | None:
        return True if await asyncio.to_thread(system.pid, server) is None else None

    await until(gone, f"{server} is gone")


def _told_to_come_back(answers: Sequence[Answer]) -> None:
    assert answers
    assert {(answer.status, answer.code, answer.media_type) for answer in answers} == {
        (503, "unavailable", "application/problem+json")
    }
    assert all(answer.retry_after is not None and int(answer.retry_after) > 0 for answer in answers)


async def _exact(system: LocalSystem, world: World, outage: Outage, seed: int) -> None:
    report = await check(Place.of(system), world, outage.load)
    assert_exact(report, seed)
    before, after = outage.pids
    assert before == after == _pids(system), "a service was restarted"


def _pids(system: LocalSystem) -> dict[str, int | None]:
    return {service: system.pid(service) for service in SERVICES}
