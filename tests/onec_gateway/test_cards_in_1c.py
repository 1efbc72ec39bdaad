"""Cards that the office enters in 1C: since when each is known, and whose phones are on it, in few requests."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from contracts.leads import LeadSubmitted
from services.onec_gateway.onec import mapping
from services.onec_gateway.onec.exchange import Exchange
from services.onec_gateway.onec.search import Search
from tests.onec_gateway.conftest import MOSCOW, connected
from tests.onec_gateway.harness import Harness
from tests.onec_gateway.office import CALL, PHONE
from tests.onec_gateway.test_operator import command, read
from tests.process import until
from tests.simulators.tests.names import CARDS
from tests.simulators.tests.processes import OneCSim

pytestmark = pytest.mark.infra

OTHER = "+79035557788"


def act(sim: OneCSim, action: str, **order: Any) -> dict[str, Any]:
    done: dict[str, Any] = sim.post("office", {"action": action, **order})
    return done


def enter_card(sim: OneCSim, *phones: str) -> str:
    """The office enters a card with these phones; its reference."""
    card = str(act(sim, "enter-card", full_name="Клиентов Клим", phone=phones[0])["client_ref"])
    for phone in phones[1:]:
        act(sim, "add-phone", client_ref=card, phone=phone)
    return card


async def looked_at_cards(gateway: Harness) -> None:
    """Wait until the watch has read all cards of 1C once more."""
    began = datetime.now(UTC)

    async def complete() -> bool | None:
        found = await gateway.query("SELECT at FROM watch_places WHERE journal = 'cards' AND series = ''")
        return bool(found and found[0]["at"] >= began) or None

    await until(complete, "all cards were read")


async def state_of(gateway: Harness, lead: LeadSubmitted) -> tuple[str, str | None]:
    """The status of a lead and what it waits for."""
    (row,) = await gateway.query(f"SELECT status, waits_for FROM leads WHERE lead_id = '{lead.lead_id}'")
    return row["status"], row["waits_for"]


async def wait_for_state(gateway: Harness, lead: LeadSubmitted, *expected: str | None) -> None:
    async def reached() -> bool | None:
        found = await gateway.query(f"SELECT 1 FROM leads WHERE lead_id = '{lead.lead_id}'")
        return (bool(found) and await state_of(gateway, lead) == expected) or None

    await until(reached, f"the lead is {expected}")


async def submit_while_locked(gateway: Harness, sim: OneCSim, phones: Sequence[str]) -> list[LeadSubmitted]:
    """Leads of several partners that the gateway has, while 1C lets nobody in."""
    sim.post("fault", {"mode": "infobase_locked"})
    leads = [await gateway.submit(phone, f"p{n}") for n, phone in enumerate(phones, 1)]
    for lead in leads:
        await wait_for_state(gateway, lead, "under-review", None)
    return leads


# --- what the check reads


async def test_check_reads_every_phone_of_a_found_card_in_one_more_request(sim: OneCSim) -> None:
    exchanges: list[Exchange] = []
    search = Search(connected(sim, exchanges), mapping.load(), MOSCOW)
    card = enter_card(sim, PHONE, OTHER)
    act(sim, "add-phone", client_ref=card, text="дом. 765-43-21")

    (held,) = (await search.clients(CALL, [PHONE]))[PHONE].held

    assert held.ref == card
    assert held.numbers.full >= {PHONE, OTHER}
    assert held.numbers.tails == {"7654321"}
    assert [exchange.set for exchange in exchanges].count(CARDS) == 1
    assert len(exchanges) == 4


async def test_check_of_a_client_without_a_card_costs_one_request(sim: OneCSim) -> None:
    exchanges: list[Exchange] = []
    search = Search(connected(sim, exchanges), mapping.load(), MOSCOW)

    assert (await search.clients(CALL, [PHONE]))[PHONE].held == ()
    assert len(exchanges) == 1


async def test_card_marked_for_deletion_is_no_card_of_the_client(sim: OneCSim, search: Search) -> None:
    card = enter_card(sim, PHONE)
    sim.call("PATCH", f"{CARDS}(guid'{card}')", {"DeletionMark": True})

    records = (await search.clients(CALL, [PHONE]))[PHONE]

    assert (records.cards, records.held) == ((card,), ())


@pytest.mark.parametrize(
    ("date", "created", "before"),
    [
        ("2026-03-14T12:00:01", datetime(2026, 3, 14, 9, 0, 1, tzinfo=UTC), None),
        ("2026-03-14T00:00:00", datetime(2026, 3, 13, 21, tzinfo=UTC), datetime(2026, 3, 14, 21, tzinfo=UTC)),
        ("0001-01-01T00:00:00", None, None),
    ],
)
async def test_mapped_date_of_creation_is_read(
    sim: OneCSim, date: str, created: datetime | None, before: datetime | None
) -> None:
    names = mapping.load()
    names = names.model_copy(update={"clients": names.clients.model_copy(update={"created": "ДатаСоздания"})})
    card = enter_card(sim, PHONE)
    sim.call("PATCH", f"{CARDS}(guid'{card}')", {"ДатаСоздания": date})

    (held,) = (await Search(connected(sim, []), names, MOSCOW).clients(CALL, [PHONE]))[PHONE].held

    assert (held.created, held.created_before) == (created, before)


# --- a card without an enquiry


async def test_card_without_an_enquiry_rejects_a_lead(gateway: Harness, sim: OneCSim) -> None:
    card = enter_card(sim, PHONE)
    await gateway.start()
    await looked_at_cards(gateway)

    verdict = await gateway.verdict_of(await gateway.submit(PHONE))

    assert (verdict["reason"], verdict["rule"], verdict["evidence"]) == ("known-to-builder", "card", card)

    async def measured() -> bool | None:
        async with httpx.AsyncClient(base_url=gateway.instances[-1].admin) as client:
            metrics = (await client.get("/metrics")).text
            return 'truce_onec_card_refusals_share{service="onec-gateway"} 1.0' in metrics or None

    await until(measured, "the share of refusals by a card", 60)


async def test_card_entered_after_the_lead_does_not_block_and_is_published(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    await looked_at_cards(gateway)
    (lead,) = await submit_while_locked(gateway, sim, [PHONE])
    card = enter_card(sim, PHONE)
    sim.post("fault", {"mode": "none"})

    await gateway.verdict_of(lead)
    collision = await gateway.wait_for("collision-detected")

    assert (await state_of(gateway, lead))[0] == "confirmed"
    assert (collision["kind"], collision["card"], collision["evidence"]["first"]) == ("card", card, "lead")


async def test_people_decide_about_a_card_if_the_last_look_is_too_old(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start(ONEC_CARD_LOOK_AGE="PT0.001S")
    await looked_at_cards(gateway)
    (lead,) = await submit_while_locked(gateway, sim, [PHONE])
    enter_card(sim, PHONE)
    sim.post("fault", {"mode": "none"})

    await wait_for_state(gateway, lead, "under-review", "people")

    (listed,) = await read(gateway, "waiting")
    assert (listed["kind"], listed["waits_for"]) == ("lead-under-review", "people")


async def test_baseline_is_resumed_where_it_stopped(gateway: Harness, sim: OneCSim) -> None:
    began = datetime.now(UTC) - timedelta(days=3)
    early, _ = sorted([enter_card(sim, PHONE), enter_card(sim, OTHER)])
    await gateway.query(
        "INSERT INTO watch_places (journal, series, position, at, after)"
        f" VALUES ('cards', 'baseline', 0, '{began.isoformat()}', '{early}')"
    )
    await gateway.start()

    async def complete() -> list[Any] | None:
        return await gateway.query("SELECT at FROM watch_places WHERE journal = 'cards' AND series = ''") or None

    await until(complete, "the end of the baseline")
    look = next(call for call in sim.get("calls") if "DataVersion" in call["query"])
    assert f"gt guid'{early}'" in look["query"]
    (baseline,) = await gateway.query("SELECT at FROM watch_places WHERE series = 'baseline'")
    assert baseline["at"] == began


# --- several phones on one card


async def test_two_partners_on_two_phones_of_one_card_are_never_both_confirmed(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    for partner in ("p1", "p2"):
        await gateway.add_partner(partner)
    await looked_at_cards(gateway)
    first, second = await submit_while_locked(gateway, sim, [PHONE, OTHER])
    card = enter_card(sim, PHONE, OTHER)
    sim.post("fault", {"mode": "none"})

    await wait_for_state(gateway, first, "confirmed", None)
    await wait_for_state(gateway, second, "under-review", "same-card")

    async def published() -> dict[str, Any] | None:
        await gateway.receive()
        return next((one for one in gateway.received("collision-detected") if one["kind"] == "same-card"), None)

    collision = await until(published, "the collision of two partners")
    assert (collision["lead_id"], collision["card"]) == (str(second.lead_id), card)
    assert (collision["other_lead_id"], collision["other_partner_id"]) == (str(first.lead_id), "p1")
    (listed,) = [one for one in await read(gateway, "waiting") if one["lead_id"] == str(second.lead_id)]
    assert (listed["kind"], listed["waits_for"]) == ("lead-under-review", "same-card")
    printed = await command(gateway, "release", str(second.lead_id), "--confirm", "--who", "Иванова", "--why", "разные")
    assert "подтверждён" in printed


async def test_card_merged_after_two_confirmations_is_published(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    for partner in ("p1", "p2"):
        await gateway.add_partner(partner)
    await gateway.hold(PHONE, "p1")
    second, _ = await gateway.hold(OTHER, "p2")

    card = enter_card(sim, PHONE, OTHER)
    collision = await gateway.wait_for("collision-detected")

    assert (collision["kind"], collision["card"], collision["lead_id"]) == ("same-card", card, str(second.lead_id))
    assert collision["other_partner_id"] == "p1"
    await looked_at_cards(gateway)
    await gateway.receive()
    assert len(gateway.received("collision-detected")) == 1


async def test_same_partner_on_a_second_phone_of_a_card_has_the_client_already(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start(ONEC_CARD_BLOCKS="false")
    await gateway.add_partner("p1")
    enter_card(sim, PHONE, OTHER)
    await gateway.hold(PHONE)

    verdict = await gateway.verdict_of(await gateway.submit(OTHER))

    assert (verdict["reason"], verdict["rule"]) == ("already-yours", "own-card")
