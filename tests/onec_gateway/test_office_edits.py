"""What people do in 1C to hide a walk-in of a held client, or to favour a partner, is noticed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.onec_gateway.harness import Harness
from tests.onec_gateway.test_watching import PHONE, first_read, walks_in
from tests.process import until
from tests.simulators.tests.names import ENQUIRIES
from tests.simulators.tests.processes import OneCSim

pytestmark = pytest.mark.infra

LONG_AGO = datetime.now(UTC) - timedelta(days=200)


@pytest.fixture(autouse=True)
def first_enquiry(sim: OneCSim) -> None:
    """1C has an enquiry, so that the watch has a document number to compare others with."""
    sim.post("seed", {"full_name": "Первый Пётр", "phone": "+79035550000"})


async def noticed(gateway: Harness, enquiry_ref: str) -> dict[str, Any]:
    """Wait for the collision with this enquiry."""

    async def arrived() -> dict[str, Any] | None:
        await gateway.receive()
        return next((one for one in gateway.received("collision-detected") if one["enquiry"] == enquiry_ref), None)

    found: dict[str, Any] = await until(arrived, "the collision")
    return found


async def looked_at_all(gateway: Harness) -> None:
    """Wait until the watch has read all enquiries of 1C."""

    async def complete() -> bool | None:
        found = await gateway.query("SELECT 1 FROM watch_places WHERE journal = 'enquiries' AND series = ''")
        return bool(found) or None

    await until(complete, "all enquiries were read")


def act(sim: OneCSim, action: str, **order: Any) -> dict[str, Any]:
    done: dict[str, Any] = sim.post("office", {"action": action, **order})
    return done


async def test_phone_that_is_added_to_a_card_later_is_noticed(gateway: Harness, sim: OneCSim) -> None:
    order = {"full_name": "Другой Денис", "phone": "+79160000001", "date": LONG_AGO.isoformat()}
    old = sim.post("seed", order)["clients"][0]
    await gateway.start()
    await gateway.add_partner("p1")
    await looked_at_all(gateway)
    await gateway.hold(PHONE)

    act(sim, "add-phone", client_ref=old["client_ref"], phone=PHONE)

    collision = await noticed(gateway, old["enquiry_ref"])
    assert (collision["kind"], collision["evidence"]["first"]) == ("reassigned", "unclear")
    assert collision["evidence"]["in_1c_at"] < collision["received_at"] < collision["not_there_at"]


async def test_enquiry_that_is_pointed_at_another_card_is_noticed(gateway: Harness, sim: OneCSim) -> None:
    order = {"full_name": "Другой Денис", "phone": "+79160000001", "date": LONG_AGO.isoformat()}
    old = sim.post("seed", order)["clients"][0]
    await gateway.start()
    await gateway.add_partner("p1")
    await looked_at_all(gateway)
    await gateway.hold(PHONE)
    card = act(sim, "enter-card", full_name="Клиентов Клим", phone=PHONE)["client_ref"]

    act(sim, "attach", enquiry_ref=old["enquiry_ref"], client_ref=card)

    assert (await noticed(gateway, old["enquiry_ref"]))["kind"] == "reassigned"


async def test_enquiry_that_is_pointed_at_another_card_right_after_its_entry_is_noticed(
    gateway: Harness, sim: OneCSim
) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    await gateway.hold(PHONE)
    card = act(sim, "enter-card", full_name="Клиентов Клим", phone=PHONE)["client_ref"]
    order = {"full_name": "Другой Денис", "phone": "+79160000001", "date": datetime.now(UTC).isoformat()}
    other = sim.post("seed", order)["clients"][0]

    async def read() -> bool | None:
        found = await gateway.query(f"SELECT 1 FROM enquiries WHERE ref = '{other['enquiry_ref']}'")
        return bool(found) or None

    await until(read, "the enquiry of the other client is read")
    act(sim, "attach", enquiry_ref=other["enquiry_ref"], client_ref=card)

    await noticed(gateway, other["enquiry_ref"])


async def test_copy_of_our_own_enquiry_is_noticed_and_ours_is_not(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    lead, fields = await gateway.hold(PHONE)
    await gateway.expire(fields)

    async def handed_over() -> dict[str, Any] | None:
        return next((row for row in sim.get("general-journal") if "truce:" in row["comment"]), None)

    ours = await until(handed_over, "the client is handed over")
    await gateway.give_back(fields)

    async def taken_back() -> bool | None:
        rows = sim.get("general-journal")
        return next(row["deletion_mark"] for row in rows if row["ref"] == ours["ref"]) or None

    await until(taken_back, "the client is taken back")
    copy = act(sim, "copy", enquiry_ref=ours["ref"], date=(datetime.now(UTC) + timedelta(hours=1)).isoformat())

    collision = await noticed(gateway, copy["enquiry_ref"])
    assert collision["lead_id"] == str(lead.lead_id)
    assert {one["enquiry"] for one in gateway.received("collision-detected")} == {copy["enquiry_ref"]}


async def test_walk_in_of_a_second_prefix_with_an_old_date_is_noticed(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    await first_read(sim)
    await gateway.hold(PHONE)
    act(sim, "numbering", prefix="!ФР0-")

    walk_in = walks_in(sim, LONG_AGO)

    assert walk_in["number"] < "0000-000001"
    assert (await noticed(gateway, walk_in["enquiry_ref"]))["kind"] == "backdated"


async def test_walk_in_that_is_dated_into_another_year_is_noticed(gateway: Harness, sim: OneCSim) -> None:
    act(sim, "numbering", by_year=True)
    sim.post("seed", [{"full_name": "Х", "phone": f"+790355500{n}"} for n in range(10, 80)])
    await gateway.start()
    await gateway.add_partner("p1")
    await first_read(sim)
    await gateway.hold(PHONE)

    walk_in = walks_in(sim, datetime.now(UTC) - timedelta(days=800))

    assert walk_in["number"] == "0000-000001"
    assert (await noticed(gateway, walk_in["enquiry_ref"]))["kind"] == "backdated"


async def test_walk_in_whose_number_a_person_lowered_is_noticed(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    await first_read(sim)
    await gateway.hold(PHONE)
    with_fault = {"mode": "infobase_locked", "match": {"set": ENQUIRIES}}
    sim.post("fault", with_fault)
    walk_in = walks_in(sim, LONG_AGO)
    act(sim, "renumber", enquiry_ref=walk_in["enquiry_ref"], number="0000-000000")
    sim.post("fault", {"mode": "none"})

    await noticed(gateway, walk_in["enquiry_ref"])


async def test_walk_ins_noticed_before_a_kill_are_published_after_it(gateway: Harness, sim: OneCSim) -> None:
    process = await gateway.start()
    await gateway.add_partner("p1")
    await gateway.hold(PHONE)
    process.kill()
    walk_in = walks_in(sim, LONG_AGO)

    await gateway.start()

    await noticed(gateway, walk_in["enquiry_ref"])


async def test_enquiry_deleted_before_a_favourites_lead_is_published(gateway: Harness, sim: OneCSim) -> None:
    known = walks_in(sim, LONG_AGO)
    await gateway.start()
    await gateway.add_partner("p1")
    await looked_at_all(gateway)
    act(sim, "delete", enquiry_ref=known["enquiry_ref"], physically=True)

    lead, _ = await gateway.hold(PHONE)

    collision = await noticed(gateway, known["enquiry_ref"])
    assert (collision["kind"], collision["lead_id"]) == ("deleted-before", str(lead.lead_id))
    assert (collision["evidence"]["first"], collision["evidence"]["clock"]) == ("enquiry", "truce")
    assert collision["evidence"]["alive_at"] is not None


async def test_enquiry_marked_for_deletion_before_a_favourites_lead_is_published(
    gateway: Harness, sim: OneCSim
) -> None:
    known = walks_in(sim, LONG_AGO)
    await gateway.start()
    await gateway.add_partner("p1")
    await looked_at_all(gateway)
    act(sim, "delete", enquiry_ref=known["enquiry_ref"])

    await gateway.hold(PHONE)

    assert (await noticed(gateway, known["enquiry_ref"]))["kind"] == "deleted-before"


@pytest.mark.parametrize("typed", ["84951234567#12", "123-45-67"])
async def test_number_that_the_check_recognises_is_recognised_by_the_watch(
    gateway: Harness, sim: OneCSim, typed: str
) -> None:
    phone = "+74951234567"
    await gateway.start()
    await gateway.add_partner("p1")
    await gateway.hold(phone)
    order = {"full_name": "Клиентов Клим", "phone": "+79160000002", "date": datetime.now(UTC).isoformat()}
    walk_in = sim.post("seed", order)["clients"][0]

    act(sim, "add-phone", client_ref=walk_in["client_ref"], text=typed)

    await noticed(gateway, walk_in["enquiry_ref"])
    other = await gateway.submit(phone.replace("+7495", "+7916") if typed == "123-45-67" else phone, "p2")
    assert (await gateway.verdict_of(other))["reason"] in ("known-to-builder", "held-by-partner")
