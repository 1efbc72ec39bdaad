"""The adapter against the simulator of 1C: what it asks, what it writes, and what it makes of trouble."""

import asyncio
from datetime import UTC, date, datetime
from typing import Any

import pytest

from deploy.local.ports import free_port
from services.onec_gateway.onec.client import MAX_QUERY_BYTES, Call, OneC
from services.onec_gateway.onec.errors import Exists, NoAnswer, NoRights, NotReached, OneCError, Refused
from services.onec_gateway.onec.journals import Entry, Journals
from tests.simulators.tests.processes import PASSWORD, USER, OneCSim

CALL = Call("test", ("lead",))
PHONE = "+79161234567"
CLIENTS = "Catalog_CRM_ПотенциальныеКлиенты"
ENQUIRIES = "Document_CRM_Интерес"
REGISTER = "InformationRegister_ЖурналПартнеров"
ENTRY = Entry(
    lead_id="00000000-0000-0000-0000-000000000001",
    full_name="Иванов-О'Нил Пётр",
    phone=PHONE,
    partner_id="p-1",
    partner="Агентова Анна",
    agreement="А-17/26",
    confirmed_at=datetime(2026, 3, 14, 21, 30, tzinfo=UTC),
    reserved_through=date(2026, 9, 15),
)
EXPIRED_AT = datetime(2026, 9, 15, 21, tzinfo=UTC)


def enquiry(sim: OneCSim, phone: str = PHONE, form: str = "", when: str = "2026-03-14T12:00:00+03:00") -> Any:
    order = {"full_name": "Клиентов Клим", "phone": phone, "form": form, "date": when}
    (entered,) = sim.post("seed", {"clients": [order]})["clients"]
    return entered


@pytest.mark.parametrize("form", ["digits", "formatted", "short", "dashed", "presentation"])
async def test_client_is_found_in_every_form_a_phone_is_kept_in(sim: OneCSim, journals: Journals, form: str) -> None:
    known = enquiry(sim, form=form)

    found = await journals.enquiries(CALL, [PHONE])

    (one,) = found[PHONE]
    assert one.ref == known["enquiry_ref"]
    assert one.date == datetime(2026, 3, 14, 9, tzinfo=UTC)


async def test_stranger_with_the_same_last_digits_is_not_the_client(sim: OneCSim, journals: Journals) -> None:
    enquiry(sim, phone="+74951234567")

    assert await journals.enquiries(CALL, [PHONE]) == {PHONE: ()}


async def test_enquiry_marked_for_deletion_does_not_count(sim: OneCSim, journals: Journals) -> None:
    known = enquiry(sim)
    sim.call("PATCH", f"{ENQUIRIES}(guid'{known['enquiry_ref']}')", {"DeletionMark": True})

    assert await journals.enquiries(CALL, [PHONE]) == {PHONE: ()}


async def test_many_clients_are_asked_about_in_few_requests_that_fit_a_url(sim: OneCSim, journals: Journals) -> None:
    wanted = [f"+7916123{n:04d}" for n in range(10)]
    known = {phone: enquiry(sim, phone=phone)["enquiry_ref"] for phone in wanted[::2]}

    found = await journals.enquiries(CALL, wanted)

    assert {phone: enquiries[0].ref for phone, enquiries in found.items() if enquiries} == known
    assert len(sim.get("calls")) <= 5


async def test_each_query_is_within_the_limit(onec: OneC, journals: Journals) -> None:
    lengths: list[int] = []
    send = onec._http.send

    async def measured(request: Any, **options: Any) -> Any:
        lengths.append(len(request.url.query))
        assert b"+" not in request.url.query
        return await send(request, **options)

    onec._http.send = measured  # type: ignore[method-assign]
    await journals.enquiries(CALL, [f"+7916123{n:04d}" for n in range(10)])

    assert lengths
    assert max(lengths) <= MAX_QUERY_BYTES


async def test_entry_of_the_partner_journal_says_who_and_until_when(sim: OneCSim, journals: Journals) -> None:
    await journals.enter(CALL, ENTRY)

    (row,) = sim.get("journal")
    del row["record"], row["comment"]
    assert row == {
        "lead_id": ENTRY.lead_id,
        "full_name": ENTRY.full_name,
        "phone": PHONE,
        "partner": "Агентова Анна",
        "partner_id": "p-1",
        "agreement": "А-17/26",
        "registered_at": "2026-03-15T00:30:00+03:00",
        "reserved_through": "2026-09-15",
        "state": "Активен",
    }


async def test_entry_whose_answer_was_lost_is_not_written_twice(sim: OneCSim, journals: Journals) -> None:
    sim.post("fault", {"mode": "commit_then_drop", "match": {"set": REGISTER}, "count": 1})

    with pytest.raises(NoAnswer):
        await journals.enter(CALL, ENTRY)
    await journals.enter(CALL, ENTRY)

    assert len(sim.get("journal")) == 1


async def test_hand_over_leaves_the_client_in_the_general_journal_only(sim: OneCSim, journals: Journals) -> None:
    await journals.enter(CALL, ENTRY)

    ref = await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)

    (row,) = sim.get("general-journal")
    assert (row["ref"], row["full_name"], row["phones"]) == (ref, ENTRY.full_name, ["79161234567"])
    assert row["subject"] == "Передан из журнала партнёров"
    assert row["date"] == "2026-09-16T00:00:00+03:00"
    for part in ("Агентова Анна", "А-17/26", "15.03.2026", "15.09.2026", f"truce:{ENTRY.lead_id}"):
        assert part in row["comment"]
    assert [entry["state"] for entry in sim.get("journal")] == ["Истек"]


