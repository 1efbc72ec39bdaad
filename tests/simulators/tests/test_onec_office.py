"""Actions of the office in 1C, and access to it: sessions, licences, the web server's limits, late writes."""

from typing import Any

import httpx
import pytest

from tests.simulators.tests.names import CARDS, DEALS, DOCUMENTS, ENQUIRIES, PHONES, REGISTER
from tests.simulators.tests.processes import PASSWORD, USER, OneCSim, refused, until

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


def test_numbers_begin_again_with_another_prefix_and_with_each_year(onec: OneCSim) -> None:
    def enter(when: str) -> str:
        order = {"full_name": "А", "phone": "79160000001", "date": when}
        return str(onec.post("seed", order)["clients"][0]["number"])

    assert [enter("2026-03-01T00:00:00+03:00") for _ in range(2)] == ["0000-000001", "0000-000002"]
    onec.post("office", {"action": "numbering", "prefix": "ФР00-", "by_year": True})
    assert [enter(f"{year}-03-01T00:00:00+03:00") for year in (2025, 2026, 2025)] == [
        "ФР00-000001",
        "ФР00-000001",
        "ФР00-000002",
    ]


def test_copy_of_an_enquiry_has_its_text_and_client_and_a_number_of_its_own(onec: OneCSim) -> None:
    order = {"full_name": "А", "phone": "79160000001", "comment": "важное", "date": "2020-01-01T00:00:00+03:00"}
    original = onec.post("seed", order)["clients"][0]

    copy = onec.post("office", {"action": "copy", "enquiry_ref": original["enquiry_ref"]})

    first, second = sorted(onec.rows(ENQUIRIES), key=lambda row: str(row["Number"]))
    assert (second["Ref_Key"], second["Number"]) == (copy["enquiry_ref"], "0000-000002")
    assert second["Комментарий"] == first["Комментарий"] == "важное"
    assert second["ПотенциальныйКлиент_Key"] == original["client_ref"]
    assert second["Date"] > first["Date"]


def test_enquiry_gets_another_client_and_another_number(onec: OneCSim) -> None:
    ref = onec.post("seed", {"full_name": "А", "phone": "79160000001"})["clients"][0]["enquiry_ref"]
    card = onec.post("office", {"action": "enter-card", "full_name": "Б", "phone": "79160000002"})["client_ref"]

    onec.post("office", {"action": "attach", "enquiry_ref": ref, "client_ref": card})
    onec.post("office", {"action": "renumber", "enquiry_ref": ref, "number": "7"})

    (row,) = onec.rows(ENQUIRIES)
    assert (row["ПотенциальныйКлиент_Key"], row["Number"]) == (card, "7")


def test_added_phone_is_a_further_row_and_changes_the_version_of_the_card(onec: OneCSim) -> None:
    card = onec.post("office", {"action": "enter-card", "full_name": "Б", "phone": "79160000002"})["client_ref"]
    (before,) = onec.rows(CARDS)

    onec.post("office", {"action": "add-phone", "client_ref": card, "text": "84951234567#12"})

    assert [row["LineNumber"] for row in onec.rows(PHONES)] == ["1", "2"]
    assert onec.rows(PHONES)[1]["Представление"] == "84951234567#12"
    assert onec.rows(CARDS)[0]["DataVersion"] != before["DataVersion"]


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


def test_unknown_action_of_the_office_is_refused(onec: OneCSim) -> None:
    answer = onec.http.post(f"{onec.base}/__sim/office", json={"action": "dance"})

    assert answer.status_code == 422
    assert "redate, delete, sell" in answer.json()["error"]


def test_partner_journal_in_documents_accepts_a_lead_twice(onec: OneCSim) -> None:
    for _ in range(2):
        assert onec.call("POST", DOCUMENTS, {"ИдентификаторЛида": LEAD}).status_code == 201

    assert [row["lead_id"] for row in onec.get("journal")] == [LEAD, LEAD]
    assert [call["lead"] for call in onec.get("calls")] == [LEAD, LEAD]


def test_late_commit_takes_effect_after_a_read_found_nothing(onec: OneCSim) -> None:
    onec.post("fault", {"mode": "late_commit", "seconds": 0.4, "count": 1})

    with pytest.raises(httpx.TransportError):
        onec.call("POST", REGISTER, {"ИдентификаторЛида": LEAD})
    assert onec.get("journal") == []
    assert onec.get("calls")[0]["committed"] is False

    until(lambda: onec.get("journal"), "the late write")
    assert onec.get("calls")[0]["committed"] is True


def test_late_commit_after_another_write_is_refused_by_the_key(onec: OneCSim) -> None:
    onec.post("fault", {"mode": "late_commit", "seconds": 0.3, "count": 1})
    with pytest.raises(httpx.TransportError):
        onec.call("POST", REGISTER, {"ИдентификаторЛида": LEAD, "ФИО": "первый"})

    assert onec.call("POST", REGISTER, {"ИдентификаторЛида": LEAD, "ФИО": "второй"}).status_code == 200
    assert onec.http.get(f"{onec.base}/__sim/health").status_code == 200
    # Wait until the late write was executed.
    until(lambda: onec.get("state")["late"] == 0, "the end of the late write")
    assert [row["full_name"] for row in onec.get("journal")] == ["второй"]


def test_fault_applies_after_the_calls_that_it_skips(onec: OneCSim) -> None:
    onec.post("fault", {"mode": "lock_conflict", "skip": 1, "count": 1})

    assert [onec.call("GET", CARDS).status_code for _ in range(3)] == [200, 500, 200]


def test_fault_applies_between_its_from_and_until(onec: OneCSim) -> None:
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


def test_request_without_a_free_licence_is_refused(onec: OneCSim) -> None:
    onec.post("access", {"licences": 0})

    answer = onec.call("GET", CARDS)

    assert answer.status_code == 500
    assert "Не обнаружено свободной лицензии" in answer.text


def test_pieces_of_a_pattern_must_occur_in_their_order(onec: OneCSim) -> None:
    onec.post("seed", {"full_name": "А", "phone": "+79161234567", "form": "presentation"})

    def found(pattern: str) -> list[dict[str, Any]]:
        return onec.rows(PHONES, filter=f"like(Представление,'{pattern}')")

    assert len(found("%1%2%3%4%5%6%7%")) == 1
    assert found("%7%6%5%4%3%2%1%0%") == []


def test_unlimited_string_of_a_document_is_searched_but_not_compared(onec: OneCSim) -> None:
    onec.call("POST", DOCUMENTS, {"ИдентификаторЛида": LEAD, "Комментарий": "важное"})

    assert len(onec.rows(DOCUMENTS, filter="substringof('важн',Комментарий)")) == 1
    assert refused(onec.call("GET", DOCUMENTS, filter="Комментарий eq 'важное'"))[0] == 500
