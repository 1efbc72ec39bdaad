"""Every fault of 1C with 200 leads: one verdict and one journal entry a lead, and no write is repeated."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from chassis.migrations import upgrade
from contracts.leads import LeadSubmitted
from contracts.reservations import ReservationReinstated
from tests.infra import DatabaseFactory
from tests.onec_gateway.conftest import MAPPINGS
from tests.onec_gateway.harness import Harness, listening
from tests.process import until
from tests.simulators.tests.processes import ROOT, OneCSim

pytestmark = [pytest.mark.infra, pytest.mark.timeout(900)]

LEADS = 200
_NUMBERS = count()
WRITES = {"write": "yes"}
MODES: dict[str, list[dict[str, Any]]] = {
    "slow": [{"mode": "slow", "seconds": 0.3, "probability": 0.5}],
    "cold_start": [{"mode": "cold_start", "seconds": 3}],
    "commit_then_drop": [{"mode": "commit_then_drop", "probability": 0.3}],
    "late_commit": [{"mode": "late_commit", "probability": 0.3, "seconds": 1}],
    "infobase_locked": [{"mode": "infobase_locked", "count": 3}],
    "licence_exhausted": [{"mode": "licence_exhausted", "count": 2}],
    "session_expired": [{"mode": "session_expired", "probability": 0.3}],
    "lock_conflict": [{"mode": "lock_conflict", "probability": 0.3}],
    "handler_error": [{"mode": "handler_error", "count": 10}],
    "pool_full": [{"mode": "pool_full", "limit": 2, "work_seconds": 0.02, "seconds": 0.1}],
    "rights": [{"mode": "rights", "count": 3}],
    "html_page": [{"mode": "html_page", "probability": 0.1}, {"mode": "html_page", "status": 200, "probability": 0.1}],
    "encoding": [{"mode": "encoding"}, {"mode": "encoding", "variant": "truncated", "probability": 0.1}],
}
PAIRS = [random.Random(seed).sample(sorted(MODES), 2) for seed in range(12)]
MODES_OF_EVERY_RUN = ["late_commit"]


def phones(number: int) -> list[str]:
    """Phones of clients that no other test uses."""
    return [f"+7917{next(_NUMBERS):07d}" for _ in range(number)]


@pytest.fixture(params=["register", "document"])
async def gateway(
    request: pytest.FixtureRequest,
    fresh_topics: str,
    database_factory: DatabaseFactory,
    sim: OneCSim,
    tmp_path: Path,
) -> AsyncIterator[Harness]:
    database = database_factory(
        "onec_gateway", lambda url: upgrade(url, ROOT / "services" / "onec_gateway" / "migrations")
    )
    async with AIOKafkaProducer(bootstrap_servers=fresh_topics) as producer, listening(fresh_topics) as consumer:
        gateway = Harness(fresh_topics, database, sim, tmp_path, producer, consumer)
        if request.param == "document":
            gateway.settings["ONEC_MAPPING_FILE"] = str(MAPPINGS / "document.toml")
        yield gateway
        gateway.stop()


async def until_entered(gateway: Harness, leads: Sequence[LeadSubmitted]) -> None:
    """Wait until each lead has its entry. Parked work is retried, as an administrator does by `retry`."""
    ids = {str(lead.lead_id) for lead in leads}

    async def there() -> bool | None:
        await gateway.query("UPDATE work SET state = 'waiting', due_at = now() WHERE state = 'parked' RETURNING id")
        return ids <= {entry["lead_id"] for entry in gateway.sim.get("journal")} or None

    await until(there, "every lead has its entry", 300)

    async def settled() -> bool | None:
        return not await gateway.query("SELECT id FROM work WHERE state <> 'done'") or None

    await until(settled, "all work is done", 120)


def assert_once(gateway: Harness, leads: Sequence[LeadSubmitted]) -> None:
    """Each lead has one verdict and one entry, and no write that 1C had committed was sent again."""
    messages = gateway.received("lead-confirmed") + gateway.received("lead-rejected")
    verdicts = Counter(body["lead_id"] for body in messages)
    assert verdicts == Counter(str(lead.lead_id) for lead in leads)
    entries = Counter(entry["lead_id"] for entry in gateway.sim.get("journal"))
    assert entries == verdicts
    committed: set[str] = set()
    for call in gateway.sim.get("calls"):
        if call["method"] == "POST":
            assert call["lead"] not in committed, f"written again: {call}"
            if call["committed"] and call["fault"] != "late_commit":
                committed.add(call["lead"])


async def run(gateway: Harness, faults: Sequence[dict[str, Any]], number: int = LEADS) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    for seed, fault in enumerate(faults):
        gateway.sim.post("fault", {**fault, "seed": seed} if "probability" in fault else fault)
    leads = await gateway.hold_all(phones(number))
    await asyncio.sleep(0)
    gateway.sim.post("fault", {"mode": "none"})
    await until_entered(gateway, leads)
    assert_once(gateway, leads)


@pytest.mark.parametrize("gateway", ["document"], indirect=True)
@pytest.mark.parametrize("mode", MODES_OF_EVERY_RUN)
async def test_fault_of_1c_loses_no_lead_and_doubles_none(gateway: Harness, mode: str) -> None:
    await run(gateway, MODES[mode])


@pytest.mark.long
@pytest.mark.parametrize("mode", sorted(MODES))
async def test_no_fault_of_1c_loses_a_lead_in_either_kind_of_journal(gateway: Harness, mode: str) -> None:
    await run(gateway, MODES[mode])


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
async def test_two_faults_at_once_lose_no_lead(gateway: Harness, pair: list[str]) -> None:
    await run(gateway, [fault for mode in pair for fault in MODES[mode]])


@pytest.mark.long
@pytest.mark.parametrize("gateway", ["register"], indirect=True)
async def test_maintenance_with_5000_leads_waiting_gets_only_probes(gateway: Harness, sim: OneCSim) -> None:
    number, probe_s = 5000, 10
    gateway.settings["ONEC_PROBE_EVERY"] = f"PT{probe_s}S"
    await gateway.start()
    await gateway.add_partner("p1")
    sim.post("fault", {"mode": "infobase_locked"})
    known = phones(2)
    leads = [await gateway.submit(phone) for phone in [*known, *phones(number - 2)]]

    async def probed() -> list[dict[str, Any]] | None:
        refused = [call for call in sim.get("calls") if call["status"] == 403]
        return refused if sum("$top=1" in call["query"] for call in refused) >= 3 else None

    refused = await until(probed, "three probes", 20 * probe_s)
    # After the requests that were in flight when the lock began, 1C gets only probes, one in each `probe_s`.
    began = next(n for n, call in enumerate(refused) if "$top=1" in call["query"])
    assert all("$top=1" in call["query"] for call in refused[began:])
    moments = [datetime.fromisoformat(call["at"]).timestamp() for call in refused[max(began - 1, 0) :]]
    assert all(later - earlier >= probe_s - 0.1 for earlier, later in pairwise(moments))

    # Meanwhile the sales office enters two of the clients: one dated before the lead, one after.
    for phone, off in zip(known, (timedelta(hours=-1), timedelta(hours=1)), strict=True):
        received = leads[known.index(phone)].received_at
        sim.post("seed", {"full_name": "Клиентов Клим", "phone": phone, "date": (received + off).isoformat()})
    sim.post("fault", {"mode": "none"})

    async def decided() -> bool | None:
        await gateway.receive()
        return len(gateway.received("lead-confirmed")) + len(gateway.received("lead-rejected")) == number or None

    await until(decided, "every lead has a verdict", 300)
    (rejected,) = gateway.received("lead-rejected")
    assert (rejected["lead_id"], rejected["reason"]) == (str(leads[0].lead_id), "known-to-builder")
    assert sim.get("state")["most_at_once"] <= 4


@pytest.mark.long
@pytest.mark.parametrize("move", ["enter", "hand_over", "take_back"])
async def test_gateway_killed_at_any_step_of_a_move_leaves_the_journals_right(
    gateway: Harness, sim: OneCSim, move: str
) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    for step in count():
        phone = phones(1)[0]
        if move == "enter":
            lead = await gateway.submit(phone)
            terms = await _terms(gateway, lead)
        else:
            lead, terms = await gateway.hold(phone)
        if move == "take_back":
            await gateway.expire(terms)
            await _until_idle(gateway)
        # 1C delays the step, the gateway is killed, and 1C executes the step although no client waits for it.
        before = len(sim.get("calls"))
        sim.post("fault", {"mode": "slow", "seconds": 1, "match": _kind(step), "skip": step // 2, "count": 1})
        await _begin(gateway, move, lead, terms)
        is_delayed = await _is_delayed(gateway, before)
        if is_delayed:
            gateway.instances[-1].process.send_signal(signal.SIGKILL)
            gateway.instances[-1].process.wait(10)
        sim.post("fault", {"mode": "none"})
        if is_delayed:
            await gateway.start(wait=False)
        await _until_idle(gateway)
        _assert_journals(sim, move, str(lead.lead_id))
        if not is_delayed and step % 2:
            return


def _kind(step: int) -> dict[str, str]:
    return WRITES if step % 2 else {"write": "no"}


async def _terms(gateway: Harness, lead: LeadSubmitted) -> dict[str, Any]:
    return {"lead": lead, "confirmed_at": (await gateway.verdict_of(lead))["confirmed_at"]}


async def _begin(gateway: Harness, move: str, lead: LeadSubmitted, terms: dict[str, Any]) -> None:
    match move:
        case "enter":
            await gateway.open(lead, terms["confirmed_at"])
        case "hand_over":
            await gateway.expire(terms)
        case _:
            later = terms["reserved_until"] + timedelta(days=181)
            fresh = {**terms, "reserved_until": later, "reserved_through": later.date()}
            await gateway.publish(ReservationReinstated(**fresh, request_id=uuid4(), reinstated_at=later))


async def _is_delayed(gateway: Harness, before: int) -> bool:
    """Whether the delayed request arrived. If the move ended without such a request, it did not."""

    async def outcome() -> str | None:
        calls = gateway.sim.get("calls")[before:]
        if any(call["fault"] == "slow" and not call["set"].startswith("Document_Договор") for call in calls):
            return "delayed"
        left = await gateway.query("SELECT id FROM work WHERE state <> 'done'")
        return "ended" if not left and await _inbox_is_complete(gateway) else None

    return await until(outcome, "the move is delayed or ended", 60) == "delayed"


async def _inbox_is_complete(gateway: Harness) -> bool:
    """Whether the last event about a reservation has become work: the inbox no longer grows."""
    (seen,) = await gateway.query("SELECT count(*) AS n FROM inbox")
    await asyncio.sleep(0.3)
    (again,) = await gateway.query("SELECT count(*) AS n FROM inbox")
    return bool(seen["n"] == again["n"])


async def _until_idle(gateway: Harness) -> None:
    async def is_idle() -> bool | None:
        left = await gateway.query("SELECT id FROM work WHERE state <> 'done'")
        return (not left and await _inbox_is_complete(gateway)) or None

    await until(is_idle, "all work is done", 90)


def _assert_journals(sim: OneCSim, move: str, lead_id: str) -> None:
    states = [entry["state"] for entry in sim.get("journal") if entry["lead_id"] == lead_id]
    general = [row["deletion_mark"] for row in sim.get("general-journal") if lead_id in row["comment"]]
    wanted = {"enter": (["Активен"], []), "hand_over": (["Истек"], [False]), "take_back": (["Активен"], [True])}
    assert (states, general) == wanted[move]
