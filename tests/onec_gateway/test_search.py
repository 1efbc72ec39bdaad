"""Searching 1C: no client is missed, in whatever form the phone is stored, and requests are few."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.onec_gateway.onec import mapping, phones
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.marks import HISTORY, MARKER, is_handed_over
from services.onec_gateway.onec.odata import WebServer
from services.onec_gateway.onec.search import Search
from tests.onec_gateway.conftest import MOSCOW, connected
from tests.onec_gateway.office import CALL, PHONE, enquiry
from tests.simulators.onec.office import contact_row
from tests.simulators.onec.predicates import like_pattern
from tests.simulators.tests.names import CARDS, ENQUIRIES
from tests.simulators.tests.processes import OneCSim

COLUMNS = ("НомерТелефона", "НомерТелефонаБезКодов", "Представление")
FORMS = ("digits", "formatted", "short", "dashed", "presentation")
NOBODY = "00000000-0000-0000-0000-000000000009"
numbers = st.integers(0, 10**7 - 1).map(lambda last: f"+7916{last:07d}")
others = numbers.map(lambda phone: phone.replace("+7916", "+7495"))


def written(phone: str) -> list[str]:
    """The forms in which people type a number into a field."""
    code, last = phone[2:5], phone[5:]
    grouped = f"{last[:3]}-{last[3:5]}-{last[5:]}"
    return [
        phone,
        f"8{code}{last}",
        f"{code}{last}",
        last,
        grouped,
        f"{last[:2]}-{last[2:4]}-{last[4:]}",
        f"+7 ({code}) {grouped}",
        f"8 {code} {last[:3]} {last[3:5]} {last[5:]}",
        f"8-{code}-{grouped} доб. 12",
    ]


@given(phone=numbers, form=st.sampled_from(FORMS))
def test_pattern_and_comparison_recognise_every_form_of_a_phone(phone: str, form: str) -> None:
    row = contact_row(phone, form)
    pattern = re.compile(like_pattern(phones.loose_pattern(phone)))

    assert any(pattern.fullmatch(row[name]) for name in COLUMNS)
    assert phones.same(phone, [row[name] for name in COLUMNS])


@given(
    phone=numbers,
    other=others,
    between=st.sampled_from([", ", "; ", " / ", " и ", " моб. ", " ", "\n"]),
    data=st.data(),
)
def test_number_is_recognised_beside_another_in_one_field(
    phone: str, other: str, between: str, data: st.DataObject
) -> None:
    # Short digits that end the full number beside them count as that same number.
    assume(phone[5:] != other[5:])
    pair = [data.draw(st.sampled_from(written(one))) for one in (phone, other)]
    field = between.join(data.draw(st.permutations(pair)))

    assert re.fullmatch(like_pattern(phones.loose_pattern(phone)), field, re.DOTALL)
    assert phones.same(phone, [field])


@given(phone=numbers, other=others, form=st.sampled_from(FORMS))
def test_full_number_of_a_stranger_is_not_the_clients(phone: str, other: str, form: str) -> None:
    stranger = other[:5] + phone[5:]
    row = contact_row(stranger, form)

    assert not phones.same(phone, [row[name] for name in COLUMNS])


@pytest.mark.parametrize("field", ["8/916/123/45/67", "916,123,45,67", "+7, 916, 1234567"])
def test_separators_inside_a_number_do_not_hide_it(field: str) -> None:
    assert phones.same(PHONE, [field])


def test_two_full_numbers_in_one_field_are_compared_separately() -> None:
    assert not phones.same(PHONE, ["+7 495 123-45-67, +7 916 765-43-21"])


def test_foreign_number_with_the_same_ten_digits_is_a_different_number() -> None:
    assert not phones.same(PHONE, ["+1 (916) 123-45-67", "1234567"])


@pytest.mark.parametrize(
    "field",
    [
        "+79161234567+74951112233",
        "8 916 123-45-67 8 495 111-22-33",
        "8 (495) 111-22-33, 8-916-123-45-67 доб. 12",
        "8 916 123-45-67 Иван 8 495 111-22-33",
        "810 7 916 123 45 67",
    ],
)
def test_every_full_number_of_a_field_is_found(field: str) -> None:
    assert PHONE in phones.parsed(field)


def test_seven_digits_alone_are_no_full_number() -> None:
    assert phones.parsed("123-45-67") == set()


@pytest.mark.parametrize("form", ["digits", "formatted", "short", "dashed", "presentation"])
async def test_client_is_found_in_every_form_of_the_phone(sim: OneCSim, search: Search, form: str) -> None:
    known = enquiry(sim, form=form)

    (one,) = (await search.clients(CALL, [PHONE]))[PHONE].enquiries

    assert (one.ref, one.number, one.ours) == (known["enquiry_ref"], known["number"], False)
    assert one.date == datetime(2026, 3, 14, 9, tzinfo=UTC)


@pytest.mark.parametrize("typed", ["12-34-567", "1234 567", "доб. 1, +7 (495) 111-22-33; 8 916 12 34 567"])
async def test_client_is_found_however_the_digits_are_grouped(sim: OneCSim, search: Search, typed: str) -> None:
    known = enquiry(sim, form="presentation")
    card = sim.rows(CARDS)[0]
    (row,) = card["КонтактнаяИнформация"]
    changed = {**row, "Представление": typed, "НомерТелефона": typed[:20]}
    sim.call("PATCH", f"{CARDS}(guid'{known['client_ref']}')", {"КонтактнаяИнформация": [changed]})

    assert (await search.clients(CALL, [PHONE]))[PHONE].cards == (known["client_ref"],)


async def test_stranger_with_the_same_last_digits_is_not_the_client(sim: OneCSim, search: Search) -> None:
    enquiry(sim, phone="+74951234567")

    assert (await search.clients(CALL, [PHONE]))[PHONE].enquiries == ()


async def test_enquiry_marked_for_deletion_does_not_count(sim: OneCSim, search: Search) -> None:
    known = enquiry(sim)
    sim.post("office", {"action": "delete", "enquiry_ref": known["enquiry_ref"]})

    assert (await search.clients(CALL, [PHONE]))[PHONE].enquiries == ()


@pytest.mark.parametrize(("web_server", "requests"), [("iis", 12), ("apache", 4)])
async def test_many_clients_take_few_requests_that_the_web_server_accepts(
    sim: OneCSim, web_server: WebServer, requests: int
) -> None:
    sim.post("access", {"profile": web_server})
    onec = connected(sim, [], web_server=web_server)
    search = Search(onec, mapping.load(), MOSCOW)
    wanted = [f"+7916123{n:04d}" for n in range(30)]
    known = {phone: enquiry(sim, phone=phone)["enquiry_ref"] for phone in wanted[::10]}

    found = await search.clients(CALL, wanted)

    assert {phone: one.enquiries[0].ref for phone, one in found.items() if one.enquiries} == known
    calls = sim.get("calls")
    assert {call["status"] for call in calls} == {200}
    assert len(calls) <= requests + 2  # 1 for the enquiries of the cards, 1 for their sales
    await onec.close()


async def test_space_in_an_address_is_never_encoded_as_a_plus(onec: OneC, search: Search) -> None:
    queries: list[bytes] = []
    send = onec._transport._http.send

    async def noted(request: httpx.Request, **options: Any) -> httpx.Response:
        queries.append(request.url.query)
        return await send(request, **options)

    onec._transport._http.send = noted  # type: ignore[method-assign]
    await search.clients(CALL, [PHONE])

    assert queries
    assert all(b"+" not in query for query in queries)


async def test_sale_of_a_client_is_found_with_its_amount(sim: OneCSim, search: Search) -> None:
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


async def test_enquiry_without_a_date_counts_as_the_oldest(sim: OneCSim, search: Search) -> None:
    known = enquiry(sim)
    sim.call("PATCH", f"{ENQUIRIES}(guid'{known['enquiry_ref']}')", {"Date": "0001-01-01T00:30:00"})

    (one,) = (await search.clients(CALL, [PHONE]))[PHONE].enquiries

    assert one.date == datetime.min.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("comment", "ours"),
    [
        (f"{HISTORY} А (договор 1), закрепление истекло. {MARKER}7", True),
        (f"Перезвонил. {HISTORY} А (договор 1), закрепление истекло. {MARKER}7 Ждёт ключей", True),
        (f"[Закреплён за партнёром А по 15.09.2026; {MARKER}7] перезвонить", False),
        (f"[Закреплён за партнёром А по 15.09.2026; {MARKER}7] {HISTORY} сосед", False),
        ("", False),
    ],
)
def test_own_enquiry_is_recognised_by_its_history_text(comment: str, ours: bool) -> None:
    assert is_handed_over(comment) is ours


async def test_numbers_of_a_card_and_of_the_staff_are_returned_as_e164(sim: OneCSim, search: Search) -> None:
    known = enquiry(sim, form="formatted")
    sim.post("office", {"action": "employ", "full_name": "Сотрудников Сидор", "phone": "8 (916) 765-43-21"})

    numbers = await search.numbers_of(CALL, [known["client_ref"], NOBODY])
    assert numbers[known["client_ref"]].hold(PHONE)
    assert numbers[NOBODY] == phones.NO_NUMBERS
    assert await search.staff_phones(CALL) == {"+79167654321"}


async def test_deleted_enquiry_is_missing_when_read_again_by_reference(sim: OneCSim, search: Search) -> None:
    known = enquiry(sim)
    sim.post("office", {"action": "redate", "enquiry_ref": known["enquiry_ref"], "date": "2026-03-01T12:00:00+03:00"})
    (again,) = await search.enquiries_by_ref(CALL, [known["enquiry_ref"]])
    assert again.date == datetime(2026, 3, 14, 9, tzinfo=UTC) - timedelta(days=13)

    sim.post("office", {"action": "delete", "enquiry_ref": known["enquiry_ref"], "physically": True})

    assert await search.enquiries_by_ref(CALL, [known["enquiry_ref"]]) == []
    assert sim.rows(ENQUIRIES) == []
