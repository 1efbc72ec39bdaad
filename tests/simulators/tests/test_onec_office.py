"""What people do in 1C, and what stands before it: sessions, licences, the web server's limits, late writes."""

from typing import Any

import httpx
import pytest

from tests.process import wait_for
from tests.simulators.tests.processes import PASSWORD, USER, OneCSim, refused

CARDS = "Catalog_CRM_ПотенциальныеКлиенты"
DEALS = "Document_ДоговорПродажи"
DOCUMENTS = "Document_ЗаявкаПартнера"
ENQUIRIES = "Document_CRM_Интерес"
PHONES = f"{CARDS}_КонтактнаяИнформация"
REGISTER = "InformationRegister_ЖурналПартнеров"
LEAD = "6f0d3c52-5a55-4d0e-9d3e-0c6a3e7c1a01"


def test_backdated_enquiry_has_an_old_date_and_a_new_number(onec: OneCSim) -> None:
    first = onec.post("seed", {"full_name": "А", "phone": "79160000001"})["clients"][0]
    backdated = onec.post("seed", {"full_name": "Б", "phone": "79160000002", "date": "2020-01-01T00:00:00+03:00"})[
        "clients"
    ][0]

    assert backdated["date"] < first["date"]
    assert backdated["number"] > first["number"]


def test_enquiry_is_redated_marked_for_deletion_and_deleted(onec: OneCSim) -> None:
    ref = onec.post("seed", {"full_name": "А", "phone": "79160000001"})["clients"][0]["enquiry_ref"]

    onec.post("office", {"action": "redate", "enquiry_ref": ref, "date": "2020-01-01T00:00:00+03:00"})
    assert onec.rows(ENQUIRIES)[0]["Date"] == "2020-01-01T00:00:00"
    onec.post("office", {"action": "delete", "enquiry_ref": ref})
    assert onec.rows(ENQUIRIES)[0]["DeletionMark"] is True
    onec.post("office", {"action": "delete", "enquiry_ref": ref, "physically": True})
    assert onec.rows(ENQUIRIES) == []


def test_sale_is_a_posted_document_until_it_is_cancelled(onec: OneCSim) -> None:
    order = {"full_name": "А", "phone": "79160000001", "amount": 100.5, "contract_number": "Д-1"}
    sold = onec.post("office", {"action": "sell", **order})
    (deal,) = onec.rows(DEALS)
    assert (deal["Posted"], deal["СуммаДокумента"], deal["ПотенциальныйКлиент_Key"]) == (
        True,
        100.5,
        sold["client_ref"],
    )

    onec.post("office", {"action": "cancel-sale", "deal_ref": sold["deal_ref"]})

    assert (onec.rows(DEALS)[0]["Posted"], onec.rows(DEALS)[0]["DeletionMark"]) == (False, True)


def test_what_nobody_does_is_refused(onec: OneCSim) -> None:
    answer = onec.http.post(f"{onec.base}/__sim/office", json={"action": "dance"})

    assert answer.status_code == 422
    assert "redate, delete, sell" in answer.json()["error"]


def test_documents_of_the_partner_journal_may_be_doubled(onec: OneCSim) -> None:
    for _ in range(2):
        assert onec.call("POST", DOCUMENTS, {"ИдентификаторЛида": LEAD}).status_code == 201

    assert [row["lead_id"] for row in onec.get("journal")] == [LEAD, LEAD]
    assert [call["lead"] for call in onec.get("calls")] == [LEAD, LEAD]


def test_late_commit_lands_after_a_look_has_found_nothing(onec: OneCSim) -> None:
    onec.post("fault", {"mode": "late_commit", "seconds": 0.4, "count": 1})

    with pytest.raises(httpx.TransportError):
        onec.call("POST", REGISTER, {"ИдентификаторЛида": LEAD})
    assert onec.get("journal") == []
    assert onec.get("calls")[0]["committed"] is False

    wait_for(lambda: bool(onec.get("journal")), "the journal has an entry", 10)
    assert onec.get("calls")[0]["committed"] is True


