"""What 1C is asked, and that no client it knows is missed."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.onec_gateway.onec import phones
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.search import HISTORY, MARKER, Search, is_handed_over
from tests.onec_gateway.office import CALL, ENQUIRIES, PHONE, enquiry
from tests.simulators.onec.people import contact_row
from tests.simulators.onec.predicates import like_pattern
from tests.simulators.tests.processes import OneCSim

COLUMNS = ("НомерТелефона", "НомерТелефонаБезКодов", "Представление")
FORMS = ("digits", "formatted", "short", "dashed", "presentation")
numbers = st.integers(0, 10**7 - 1).map(lambda last: f"+7916{last:07d}")
others = numbers.map(lambda phone: phone.replace("+7916", "+7495"))


def written(phone: str) -> list[str]:
    """A number as people write it into a field."""
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
def test_every_form_of_1c_is_let_through_by_the_pattern_and_known_again(phone: str, form: str) -> None:
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
def test_number_is_known_again_beside_another_in_one_field(
    phone: str, other: str, between: str, data: st.DataObject
) -> None:
    # Bare digits that end the full number beside them are that number once more.
    assume(phone[5:] != other[5:])
    pair = [data.draw(st.sampled_from(written(one))) for one in (phone, other)]
    field = between.join(data.draw(st.permutations(pair)))

    assert re.fullmatch(like_pattern(phones.loose_pattern(phone)), field, re.DOTALL)
    assert phones.same(phone, [field])


@given(phone=numbers, other=others, form=st.sampled_from(FORMS))
def test_stranger_whose_number_is_written_in_full_is_nobody_we_know(phone: str, other: str, form: str) -> None:
    stranger = other[:5] + phone[5:]
    row = contact_row(stranger, form)

    assert not phones.same(phone, [row[name] for name in COLUMNS])


@pytest.mark.parametrize("field", ["8/916/123/45/67", "916,123,45,67", "+7, 916, 1234567"])
def test_separators_within_a_number_hide_nobody(field: str) -> None:
    assert phones.same(PHONE, [field])


def test_two_numbers_in_full_are_each_taken_by_themselves() -> None:
    assert not phones.same(PHONE, ["+7 495 123-45-67, +7 916 765-43-21"])


def test_number_of_another_country_with_the_same_ten_digits_is_not_ours() -> None:
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
def test_every_full_number_of_a_field_is_read_off(field: str) -> None:
    assert PHONE in phones.parsed(field)


def test_seven_digits_are_nobodys_number_when_clients_are_looked_for_by_card() -> None:
    assert phones.parsed("123-45-67") == set()


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


async def test_numbering_that_begins_again_hides_nothing_that_is_dated_since(sim: OneCSim, search: Search) -> None:
    last_year = enquiry(sim, when="2026-12-30T12:00:00+03:00")
    sim.call("PATCH", f"{ENQUIRIES}(guid'{last_year['enquiry_ref']}')", {"Number": "0000-000900"})
    this_year = [
        enquiry(sim, phone=f"+7916000000{n}", when="2027-01-02T12:00:00+03:00")["enquiry_ref"] for n in range(3)
    ]

    new = await search.enquiries_since(CALL, number="0000-000900", date=datetime(2027, 1, 1, tzinfo=UTC), limit=2)

    assert [one.ref for one in new] == this_year


async def test_enquiry_with_hardly_a_date_counts_as_the_oldest(sim: OneCSim, search: Search) -> None:
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
def test_enquiry_is_ours_by_its_history_whatever_people_wrote_around_it(comment: str, ours: bool) -> None:
    assert is_handed_over(comment) is ours


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
