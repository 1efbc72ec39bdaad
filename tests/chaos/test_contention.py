"""Many partners submit, return and withdraw the same clients while reservations expire.

Each service has two instances.
"""

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
from deploy.local.system import LocalSystem
from tests.chaos.idle import Servers
from tests.chaos.instances import Instances
from tests.chaos.records import read_topics
from tests.e2e.harness import Person, SystemHarness, invent
from tests.process import until
from tests.systems import running_system, scratch_folder

pytestmark = [pytest.mark.infra, pytest.mark.long, pytest.mark.timeout(600)]

CLIENTS, PARTNERS, REQUESTS, AT_ONCE = 50, 8, 1000, 32
TERM = "PT12S"

LIVE = {"reservation-opened.v1", "reservation-reinstated.v1", "reservation-reopened.v1"}
OVER = {"reservation-expired.v1", "reservation-closed.v1"}


@dataclass
class RandomRequests:
    """Sends random requests about a few clients, and keeps the responses, lead ids and request ids."""

    clients: list[Person]
    rng: random.Random
    responses: Counter[str] = field(default_factory=Counter)
    leads: list[tuple[str, str]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def send(self, harness: SystemHarness) -> None:
        """Submit a lead (40 %), return a client (30 %) or withdraw a lead (30 %)."""
        partner, client = f"crowd-{self.rng.randrange(PARTNERS)}", self.rng.choice(self.clients)
        kind = self.rng.random()
        if kind < 0.4 or not self.leads:
            response = await harness.submit(partner, client)
            if response.status_code == 202:
                self.leads.append((response.json()["lead_id"], partner))
        elif kind < 0.7:
            body: dict[str, Any] = {"partner_id": partner, "client": client.plain, "again": self.rng.random() < 0.7}
            body |= {"manager": "manager-3", "reason": "ждёт ипотеку"}
            response = await harness.post_request("returns", body)
        else:
            lead_id, owner = self.rng.choice(self.leads[-100:])
            who = {"manager": "manager-3"} if self.rng.random() < 0.5 else {"partner_id": owner}
            response = await harness.post_request(f"leads/{lead_id}/withdrawal", {**who, "reason": "ошибка в номере"})
        body = response.json()
        self.responses[f"{response.status_code} {body.get('code', '')}"] += 1
        if "request_id" in body:
            self.requests.append(body["request_id"])


@pytest.fixture
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[LocalSystem, Instances]]:
    with scratch_folder(request) as folder, running_system(folder, RESERVATIONS_TERM=TERM) as system:
        made = Instances(system, tmp_path)
        await asyncio.gather(*(made.add(service) for service in SERVICES))
        yield system, made
        await made.close()


async def test_a_client_whom_many_partners_submit_has_one_holder_at_every_instant(
    running: tuple[LocalSystem, Instances],
) -> None:
    system, instances = running
    rng = random.Random(20261125)
    intakes, requests = instances.intakes, RandomRequests([invent(rng) for _ in range(CLIENTS)], rng)
    for number in range(PARTNERS):
        assert (await intakes[0].register_partner(f"crowd-{number}", invent(rng))).status_code == 201
    gate = asyncio.Semaphore(AT_ONCE)

    async def send(number: int) -> None:
        # The requests take several terms, so that they overlap with expiries.
        await asyncio.sleep(number * 0.04)
        async with gate:
            await requests.send(intakes[number % len(intakes)])

    await asyncio.gather(*(send(number) for number in range(REQUESTS)))

    assert sum(requests.responses.values()) == REQUESTS
    assert set(requests.responses) <= {"202 ", "422 unknown-lead"}, requests.responses
    outcomes = Counter[str]()
    for request_id in requests.requests:
        outcome = await intakes[0].until_request_done(request_id)
        outcomes[f"{outcome['status']} {outcome['reason']}"] += 1
    for lead_id, _ in requests.leads:
        await intakes[0].until_status(lead_id, "confirmed", "rejected", "expired", "withdrawn")
    servers = Servers.of(system)
    await _holders_agree(servers)
    records = await read_topics(servers.kafka, [topics.RESERVATIONS])
    happened = _one_holder_at_a_time([(event.key, event.kind, event.body) for event in records[topics.RESERVATIONS]])
    # Every kind of event happened many times.
    assert min(happened[kind] for kind in (*LIVE - {"reservation-reopened.v1"}, *OVER, "reservation-extended.v1")) > 5
    proof = await asyncio.to_thread(_verify_history, system)
    assert proof == 0, "verify-history found a broken history"


def _one_holder_at_a_time(events: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Counter[str]:
    """Assert that a client has at most one live reservation, by the events' numbers in the client's history.

    Returns how often each kind of event happened.
    """
    happened = Counter[str]()
    live: dict[str, str] = {}
    last: dict[str, int] = {}
    seen: set[tuple[str, int]] = set()
    for key, kind, body in events:
        number = body.get("history_count")
        if not isinstance(number, int) or (key, number) in seen:
            continue
        assert number > last.get(key, 0), f"{key}: the numbers of the history go back"
        last[key] = number
        seen.add((key, number))
        happened[kind] += 1
        lead = str(body["lead_id"])
        if kind in LIVE:
            assert key not in live, f"{key}: {live[key]} and {lead} are live at once"
            live[key] = lead
        elif kind in OVER:
            # A manager may withdraw an expired lead: it is over already.
            is_over = kind == "reservation-closed.v1" and body["outcome"] == "withdrawn" and live.get(key) != lead
            assert is_over or live.pop(key) == lead
    return happened


async def _holders_agree(servers: Servers) -> None:
    """Wait until the gateway's holds are the live reservations."""

    async def look() -> bool | None:
        held = await _rows(
            servers.databases["onec_gateway"],
            "SELECT h.client_key, h.lead_id FROM holds h LEFT JOIN known_reservations r USING (lead_id) "
            "WHERE r.ended_at IS NULL",
        )
        live = await _rows(
            servers.databases["reservations"], "SELECT client_key, lead_id FROM reservations WHERE status = 'live'"
        )
        return True if held == live else None

    await until(look, "gateway and reservations have the same holders")


async def _rows(url: str, sql: str) -> set[tuple[str, str]]:
    connection = await asyncpg.connect(url)
    try:
        return {(key, str(lead)) for key, lead in await connection.fetch(sql)}
    finally:
        await connection.close()


def _verify_history(system: LocalSystem) -> int:
    environment = {**os.environ, **system.environment("reservations")}
    command = [sys.executable, "-m", "services.reservations", "verify-history"]
    return subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL).returncode
