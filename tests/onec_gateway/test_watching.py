"""Walk-ins of held clients, insiders who set a date back, and sales: noticed in 1C, and told with the evidence."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from chassis.migrations import upgrade
from tests.infra import DatabaseFactory
from tests.onec_gateway.process import Gateway, listening
from tests.process import until
from tests.simulators.tests.names import ENQUIRIES
from tests.simulators.tests.processes import ROOT, OneCSim

pytestmark = pytest.mark.infra

PHONE = "+79161234567"
PHONES = "Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация"


@pytest.fixture
async def gateway(
    fresh_topics: str, database_factory: DatabaseFactory, sim: OneCSim, tmp_path: Path
) -> AsyncIterator[Gateway]:
    database = database_factory(
        "onec_gateway", lambda url: upgrade(url, ROOT / "services" / "onec_gateway" / "migrations")
    )
    async with AIOKafkaProducer(bootstrap_servers=fresh_topics) as producer, listening(fresh_topics) as consumer:
        gateway = Gateway(fresh_topics, database, sim, tmp_path, producer, consumer)
        # Something to have seen, or there would be no number to compare with.
        sim.post("seed", {"full_name": "Первый Пётр", "phone": "+79035550000"})
        yield gateway
        gateway.stop()


def walks_in(sim: OneCSim, when: datetime) -> dict[str, Any]:
    order = {"full_name": "Клиентов Клим", "phone": PHONE, "date": when.isoformat()}
    entered: dict[str, Any] = sim.post("seed", order)["clients"][0]
    return entered


async def seen_first(sim: OneCSim) -> None:
    """Wait until the watching has come as far as the first enquiry."""

    async def looked() -> bool | None:
        return any("Number" in call["query"] and call["status"] == 200 for call in sim.get("calls")) or None

    await until(looked, "the first look of the watching")


async def test_walk_in_of_a_held_client_is_marked_in_1c_and_told_once(gateway: Gateway, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.partner("p1")
    lead, terms = await gateway.held(PHONE)
    walk_in = walks_in(sim, datetime.now(UTC) + timedelta(hours=1))

    collision = await gateway.heard("collision-detected")

    assert (collision["kind"], collision["enquiry"]) == ("later", walk_in["enquiry_ref"])
    assert (collision["lead_id"], collision["enquiry_number"]) == (str(lead.lead_id), walk_in["number"])

    async def marked() -> str | None:
        row = next(row for row in sim.get("general-journal") if row["ref"] == walk_in["enquiry_ref"])
        return row["comment"] or None

    comment = await until(marked, "the mark on the enquiry")
    assert comment.startswith(f"[Закреплён за партнёром Агентова Анна по {terms['reserved_through']:%d.%m.%Y};")
    assert (await gateway.verdict(await gateway.lead(PHONE, "p2")))["reason"] == "held-by-partner"
    assert len(gateway.told("collision-detected")) == 1


async def test_enquiry_backdated_after_the_confirmation_does_not_break_the_hold(gateway: Gateway, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.partner("p1")
    await seen_first(sim)
    lead, _ = await gateway.held(PHONE)
    walks_in(sim, datetime.now(UTC) - timedelta(days=30))

    collision = await gateway.heard("collision-detected")

    assert collision["kind"] == "backdated"
    assert collision["enquiry_date"] < collision["received_at"] < collision["first_seen_at"]
    assert collision["not_there_at"] is not None
    assert (await gateway.verdict(await gateway.lead(PHONE, "p2")))["evidence"] == str(lead.lead_id)


async def test_walk_in_is_noticed_though_1c_begins_its_numbers_again(gateway: Gateway, sim: OneCSim) -> None:
    (first,) = sim.get("general-journal")
    sim.call("PATCH", f"{ENQUIRIES}(guid'{first['ref']}')", {"Number": "0000-000900"})
    await gateway.start()
    await gateway.partner("p1")
    await seen_first(sim)
    await gateway.held(PHONE)
    walk_in = walks_in(sim, datetime.now(UTC) + timedelta(hours=1))

    collision = await gateway.heard("collision-detected")

    assert walk_in["number"] < "0000-000900"
    assert collision["enquiry"] == walk_in["enquiry_ref"]


async def test_enquiry_set_back_between_receipt_and_check_decides_and_is_told(gateway: Gateway, sim: OneCSim) -> None:
    await gateway.start()
    await seen_first(sim)
    sim.post("fault", {"mode": "lock_conflict", "match": {"set": PHONES}})
    lead = await gateway.lead(PHONE)
    walk_in = walks_in(sim, datetime.now(UTC) - timedelta(days=30))
    sim.post("fault", {"mode": "none"})

    rejected = await gateway.verdict(lead)

    assert (rejected["reason"], rejected["evidence"]) == ("known-to-builder", walk_in["enquiry_ref"])


async def test_enquiry_entered_between_the_check_and_the_entry_is_told_by_the_second_check(
    gateway: Gateway, sim: OneCSim, tmp_path: Path
) -> None:
    clock = tmp_path / "clock.json"
    gateway.settings |= {"ALLOW_CLOCK_SHIFT": "true", "CLOCK_FILE": str(clock), "ONEC_WATCH_EVERY": "PT1H"}
    await gateway.start()
    await gateway.partner("p1")
    lead = await gateway.lead(PHONE)
    confirmed = await gateway.verdict(lead)
    walk_in = walks_in(sim, datetime.now(UTC) - timedelta(hours=1))
    clock.write_text('{"shift_seconds": 120}')
    await gateway.opened(lead, confirmed["confirmed_at"])
    await gateway.journal()

    collision = await gateway.heard("collision-detected")
    assert (collision["kind"], collision["enquiry"]) == ("backdated", walk_in["enquiry_ref"])
    assert [entry["state"] for entry in sim.get("journal")] == ["Активен"]


async def test_enquiry_whose_date_is_changed_afterwards_is_told(gateway: Gateway, sim: OneCSim) -> None:
    gateway.settings["ONEC_REREAD_EVERY"] = "PT0.5S"
    await gateway.start()
    await gateway.partner("p1")
    await gateway.held(PHONE)
    walk_in = walks_in(sim, datetime.now(UTC) + timedelta(hours=1))
    await gateway.heard("collision-detected")

    back = datetime.now(UTC) - timedelta(days=3)
    sim.post("office", {"action": "redate", "enquiry_ref": walk_in["enquiry_ref"], "date": back.isoformat()})

    async def redated() -> dict[str, Any] | None:
        await gateway.listen()
        return next((one for one in gateway.told("collision-detected") if one["kind"] == "redated"), None)

    collision = await until(redated, "the changed date")
    assert collision["was_dated"] > collision["received_at"] > collision["enquiry_date"]


async def test_enquiry_deleted_and_entered_again_is_told_as_such(gateway: Gateway, sim: OneCSim) -> None:
    gateway.settings["ONEC_REREAD_EVERY"] = "PT0.5S"
    await gateway.start()
    await gateway.partner("p1")
    await gateway.held(PHONE)
    walk_in = walks_in(sim, datetime.now(UTC) + timedelta(hours=1))
    await gateway.heard("collision-detected")
    sim.post("office", {"action": "delete", "enquiry_ref": walk_in["enquiry_ref"], "physically": True})

    async def gone() -> bool | None:
        found = await gateway.query("SELECT body FROM facts WHERE kind = 'sighting'")
        return any('"deleted": true' in row["body"] for row in found) or None

    await until(gone, "the deletion is seen")
    walks_in(sim, datetime.now(UTC) + timedelta(hours=1))

    async def again() -> bool | None:
        await gateway.listen()
        return any(one["kind"] == "entered-again" for one in gateway.told("collision-detected")) or None

    await until(again, "it was entered again")


async def test_sale_to_a_held_client_is_told_once_and_so_is_its_cancellation(gateway: Gateway, sim: OneCSim) -> None:
    gateway.settings["ONEC_REREAD_EVERY"] = "PT0.5S"
    await gateway.start()
    await gateway.partner("p1")
    lead, _ = await gateway.held(PHONE)

    order = {"full_name": "Клиентов Клим", "phone": PHONE, "amount": 12450000, "contract_number": "ДДУ-7"}
    sold = sim.post("office", {"action": "sell", **order})
    closed = await gateway.heard("deal-closed")

    assert (closed["lead_id"], closed["deal"]) == (str(lead.lead_id), sold["deal_ref"])
    assert (closed["amount"], closed["currency"], closed["contract_number"]) == ("12450000.00", "RUB", "ДДУ-7")
    assert (await gateway.verdict(await gateway.lead(PHONE, "p2")))["reason"] == "held-by-partner"

    sim.post("office", {"action": "cancel-sale", "deal_ref": sold["deal_ref"]})

    assert (await gateway.heard("deal-cancelled"))["deal"] == sold["deal_ref"]
    assert len(gateway.told("deal-closed")) == len(gateway.told("deal-cancelled")) == 1


async def test_client_who_has_bought_is_nobodys_lead(gateway: Gateway, sim: OneCSim) -> None:
    sim.post("office", {"action": "sell", "full_name": "Клиентов Клим", "phone": PHONE, "amount": 1})
    await gateway.start()

    assert (await gateway.verdict(await gateway.lead(PHONE)))["reason"] == "already-sold"
