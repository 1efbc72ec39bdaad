"""What 1C is asked, and that no client it knows is missed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.search import Search
from tests.onec_gateway.office import CALL, ENQUIRIES, PHONE, enquiry
from tests.simulators.tests.processes import OneCSim


@pytest.mark.parametrize("form", ["digits", "formatted", "short", "dashed", "presentation"])
async def test_client_is_found_in_every_form_a_phone_is_kept_in(sim: OneCSim, search: Search, form: str) -> None:
    known = enquiry(sim, form=form)

    (one,) = (await search.clients(CALL, [PHONE]))[PHONE].enquiries

    assert (one.ref, one.number, one.ours) == (known["enquiry_ref"], known["number"], False)
    assert one.date == datetime(2026, 3, 14, 9, tzinfo=UTC)


@pytest.mark.parametrize("said", ["12-34-567", "1234 567", "доб. 1, +7 (495) 111-22-33; 8 916 12 34 567"])
async def test_client_is_found_however_the_digits_are_grouped(sim: OneCSim, search: Search, said: str) -> None:
    known = enquiry(sim, form="presentation")
    card = sim.rows("Catalog_CRM_ПотенциальныеКлиенты")[0]
    (row,) = card["КонтактнаяИнформация"]
    changed = {**row, "Представление": said, "НомерТелефона": said[:20]}
    sim.call(
        "PATCH", f"Catalog_CRM_ПотенциальныеКлиенты(guid'{known['client_ref']}')", {"КонтактнаяИнформация": [changed]}
    )

    assert (await search.clients(CALL, [PHONE]))[PHONE].cards == (known["client_ref"],)


async def test_stranger_with_the_same_last_digits_is_not_the_client(sim: OneCSim, search: Search) -> None:
    enquiry(sim, phone="+74951234567")

    assert (await search.clients(CALL, [PHONE]))[PHONE].enquiries == ()


async def test_enquiry_marked_for_deletion_does_not_count(sim: OneCSim, search: Search) -> None:
    known = enquiry(sim)
    sim.post("office", {"action": "delete", "enquiry_ref": known["enquiry_ref"]})

    assert (await search.clients(CALL, [PHONE]))[PHONE].enquiries == ()


@pytest.mark.parametrize(("web_server", "requests"), [("iis", 12), ("apache", 4)])
async def test_many_clients_are_asked_about_in_few_requests_that_the_web_server_takes(
    sim: OneCSim, search: Search, onec: OneC, web_server: str, requests: int
) -> None:
    sim.post("access", {"profile": web_server})
    onec._web_server = web_server  # type: ignore[assignment]
    wanted = [f"+7916123{n:04d}" for n in range(30)]
    known = {phone: enquiry(sim, phone=phone)["enquiry_ref"] for phone in wanted[::10]}

    found = await search.clients(CALL, wanted)

    assert {phone: one.enquiries[0].ref for phone, one in found.items() if one.enquiries} == known
    calls = sim.get("calls")
    assert {call["status"] for call in calls} == {200}
    assert len(calls) <= requests + 2  # one for the enquiries of the cards, one for their sales


async def test_no_address_has_a_plus_for_a_space(onec: OneC, search: Search) -> None:
    queries: list[bytes] = []
    send = onec._http.send

    async def noted(request: httpx.Request, **options: Any) -> httpx.Response:
        queries.append(request.url.query)
        return await send(request, **options)

    onec._http.send = noted  # type: ignore[method-assign]
    await search.clients(CALL, [PHONE])

    assert queries
    assert all(b"+" not in query for query in queries)


async def test_sale_of_a_client_is_found_with_its_money(sim: OneCSim, search: Search) -> None:
    known = enquiry(sim)
    sold = sim.post(
        "office",
        {
            "action": "sell",
            "client_ref": known["client_ref"],
            "amount": 12450000.1,
            "contract_number": "ДДУ-1",
            "contract_date": "2026-06-18T00:00:00+03:00",
        },
    )

    (deal,) = (await search.clients(CALL, [PHONE]))[PHONE].deals

    assert (deal.ref, deal.amount, deal.currency) == (sold["deal_ref"], Decimal("12450000.10"), "RUB")
    assert (deal.contract_number, deal.contract_date.isoformat(), deal.cancelled) == ("ДДУ-1", "2026-06-18", False)

    sim.post("office", {"action": "cancel-sale", "deal_ref": sold["deal_ref"]})

    (deal,) = await search.deals_by_ref(CALL, [sold["deal_ref"]])
    assert deal.cancelled


async def test_enquiry_entered_later_is_found_by_its_number_whatever_its_date(sim: OneCSim, search: Search) -> None:
    first = enquiry(sim)
    later = enquiry(sim, phone="+79160000001", when="2020-01-01T00:00:00+03:00")

    new = await search.enquiries_since(CALL, number=first["number"], date=None, limit=100)

    assert [one.ref for one in new] == [later["enquiry_ref"]]


async def test_all_that_is_new_is_read_however_small_the_portions(sim: OneCSim, search: Search) -> None:
    entered = [enquiry(sim, phone=f"+7916000000{n}")["enquiry_ref"] for n in range(5)]

    new = await search.enquiries_since(CALL, number=None, date=datetime(2026, 3, 1, tzinfo=UTC), limit=2)

    assert [one.ref for one in new] == entered


async def test_phones_of_a_card_and_of_the_staff_come_as_e164(sim: OneCSim, search: Search) -> None:
    known = enquiry(sim, form="formatted")
    sim.post("office", {"action": "employ", "full_name": "Сотрудников Сидор", "phone": "8 (916) 765-43-21"})

    assert await search.phones_of(CALL, [known["client_ref"]]) == {known["client_ref"]: (PHONE,)}
    assert await search.staff_phones(CALL) == {"+79167654321"}


async def test_enquiry_that_is_gone_is_not_among_those_read_again(sim: OneCSim, search: Search) -> None:
    known = enquiry(sim)
    sim.post("office", {"action": "redate", "enquiry_ref": known["enquiry_ref"], "date": "2026-03-01T12:00:00+03:00"})
    (again,) = await search.enquiries_by_ref(CALL, [known["enquiry_ref"]])
    assert again.date == datetime(2026, 3, 14, 9, tzinfo=UTC) - timedelta(days=13)

    sim.post("office", {"action": "delete", "enquiry_ref": known["enquiry_ref"], "physically": True})

    assert await search.enquiries_by_ref(CALL, [known["enquiry_ref"]]) == []
    assert sim.rows(ENQUIRIES) == []
