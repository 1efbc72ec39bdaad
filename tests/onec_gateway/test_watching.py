"""The watch of 1C: walk-ins of held clients, backdated enquiries and sales are published with their evidence."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.onec_gateway.harness import Harness
from tests.process import until
from tests.simulators.tests.names import ENQUIRIES
from tests.simulators.tests.processes import OneCSim

pytestmark = pytest.mark.infra

PHONE = "+79161234567"
PHONES = "Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация"


@pytest.fixture(autouse=True)
def first_enquiry(sim: OneCSim) -> None:
    """1C has an enquiry, so that the watch has a document number to compare others with."""
    sim.post("seed", {"full_name": "Первый Пётр", "phone": "+79035550000"})


def walks_in(sim: OneCSim, when: datetime) -> dict[str, Any]:
    order = {"full_name": "Клиентов Клим", "phone": PHONE, "date": when.isoformat()}
    entered: dict[str, Any] = sim.post("seed", order)["clients"][0]
    return entered


async def first_read(sim: OneCSim) -> None:
    """Wait until the watch has read the first enquiry."""

    async def looked() -> bool | None:
        return any("Number" in call["query"] and call["status"] == 200 for call in sim.get("calls")) or None

    await until(looked, "the first read of the watch")


async def test_walk_in_of_a_held_client_is_marked_in_1c_and_published_once(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    lead, fields = await gateway.hold(PHONE)
    walk_in = walks_in(sim, datetime.now(UTC) + timedelta(hours=1))

    collision = await gateway.wait_for("collision-detected")

    assert (collision["kind"], collision["enquiry"]) == ("later", walk_in["enquiry_ref"])
    assert (collision["lead_id"], collision["enquiry_number"]) == (str(lead.lead_id), walk_in["number"])

    async def marked() -> str | None:
        row = next(row for row in sim.get("general-journal") if row["ref"] == walk_in["enquiry_ref"])
        return row["comment"] or None

    comment = await until(marked, "the mark on the enquiry")
    assert comment.startswith(f"[Закреплён за партнёром Агентова Анна по {fields['reserved_through']:%d.%m.%Y};")
    assert (await gateway.verdict_of(await gateway.submit(PHONE, "p2")))["reason"] == "held-by-partner"
    assert len(gateway.received("collision-detected")) == 1


async def test_first_attempt_of_a_mark_succeeds(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    await gateway.hold(PHONE)
    walks_in(sim, datetime.now(UTC) + timedelta(hours=1))

    async def done() -> list[Any] | None:
        return await gateway.query("SELECT attempts FROM work WHERE kind = 'mark-enquiry' AND state = 'done'") or None

    (row,) = await until(done, "the mark")
    assert row["attempts"] == 1


async def test_enquiry_backdated_after_the_confirmation_leaves_the_hold(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    await first_read(sim)
    lead, _ = await gateway.hold(PHONE)
    walks_in(sim, datetime.now(UTC) - timedelta(days=30))

    collision = await gateway.wait_for("collision-detected")

    assert collision["kind"] == "backdated"
    assert collision["enquiry_date"] < collision["received_at"] < collision["first_seen_at"]
    assert collision["not_there_at"] is not None
    assert (await gateway.verdict_of(await gateway.submit(PHONE, "p2")))["evidence"] == str(lead.lead_id)


async def test_walk_in_is_noticed_after_1c_begins_its_numbering_again(gateway: Harness, sim: OneCSim) -> None:
    (first,) = sim.get("general-journal")
    sim.call("PATCH", f"{ENQUIRIES}(guid'{first['ref']}')", {"Number": "0000-000900"})
    await gateway.start()
    await gateway.add_partner("p1")
    await first_read(sim)
    await gateway.hold(PHONE)
    walk_in = walks_in(sim, datetime.now(UTC) + timedelta(hours=1))

    collision = await gateway.wait_for("collision-detected")

    assert walk_in["number"] < "0000-000900"
    assert collision["enquiry"] == walk_in["enquiry_ref"]


async def test_enquiry_backdated_between_receipt_and_check_rejects_the_lead(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await first_read(sim)
    sim.post("fault", {"mode": "lock_conflict", "match": {"set": PHONES}})
    lead = await gateway.submit(PHONE)
    walk_in = walks_in(sim, datetime.now(UTC) - timedelta(days=30))
    sim.post("fault", {"mode": "none"})

    rejected = await gateway.verdict_of(lead)

    assert (rejected["reason"], rejected["evidence"]) == ("known-to-builder", walk_in["enquiry_ref"])


async def test_enquiry_entered_between_check_and_journal_entry_is_published(
    gateway: Harness, sim: OneCSim, tmp_path: Path
) -> None:
    clock = tmp_path / "clock.json"
    gateway.settings |= {"ALLOW_CLOCK_SHIFT": "true", "CLOCK_FILE": str(clock), "ONEC_WATCH_EVERY": "PT1H"}
    await gateway.start()
    await gateway.add_partner("p1")
    lead = await gateway.submit(PHONE)
    confirmed = await gateway.verdict_of(lead)
    walk_in = walks_in(sim, datetime.now(UTC) - timedelta(hours=1))
    clock.write_text('{"shift_seconds": 120}')
    await gateway.open(lead, confirmed["confirmed_at"])
    await gateway.wait_for_journal()

    collision = await gateway.wait_for("collision-detected")
    assert (collision["kind"], collision["enquiry"]) == ("backdated", walk_in["enquiry_ref"])
    assert [entry["state"] for entry in sim.get("journal")] == ["Активен"]


async def test_enquiry_whose_date_is_changed_afterwards_is_published(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    await gateway.hold(PHONE)
    walk_in = walks_in(sim, datetime.now(UTC) + timedelta(hours=1))
    await gateway.wait_for("collision-detected")

    back = datetime.now(UTC) - timedelta(days=3)
    sim.post("office", {"action": "redate", "enquiry_ref": walk_in["enquiry_ref"], "date": back.isoformat()})

    async def redated() -> dict[str, Any] | None:
        await gateway.receive()
        return next((one for one in gateway.received("collision-detected") if one["kind"] == "redated"), None)

    collision = await until(redated, "the changed date")
    assert collision["was_dated"] > collision["received_at"] > collision["enquiry_date"]


async def test_enquiry_deleted_and_entered_again_is_published_as_such(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    await gateway.hold(PHONE)
    walk_in = walks_in(sim, datetime.now(UTC) + timedelta(hours=1))
    await gateway.wait_for("collision-detected")
    sim.post("office", {"action": "delete", "enquiry_ref": walk_in["enquiry_ref"], "physically": True})

    async def gone() -> bool | None:
        found = await gateway.query("SELECT body FROM facts WHERE kind = 'sighting'")
        return any('"deleted": true' in row["body"] for row in found) or None

    await until(gone, "the deletion is seen")
    walks_in(sim, datetime.now(UTC) + timedelta(hours=1))

    async def again() -> bool | None:
        await gateway.receive()
        return any(one["kind"] == "entered-again" for one in gateway.received("collision-detected")) or None

    await until(again, "the enquiry was entered again")


async def test_sale_to_a_held_client_and_its_cancellation_are_published_once_each(
    gateway: Harness, sim: OneCSim
) -> None:
    gateway.settings["ONEC_REREAD_EVERY"] = "PT0.5S"
    await gateway.start()
    await gateway.add_partner("p1")
    lead, _ = await gateway.hold(PHONE)

    order = {"full_name": "Клиентов Клим", "phone": PHONE, "amount": 12450000, "contract_number": "ДДУ-7"}
    sold = sim.post("office", {"action": "sell", **order})
    closed = await gateway.wait_for("deal-closed")

    assert (closed["lead_id"], closed["deal"]) == (str(lead.lead_id), sold["deal_ref"])
    assert (closed["amount"], closed["currency"], closed["contract_number"]) == ("12450000.00", "RUB", "ДДУ-7")
    assert (await gateway.verdict_of(await gateway.submit(PHONE, "p2")))["reason"] == "held-by-partner"

    sim.post("office", {"action": "cancel-sale", "deal_ref": sold["deal_ref"]})

    assert (await gateway.wait_for("deal-cancelled"))["deal"] == sold["deal_ref"]
    assert len(gateway.received("deal-closed")) == len(gateway.received("deal-cancelled")) == 1


async def test_lead_of_a_client_who_has_bought_is_rejected_as_already_sold(gateway: Harness, sim: OneCSim) -> None:
    sim.post("office", {"action": "sell", "full_name": "Клиентов Клим", "phone": PHONE, "amount": 1})
    await gateway.start()

    assert (await gateway.verdict_of(await gateway.submit(PHONE)))["reason"] == "already-sold"


@pytest.mark.long
async def test_second_series_of_50000_enquiries_costs_few_requests_at_an_interval(
    gateway: Harness, sim: OneCSim
) -> None:
    sim.post("office", {"action": "fill-series", "prefix": "ФР00-", "count": 50_000})
    gateway.settings["ONEC_WATCH_EVERY"] = "PT2S"
    await gateway.start()
    await gateway.add_partner("p1")

    async def complete() -> bool | None:
        found = await gateway.query("SELECT 1 FROM watch_places WHERE journal = 'enquiries' AND series = ''")
        return bool(found) or None

    await until(complete, "all enquiries were read", 300)
    await gateway.hold(PHONE)
    walk_in = walks_in(sim, datetime.now(UTC) - timedelta(days=30))
    assert (await gateway.wait_for("collision-detected"))["enquiry"] == walk_in["enquiry_ref"]

    exchanges = await gateway.query(
        "SELECT at, operation, ms FROM exchanges WHERE operation LIKE 'watch-%' OR operation LIKE 'look-%'"
    )
    intervals = sum(row["operation"] == "watch-enquiries" for row in exchanges)
    by_operation = {
        name: sum(row["operation"] == name for row in exchanges) for name in {row["operation"] for row in exchanges}
    }
    assert len(exchanges) <= 7 * intervals, by_operation


async def test_a_part_of_the_watch_that_fails_stops_no_other_part_and_no_process(
    gateway: Harness, sim: OneCSim
) -> None:
    sim.post("office", {"action": "employ", "full_name": "Сотрудников Сидор", "phone": "8 916 765-43-21"})
    await gateway.query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'as the test demands'; END $$"
    )
    await gateway.query(
        "CREATE TRIGGER refuse BEFORE INSERT ON facts FOR EACH ROW WHEN (NEW.ref = 'staff') EXECUTE FUNCTION refuse()"
    )
    started = await gateway.start()
    await gateway.add_partner("p1")
    await gateway.hold(PHONE)
    walks_in(sim, datetime.now(UTC) + timedelta(hours=1))

    assert (await gateway.wait_for("collision-detected"))["kind"] == "later"

    async with httpx.AsyncClient(base_url=started.admin) as admin:

        async def failed() -> str | None:
            ready = await admin.get("/health/ready")
            assert ready.status_code == 200
            tasks: str | None = ready.json().get("reasons", {}).get("tasks")
            return tasks

        reason = await until(failed, "health names the watch")
        assert reason.startswith("onec-watch has failed ")
        assert "RaiseError" in reason
        await gateway.query("DROP TRIGGER refuse ON facts")

        async def healthy() -> bool | None:
            return True if (await admin.get("/health/ready")).json() == {"status": "ok"} else None

        await until(healthy, "the watch has recovered")
    assert started.process.poll() is None
