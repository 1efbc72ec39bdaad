"""Everybody wants the same clients at once: submits, returns, withdrawals, expiries; two instances of each service."""

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from contracts import topics
from deploy.local.parts import SERVICES
from deploy.local.ports import Ports
from deploy.local.system import LocalSystem
from tests.chaos.checker import Place, read
from tests.chaos.company import Company
from tests.chaos.conftest import scratch
from tests.e2e.world import Person, World, invent
from tests.process import until

pytestmark = [pytest.mark.infra, pytest.mark.long, pytest.mark.timeout(600)]

CLIENTS, PARTNERS, ASKS, AT_ONCE = 50, 8, 1000, 32
TERM = "PT12S"

LIVE = {"reservation-opened.v1", "reservation-reinstated.v1", "reservation-reopened.v1"}
OVER = {"reservation-expired.v1", "reservation-closed.v1"}


@dataclass
class Crowd:
    """What was asked, and of what it is not known yet what became."""

    clients: list[Person]
    rng: random.Random
    answers: Counter[str] = field(default_factory=Counter)
    leads: list[tuple[str, str]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def ask(self, world: World) -> None:
        partner, client = f"crowd-{self.rng.randrange(PARTNERS)}", self.rng.choice(self.clients)
        kind = self.rng.random()
        if kind < 0.4 or not self.leads:
            answer = await world.submit(partner, client)
            if answer.status_code == 202:
                self.leads.append((answer.json()["lead_id"], partner))
        elif kind < 0.7:
            body = {"partner_id": partner, "client": client.plain, "manager": "manager-3", "reason": "ждёт ипотеку"}
            answer = await world.ask("returns", body)
        else:
            lead_id, owner = self.rng.choice(self.leads[-100:])
            who = {"manager": "manager-3"} if self.rng.random() < 0.5 else {"partner_id": owner}
            answer = await world.ask(f"leads/{lead_id}/withdrawal", {**who, "reason": "ошибка в номере"})
        body = answer.json()
        self.answers[f"{answer.status_code} {body.get('code', '')}"] += 1
        if "request_id" in body:
            self.requests.append(body["request_id"])


@pytest.fixture
async def company(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[LocalSystem, Company]]:
    with scratch(request) as folder:
        system = LocalSystem(folder, Ports.free(), env={"RESERVATIONS_TERM": TERM})
        try:
            system.start()
            made = Company(system, tmp_path)
            await asyncio.gather(*(made.join(service) for service in SERVICES))
            yield system, made
            await made.end()
        finally:
            system.stop()


async def test_client_that_everybody_wants_is_held_by_one_at_every_instant(
    company: tuple[LocalSystem, Company],
) -> None:
    system, instances = company
    rng = random.Random(20261125)
    doors, crowd = instances.doors, Crowd([invent(rng) for _ in range(CLIENTS)], rng)
    for number in range(PARTNERS):
        assert (await doors[0].register_partner(f"crowd-{number}", invent(rng))).status_code == 201
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        # Over a few terms, so that all that can happen to a client meets.
        await asyncio.sleep(number * 0.04)
        async with gate:
            await crowd.ask(doors[number % len(doors)])

    await asyncio.gather(*(one(number) for number in range(ASKS)))

    assert sum(crowd.answers.values()) == ASKS
    assert set(crowd.answers) <= {"202 ", "422 unknown-lead"}, crowd.answers
    outcomes = Counter[str]()
    for request_id in crowd.requests:
        outcome = await doors[0].until_answered(request_id)
        outcomes[f"{outcome['status']} {outcome['reason']}"] += 1
    for lead_id, _ in crowd.leads:
        await doors[0].until_status(lead_id, "confirmed", "rejected", "expired", "withdrawn")
    place = Place.of(system)
    await _agree(place)
    records = await read(place.kafka, [topics.RESERVATIONS])
    happened = _one_at_a_time([(one.key, one.kind, one.body) for one in records[topics.RESERVATIONS]])
    # Everything did happen, many times.
    assert min(happened[kind] for kind in (*LIVE - {"reservation-reopened.v1"}, *OVER, "reservation-extended.v1")) > 5
    proof = await asyncio.to_thread(_verified, system)
    assert proof == 0, "the histories do not prove themselves"


def _one_at_a_time(told: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Counter[str]:
    """By the number that each event has in its client's history: what was live, and when it ended."""
    happened = Counter[str]()
    live: dict[str, str] = {}
    last: dict[str, int] = {}
    seen: set[tuple[str, int]] = set()
    for key, kind, body in told:
        number = body.get("history_count")
        if not isinstance(number, int) or (key, number) in seen:
            continue
        assert number > last.get(key, 0), f"{key}: the history runs back"
        last[key] = number
        seen.add((key, number))
        happened[kind] += 1
        lead = str(body["lead_id"])
        if kind in LIVE:
            assert key not in live, f"{key}: live for {live[key]} and {lead}"
            live[key] = lead
        elif kind in OVER:
            assert live.pop(key) == lead
    return happened


async def _agree(place: Place) -> None:
    """The gateway's holds and the reservations that are live, once all is told."""

    async def look() -> bool | None:
        held = await _rows(
            place.databases["onec_gateway"],
            "SELECT h.client_key, h.lead_id FROM holds h LEFT JOIN known_reservations r USING (lead_id) "
            "WHERE r.ended_at IS NULL",
        )
        live = await _rows(
            place.databases["reservations"], "SELECT client_key, lead_id FROM reservations WHERE status = 'live'"
        )
        return True if held == live else None

    await until(look, "gateway and reservations agree who holds whom")


async def _rows(url: str, sql: str) -> set[tuple[str, str]]:
    connection = await asyncpg.connect(url)
    try:
        return {(key, str(lead)) for key, lead in await connection.fetch(sql)}
    finally:
        await connection.close()


def _verified(system: LocalSystem) -> int:
    environment = {**os.environ, **system.environment("reservations")}
    command = [sys.executable, "-m", "services.reservations", "verify-history"]
    return subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL).returncode
