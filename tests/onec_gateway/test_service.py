"""The gateway on real Kafka, real PostgreSQL and the simulator of 1C."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from chassis.migrations import upgrade
from tests.infra import DatabaseFactory
from tests.onec_gateway.process import NAME, Gateway, listening
from tests.process import until
from tests.simulators.tests.processes import ROOT, OneCSim

pytestmark = pytest.mark.infra

PHONE = "+79161234567"
REGISTER = "InformationRegister_ЖурналПартнеров"
ENQUIRIES = "Document_CRM_Интерес"


@pytest.fixture
async def gateway(
    fresh_topics: str, database_factory: DatabaseFactory, sim: OneCSim, tmp_path: Path
) -> AsyncIterator[Gateway]:
    database = database_factory(
        "onec_gateway", lambda url: upgrade(url, ROOT / "services" / "onec_gateway" / "migrations")
    )
    async with AIOKafkaProducer(bootstrap_servers=fresh_topics) as producer, listening(fresh_topics) as consumer:
        gateway = Gateway(fresh_topics, database, sim, tmp_path, producer, consumer)
        yield gateway
        gateway.stop()


async def test_client_goes_from_check_to_journal_to_the_general_journal(gateway: Gateway, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.partner("p1")

    lead = await gateway.lead(PHONE)
    confirmed = await gateway.verdict(lead)
    assert "confirmed_at" in confirmed
    terms = await gateway.opened(lead, confirmed["confirmed_at"])
    (entry,) = await gateway.journal()
    assert (entry["lead_id"], entry["full_name"], entry["phone"]) == (str(lead.lead_id), NAME, PHONE)
    assert (entry["partner"], entry["agreement"], entry["state"]) == ("Агентова Анна", "А-p1", "Активен")

    second = await gateway.verdict(await gateway.lead(PHONE, "p2"))
    assert (second["reason"], second["evidence"]) == ("held-by-partner", str(lead.lead_id))
    again = await gateway.verdict(await gateway.lead(PHONE, "p1"))
    assert again["reason"] == "already-yours"

    await gateway.expired(terms)

    async def handed_over() -> bool | None:
        return True if sim.get("general-journal") and sim.get("journal")[0]["state"] == "Истек" else None

    await until(handed_over, "the hand-over")
    (enquiry,) = sim.get("general-journal")
    assert enquiry["full_name"] == NAME


async def test_client_of_the_sales_office_is_known_to_the_builder(gateway: Gateway, sim: OneCSim) -> None:
    known = sim.post("seed", {"full_name": NAME, "phone": PHONE, "date": "2026-01-10T12:00:00+03:00"})["clients"][0]
    await gateway.start()

    rejected = await gateway.verdict(await gateway.lead(PHONE))

    assert (rejected["reason"], rejected["evidence"]) == ("known-to-builder", known["enquiry_ref"])


async def test_lead_stays_under_review_while_1c_gives_no_answer(gateway: Gateway, sim: OneCSim) -> None:
    sim.post("fault", {"mode": "infobase_locked", "count": 1})
    sim.post("fault", {"mode": "handler_error", "match": {"write": "no"}, "count": 1})
    sim.post("fault", {"mode": "html_page", "status": 200, "count": 1})
    await gateway.start()

    confirmed = await gateway.verdict(await gateway.lead(PHONE))

    assert "confirmed_at" in confirmed
    assert len(gateway.verdicts) == 1


async def test_journal_entry_waits_for_a_partner_not_known_yet(gateway: Gateway) -> None:
    await gateway.start()
    lead = await gateway.lead(PHONE)
    await gateway.opened(lead, (await gateway.verdict(lead))["confirmed_at"])

    async def waits() -> bool | None:
        return True if "partner-not-known-yet" in await notes(gateway) else None

    await until(waits, "the entry waits")
    await gateway.partner("p1")

    assert len(await gateway.journal()) == 1


async def test_business_refusal_of_a_write_is_parked_and_holds_up_no_verdict(gateway: Gateway, sim: OneCSim) -> None:
    sim.post("fault", {"mode": "handler_error", "match": {"set": REGISTER}})
    await gateway.start()
    await gateway.partner("p1")
    lead = await gateway.lead(PHONE)
    await gateway.opened(lead, (await gateway.verdict(lead))["confirmed_at"])

    async def parked() -> bool | None:
        return True if "parked" in await states(gateway) else None

    await until(parked, "the entry is parked")
    assert (await gateway.verdict(await gateway.lead(PHONE, "p2")))["reason"] == "held-by-partner"
    assert "refused (HTTP 500, код -1)" in await notes(gateway)


async def test_racing_partners_get_exactly_one_confirmation(gateway: Gateway) -> None:
    leads = [await gateway.lead(f"+7916123{n % 7:04d}", f"p{n}") for n in range(35)]
    await gateway.start()

    verdicts = [await gateway.verdict(lead) for lead in leads]

    assert ["confirmed_at" in verdict for verdict in verdicts] == [n < 7 for n in range(35)]
    assert len(gateway.verdicts) == 35


async def test_names_and_phones_are_in_clear_neither_in_logs_nor_at_rest(gateway: Gateway) -> None:
    await gateway.start()
    await gateway.partner("p1")
    lead = await gateway.lead(PHONE)
    await gateway.opened(lead, (await gateway.verdict(lead))["confirmed_at"])
    await gateway.journal()

    kept = gateway.logs + str(gateway.verdicts) + await dump(gateway)
    assert '"operation":"check"' in gateway.logs
    for secret in (NAME, "Клиентов", "9161234567", "Агентова"):
        assert secret not in kept


# The last one: Kafka remembers the dead member for ten seconds.


async def test_killed_between_the_write_and_its_answer_writes_once(gateway: Gateway, sim: OneCSim) -> None:
    first = await gateway.start()
    await gateway.partner("p1")
    lead = await gateway.lead(PHONE)
    confirmed = await gateway.verdict(lead)
    # 1C has the entry, its answer is lost, and the gateway dies before it can ask again.
    sim.post("fault", {"mode": "commit_then_drop", "match": {"set": REGISTER}})
    await gateway.opened(lead, confirmed["confirmed_at"])
    await gateway.journal()
    first.kill()
    sim.post("fault", {"mode": "none"})
    # Its work needs no Kafka, which still waits for the dead member of the group.
    await gateway.start(wait=False)

    async def settled() -> bool | None:
        return True if "waiting" not in await states(gateway) else None

    await until(settled, "the entry is settled")
    assert len(sim.get("journal")) == 1


async def states(gateway: Gateway) -> list[str]:
    return [row["state"] for row in await query(gateway, "SELECT state FROM work")]


async def notes(gateway: Gateway) -> list[str]:
    return [row["note"] for row in await query(gateway, "SELECT note FROM work WHERE note IS NOT NULL")]


async def dump(gateway: Gateway) -> str:
    tables = ("leads", "holds", "terms", "partners", "work", "streams", "inbox", "outbox")
    return "".join([str(await query(gateway, f"SELECT t::text FROM {table} t")) for table in tables])


async def query(gateway: Gateway, sql: str) -> list[Any]:
    connection = await asyncpg.connect(gateway.database)
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()
