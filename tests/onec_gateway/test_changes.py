"""Reading what is new in 1C by series and by date, and whole sets by portions; no page's edge hides a row."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.onec_gateway.domain.series import Place, Places, Series, series_of
from services.onec_gateway.onec import mapping
from services.onec_gateway.onec.changes import NEW_CARDS, Changes
from services.onec_gateway.onec.odata import WebServer
from services.onec_gateway.onec.search import Search
from tests.onec_gateway.conftest import MOSCOW, connected
from tests.onec_gateway.office import CALL, enquiry
from tests.simulators.tests.names import ENQUIRIES
from tests.simulators.tests.processes import OneCSim

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
SINCE = NOW - timedelta(days=1)
RECENT = NOW.isoformat()


def changes(sim: OneCSim, *, page: int = 500, portion: int = 2000, web_server: WebServer = "iis") -> Changes:
    onec, names = connected(sim, [], web_server=web_server), mapping.load()
    return Changes(onec, Search(onec, names, MOSCOW), names, MOSCOW, page=page, portion=portion)


def enter(sim: OneCSim, number: str, when: datetime = NOW) -> str:
    """An enquiry whose number a person typed; its reference."""
    date = when.astimezone(MOSCOW).replace(tzinfo=None).isoformat(timespec="seconds")
    made: dict[str, Any] = sim.call("POST", ENQUIRIES, {"Number": number, "Date": date}).json()
    return str(made["Ref_Key"])


async def read(reader: Changes, places: Places) -> set[str]:
    return {seen.ref for seen in await reader.new_enquiries(CALL, places, SINCE, NOW)}


def read_through(*numbers: str, year: int = 2026) -> Places:
    """The places after a read whose last numbers were these."""
    moment = datetime(year, 6, 1, tzinfo=UTC)
    places = Places(MOSCOW)
    places.advance(((number, moment) for number in numbers), NOW - timedelta(minutes=1))
    return places


@pytest.mark.parametrize("page", [1, 2, 3, 7, 8, 100])
async def test_equal_numbers_at_the_edge_of_a_page_are_all_read(sim: OneCSim, page: int) -> None:
    entered = {enter(sim, "0000-000007") for _ in range(7)} | {enter(sim, "0000-000008")}

    assert await read(changes(sim, page=page), Places(MOSCOW)) == entered


async def test_backdated_enquiry_is_found_by_its_number_in_every_series(sim: OneCSim) -> None:
    long_ago = NOW - timedelta(days=300)
    new = {enter(sim, "0000-000200", long_ago), enter(sim, "ФР00-000101", long_ago)}
    enter(sim, "0000-000100", long_ago)

    assert await read(changes(sim), read_through("0000-000199", "ФР00-000100")) == new


async def test_first_number_of_a_new_year_is_found_though_it_sorts_below_the_last(sim: OneCSim) -> None:
    places = read_through("0000-000900", year=2025)
    new = enter(sim, "0000-000001", NOW)

    assert await read(changes(sim), places) == {new}
    assert places.by_series[Series("0000-", 6, 2026)] == Place(1, NOW)


async def test_series_that_a_date_revealed_is_read_to_its_end_at_once(sim: OneCSim) -> None:
    by_date = enter(sim, "ФР00-000300")
    older = enter(sim, "ФР00-000301", NOW - timedelta(days=30))

    places = Places(MOSCOW)

    assert await read(changes(sim), places) == {by_date, older}
    assert places.absent_at("ФР00-000301", NOW - timedelta(days=30)) is None


async def test_second_series_is_not_read_whole_again(sim: OneCSim) -> None:
    sim.post("clock", {"now": RECENT})
    sim.post("office", {"action": "fill-series", "prefix": "ФР00-", "count": 400})
    enter(sim, "0000-000900")
    number, date = (sim.rows(ENQUIRIES, orderby="Number desc")[0][name] for name in ("Number", "Date"))
    places = read_through("0000-000899")
    series, position = series_of(number, datetime.fromisoformat(date).replace(tzinfo=MOSCOW), MOSCOW)
    places.by_series[series] = Place(position, NOW)

    found = await changes(sim).new_enquiries(CALL, places, SINCE, NOW)

    assert len(found) <= 51


@pytest.mark.parametrize("web_server", ["iis", "apache"])
async def test_many_series_fit_into_addresses_that_the_web_server_accepts(sim: OneCSim, web_server: WebServer) -> None:
    sim.post("access", {"profile": web_server})
    prefixes = [f"Ф{n:02d}-" for n in range(12)]
    entered = {enter(sim, f"{prefix}{n:06d}") for prefix in prefixes for n in range(1, 4)}

    places = read_through(*(f"{prefix}000001" for prefix in prefixes))

    assert await read(changes(sim, page=5, web_server=web_server), places) == entered
    assert all(
        call["status"] == 200 for call in sim.get("calls") if call["set"] == ENQUIRIES and call["method"] == "GET"
    )


@pytest.mark.parametrize("portion", [2, 3, 100])
async def test_every_enquiry_is_read_once_by_portions(sim: OneCSim, portion: int) -> None:
    entered = sorted(enquiry(sim, phone=f"+7916000000{n}")["enquiry_ref"] for n in range(6))
    reader, after, found = changes(sim, portion=portion), "", list[str]()
    while True:
        page = await reader.enquiries_after(CALL, after)
        found.extend(seen.ref for seen in page)
        if len(page) < portion:
            break
        after = page[-1].ref

    assert found == entered


async def test_version_of_a_card_changes_with_its_phones(sim: OneCSim) -> None:
    card = enquiry(sim)["client_ref"]
    reader = changes(sim)
    before = await reader.cards_after(CALL, "")

    sim.post("office", {"action": "add-phone", "client_ref": card, "phone": "+79160000009"})

    after = await reader.cards_after(CALL, "")
    assert list(before) == list(after) == [card]
    assert before[card] != after[card]
    assert (await reader.numbers_of(CALL, [card], "", card))[card].hold("+79160000009")


async def test_phones_of_a_portion_of_new_cards_are_read_by_one_request(sim: OneCSim) -> None:
    cards = [enquiry(sim, phone=f"+791600000{n:02d}")["client_ref"] for n in range(NEW_CARDS + 5)]
    reader = changes(sim)
    versions = list(await reader.cards_after(CALL, ""))
    before = len(sim.get("calls"))

    numbers = await reader.numbers_of(CALL, versions, "", versions[-1])

    assert len(sim.get("calls")) - before == 1
    assert all(numbers[card].hold(f"+791600000{n:02d}") for n, card in enumerate(cards))