@pytest.mark.parametrize(("entity", "method"), [(CLIENTS, "POST"), (ENQUIRIES, "POST"), (REGISTER, "PATCH")])
async def test_hand_over_that_lost_an_answer_goes_on_where_it_was(
    sim: OneCSim, journals: Journals, entity: str, method: str
) -> None:
    await journals.enter(CALL, ENTRY)
    sim.post("fault", {"mode": "commit_then_drop", "match": {"set": entity, "method": method}, "count": 1})

    with pytest.raises(NoAnswer):
        await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)
    await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=True)

    assert len(sim.get("general-journal")) == 1
    assert len(sim.rows(CLIENTS)) == 1
    assert [entry["state"] for entry in sim.get("journal")] == ["Истек"]


async def test_hand_over_uses_the_card_the_sales_office_made_meanwhile(sim: OneCSim, journals: Journals) -> None:
    known = enquiry(sim)
    await journals.enter(CALL, ENTRY)

    ref = await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)

    ours = next(row for row in sim.get("general-journal") if row["ref"] == ref)
    assert ours["client_ref"] == known["client_ref"]
    assert len(sim.rows(CLIENTS)) == 1


async def test_client_who_was_handed_over_is_known_to_the_builder(journals: Journals) -> None:
    ref = await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)

    found = await journals.enquiries(CALL, [PHONE])

    assert [one.ref for one in found[PHONE]] == [ref]
    assert found[PHONE][0].date == EXPIRED_AT


@pytest.mark.parametrize(
    ("fault", "error", "reason"),
    [
        ({"mode": "infobase_locked"}, NotReached, "infobase-locked"),
        ({"mode": "session_expired"}, NotReached, "no-session"),
        ({"mode": "licence_exhausted"}, NotReached, "no-licence"),
        ({"mode": "lock_conflict"}, NotReached, "lock-conflict"),
        ({"mode": "rights"}, NoRights, "no-rights"),
        ({"mode": "html_page"}, NoAnswer, "server-error"),
        ({"mode": "html_page", "status": 200}, NoAnswer, "not-1c"),
        ({"mode": "encoding", "variant": "truncated"}, NoAnswer, "not-1c"),
        ({"mode": "handler_error"}, Refused, "refused"),
        ({"mode": "commit_then_drop"}, NoAnswer, "broken-off"),
    ],
)
async def test_trouble_is_told_apart_by_what_it_means(
    sim: OneCSim, journals: Journals, fault: dict[str, Any], error: type[OneCError], reason: str
) -> None:
    sim.post("fault", {**fault, "match": {"set": REGISTER}})

    with pytest.raises(error) as raised:
        await journals.enter(CALL, ENTRY)

    assert type(raised.value) is error
    assert raised.value.reason == reason


async def test_mark_of_byte_order_and_a_lying_charset_do_no_harm(sim: OneCSim, journals: Journals) -> None:
    sim.post("fault", {"mode": "encoding"})

    await journals.enter(CALL, ENTRY)

    assert sim.get("journal")[0]["full_name"] == ENTRY.full_name


async def test_second_record_with_a_key_is_refused_by_1c_itself(sim: OneCSim, onec: OneC) -> None:
    await onec.create(CALL, REGISTER, {"ИдентификаторЛида": "one"})

    with pytest.raises(Exists):
        await onec.create(CALL, REGISTER, {"ИдентификаторЛида": "one"})
    assert len(sim.get("journal")) == 1


async def test_nobody_listening_is_certain_to_have_done_nothing() -> None:
    onec = OneC(f"http://127.0.0.1:{free_port()}/crm", USER, PASSWORD, concurrency=1)

    with pytest.raises(NotReached):
        await onec.find(CALL, CLIENTS, "DeletionMark eq false", ("Ref_Key",))
    await onec.close()


async def test_1c_never_sees_more_requests_at_once_than_allowed(sim: OneCSim) -> None:
    sim.post("fault", {"mode": "slow", "seconds": 0.05})
    onec = OneC(f"{sim.base}/crm", USER, PASSWORD, concurrency=2)
    under_way, most = 0, 0
    send = onec._http.send

    async def counted(request: Any, **options: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await send(request, **options)
        finally:
            under_way -= 1

    onec._http.send = counted  # type: ignore[method-assign]
    await asyncio.gather(*(onec.find(CALL, ENQUIRIES, "DeletionMark eq false", ("Ref_Key",)) for _ in range(8)))
    await onec.close()

    assert most == 2


async def test_exchange_is_logged_for_an_administrator_without_personal_data(
    sim: OneCSim, journals: Journals, capsys: pytest.CaptureFixture[str]
) -> None:
    sim.post("fault", {"mode": "handler_error", "text": f"Иванов-О'Нил Пётр {PHONE}", "count": 1})

    with pytest.raises(Refused):
        await journals.enter(CALL, ENTRY)
    await journals.enquiries(CALL, [PHONE])

    said = capsys.readouterr().out
    assert "1С отклонила запрос" in said
    assert REGISTER in said
    for secret in ("Иванов", "1234567", "9161234567", "filter"):
        assert secret not in said