def test_late_commit_that_comes_second_is_refused_by_the_key(onec: OneCSim) -> None:
    onec.post("fault", {"mode": "late_commit", "seconds": 0.3, "count": 1})
    with pytest.raises(httpx.TransportError):
        onec.call("POST", REGISTER, {"ИдентификаторЛида": LEAD, "ФИО": "первый"})

    assert onec.call("POST", REGISTER, {"ИдентификаторЛида": LEAD, "ФИО": "второй"}).status_code == 200
    assert onec.http.get(f"{onec.base}/__sim/health").status_code == 200
    # The write that is on its way must have had its chance.
    wait_for(lambda: onec.get("state")["late"] == 0, "no late write is open", 10)
    assert [row["full_name"] for row in onec.get("journal")] == ["второй"]


def test_fault_begins_after_those_it_skips(onec: OneCSim) -> None:
    onec.post("fault", {"mode": "lock_conflict", "skip": 1, "count": 1})

    assert [onec.call("GET", CARDS).status_code for _ in range(3)] == [200, 500, 200]


def test_fault_has_its_hours(onec: OneCSim) -> None:
    onec.post("clock", {"now": "2026-03-01T01:00:00+03:00"})
    onec.post(
        "fault",
        {"mode": "infobase_locked", "from": "2026-03-01T02:00:00+03:00", "until": "2026-03-01T04:00:00+03:00"},
    )
    seen = []
    for hour in range(4):
        seen.append(onec.call("GET", CARDS).status_code)
        onec.post("clock", {"now": f"2026-03-01T0{hour + 2}:00:00+03:00"})

    assert seen == [200, 403, 403, 200]


@pytest.mark.parametrize(
    ("profile", "size", "status"), [("iis", 2048, 404), ("apache", 8190, 414), ("none", 9000, 200)]
)
def test_web_server_refuses_an_address_that_is_too_long(onec: OneCSim, profile: str, size: int, status: int) -> None:
    onec.post("access", {"profile": profile})
    condition = " or ".join(["DeletionMark eq false"] * (size // 20))

    answer = onec.call("GET", CARDS, filter=condition)

    assert answer.status_code == status
    assert onec.call("GET", CARDS, filter="DeletionMark eq false").status_code == 200


def test_session_is_started_used_and_finished(onec: OneCSim) -> None:
    auth = httpx.BasicAuth(USER.encode(), PASSWORD.encode())

    def call(**headers: str) -> httpx.Response:
        onec.http.cookies.clear()
        return onec.http.get(onec.url(CARDS), headers=headers, auth=auth)

    key = call(ibsession="start").cookies["ibsession"]
    assert onec.get("state")["sessions"] == 1
    assert call(cookie=f"ibsession={key}").status_code == 200
    assert call(cookie=f"ibsession={key}", ibsession="finish").status_code == 200
    assert onec.get("state")["sessions"] == 0
    over = call(cookie=f"ibsession={key}")
    assert (over.status_code, "Истекло время ожидания сеанса" in over.text) == (406, True)


def test_no_more_sessions_than_licences(onec: OneCSim) -> None:
    onec.post("access", {"licences": 0})

    answer = onec.call("GET", CARDS)

    assert answer.status_code == 500
    assert "Не обнаружено свободной лицензии" in answer.text


def test_pieces_of_a_pattern_are_found_in_their_order(onec: OneCSim) -> None:
    onec.post("seed", {"full_name": "А", "phone": "+79161234567", "form": "presentation"})

    def found(pattern: str) -> list[dict[str, Any]]:
        return onec.rows(PHONES, filter=f"like(Представление,'{pattern}')")

    assert len(found("%1%2%3%4%5%6%7%")) == 1
    assert found("%7%6%5%4%3%2%1%0%") == []


def test_unlimited_strings_of_the_document_journal_are_searched_not_compared(onec: OneCSim) -> None:
    onec.call("POST", DOCUMENTS, {"ИдентификаторЛида": LEAD, "Комментарий": "важное"})

    assert len(onec.rows(DOCUMENTS, filter="substringof('важн',Комментарий)")) == 1
    assert refused(onec.call("GET", DOCUMENTS, filter="Комментарий eq 'важное'"))[0] == 500
