"""Writing to 1C: status codes, silent changes, the journal's unique key, and a restart."""

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulators.tests.names import CARDS, ENQUIRIES, PHONES, REGISTER, USERS
from tests.simulators.tests.processes import ONEC, PASSWORD, USER, OneCSim, refused, started

LEAD = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
ZERO = "00000000-0000-0000-0000-000000000000"


def _created(onec: OneCSim, entity: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = onec.call("POST", entity, body)
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()
    return row


def _entry(**more: str) -> dict[str, str]:
    return {
        "ИдентификаторЛида": LEAD,
        "ФИО": "Иванов Иван",
        "Телефон": "+79161234567",
        "Партнер": "Агентство «Ключ»",
        "ИдентификаторПартнера": "p-1",
        "НомерДоговора": "А-17",
        "ДатаРегистрации": "2026-11-24T12:00:00",
        "ЗакрепленДо": "2027-05-24T23:59:59",
        "Состояние": "Активен",
        **more,
    }


def test_post_returns_201_the_whole_object_and_its_address(onec: OneCSim) -> None:
    answer = onec.call("POST", ENQUIRIES, {"Date": "2026-11-23T12:00:00", "Тема": "Сайт", "Лишнее": 1})
    row = answer.json()
    assert answer.status_code == 201
    assert row["DataVersion"] == "AAAAAAAAAAA="
    assert row["Number"] == "0000-000001"
    assert row["Posted"] is False
    assert row["ПотенциальныйКлиент_Key"] == ZERO
    assert row["Комментарий"] == ""
    assert "Лишнее" not in row
    raw = dict(answer.headers.raw)[b"location"].decode()
    assert raw.endswith(f"/{ENQUIRIES}(guid'{row['Ref_Key']}')")


def test_field_that_was_not_sent_has_the_empty_value_of_1c(onec: OneCSim) -> None:
    assert _created(onec, ENQUIRIES, {})["Date"] == "0001-01-01T00:00:00"


def test_patch_returns_200_and_the_whole_object_with_a_new_version(onec: OneCSim) -> None:
    before = _created(onec, ENQUIRIES, {"Тема": "Сайт"})
    path = f"{ENQUIRIES}(guid'{before['Ref_Key']}')"
    answer = onec.call("PATCH", path, {"DeletionMark": True})
    assert answer.status_code == 200
    after = answer.json()
    assert after["DeletionMark"] is True
    assert after["Тема"] == "Сайт"
    assert after["DataVersion"] != before["DataVersion"]
    assert len(base64.b64decode(after["DataVersion"])) == 8
    stale = onec.http.patch(
        onec.url(path),
        json={"Тема": "Звонок"},
        auth=httpx.BasicAuth(USER.encode(), PASSWORD.encode()),
        headers={"if-match": before["DataVersion"]},
    )
    assert stale.status_code == 200
    assert stale.json()["Тема"] == "Звонок"


def test_delete_is_physical_and_leaves_dangling_references(onec: OneCSim) -> None:
    client = _created(onec, CARDS, {"Description": "Иванов"})
    enquiry = _created(onec, ENQUIRIES, {"ПотенциальныйКлиент_Key": client["Ref_Key"]})
    path = f"{CARDS}(guid'{client['Ref_Key']}')"
    assert onec.call("DELETE", path).status_code == 204
    assert refused(onec.call("DELETE", path))[:2] == (404, "9")
    kept = onec.call("GET", f"{ENQUIRIES}(guid'{enquiry['Ref_Key']}')").json()
    assert kept["ПотенциальныйКлиент_Key"] == client["Ref_Key"]


def test_put_needs_every_field(onec: OneCSim) -> None:
    row = _created(onec, ENQUIRIES, {"Тема": "Сайт"})
    path = f"{ENQUIRIES}(guid'{row['Ref_Key']}')"
    assert refused(onec.call("PUT", path, {"Тема": "Звонок"}))[:2] == (400, "5")
    bound = {"ПотенциальныйКлиент@odata.bind": f"{CARDS}(guid'{LEAD}')"}
    whole = {**{name: value for name, value in row.items() if name != "ПотенциальныйКлиент_Key"}, **bound}
    assert onec.call("PUT", path, whole).json()["ПотенциальныйКлиент_Key"] == LEAD


def test_register_accepts_a_lead_once(onec: OneCSim) -> None:
    first = onec.call("POST", REGISTER, _entry())
    assert first.status_code == 200
    assert "location" not in first.headers
    assert "DataVersion" not in first.json()
    assert refused(onec.call("POST", REGISTER, _entry(ФИО="Другой")))[:2] == (400, "15")
    assert refused(onec.call("POST", REGISTER, _entry(ИдентификаторЛида=LEAD.upper())))[:2] == (400, "15")
    path = f"{REGISTER}(ИдентификаторЛида='{LEAD}')"
    assert onec.call("GET", path).json()["ФИО"] == "Иванов Иван"
    changed = onec.call("PATCH", path, {"Состояние": "Истек", "ИдентификаторЛида": "иной"})
    assert changed.json()["Состояние"] == "Истек"
    assert changed.json()["ИдентификаторЛида"] == LEAD
    assert onec.get("journal") == [
        {
            "lead_id": LEAD,
            "full_name": "Иванов Иван",
            "phone": "+79161234567",
            "partner": "Агентство «Ключ»",
            "partner_id": "p-1",
            "agreement": "А-17",
            "registered_at": "2026-11-24T12:00:00+03:00",
            "reserved_through": "2027-05-24",
            "state": "Истек",
            "comment": "",
            "record": {**_entry(Состояние="Истек"), "Комментарий": ""},
        }
    ]


def test_string_that_is_too_long_is_cut_without_an_error(onec: OneCSim) -> None:
    answer = onec.call("POST", REGISTER, _entry(ФИО="Я" * 200))
    assert answer.status_code == 200
    assert answer.json()["ФИО"] == "Я" * 150


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"ПотенциальныйКлиент_Key": "abc"}, 400, "1"),
        ({"Posted": "yes"}, 400, "1"),
        ({"Date": "2026-11-23T12:00:00Z"}, 400, "1"),
        ({"Date": "2026-11-23T12:00:00.5"}, 400, "1"),
        ({"Тема": ["Сайт"]}, 500, "-1"),
    ],
)
def test_value_of_the_wrong_type_is_refused(onec: OneCSim, body: dict[str, Any], status: int, code: str) -> None:
    assert refused(onec.call("POST", ENQUIRIES, body))[:2] == (status, code)
    assert onec.rows(ENQUIRIES) == []


def test_broken_json_is_an_internal_error(onec: OneCSim) -> None:
    auth = httpx.BasicAuth(USER.encode(), PASSWORD.encode())
    answer = onec.http.post(onec.url(ENQUIRIES), content=b'{"a":', auth=auth)
    assert refused(answer) == (500, "-1", "Непредвиденный символ при чтении JSON")


def test_tabular_part_is_replaced_whole_and_numbered_from_1(onec: OneCSim) -> None:
    def phones(*numbers: int) -> dict[str, Any]:
        rows = [{"LineNumber": str(n), "Тип": "Телефон", "НомерТелефона": f"7916000000{n}"} for n in numbers]
        return {"КонтактнаяИнформация": rows}

    ref = _created(onec, CARDS, {"Description": "Иванов", **phones(1, 2)})["Ref_Key"]
    path = f"{CARDS}(guid'{ref}')"
    assert [row["Ref_Key"] for row in onec.rows(PHONES)] == [ref, ref]
    assert len(onec.call("PATCH", path, {"Description": "Иной"}).json()["КонтактнаяИнформация"]) == 2
    assert len(onec.call("PATCH", path, phones(1)).json()["КонтактнаяИнформация"]) == 1
    assert refused(onec.call("PATCH", path, phones(2)))[0] == 400
    unnumbered = {"КонтактнаяИнформация": [{"НомерТелефона": "79160000001"}]}
    assert refused(onec.call("PATCH", path, unnumbered))[:2] == (500, "-1")
    direct = onec.call("POST", PHONES, {"Ref_Key": ref, "LineNumber": "2"})
    assert refused(direct)[:2] == (400, "13")


def test_document_is_posted_and_unposted(onec: OneCSim) -> None:
    path = f"{ENQUIRIES}(guid'{_created(onec, ENQUIRIES, {})['Ref_Key']}')"
    assert onec.call("POST", f"{path}/Post").status_code == 200
    assert onec.call("GET", path).json()["Posted"] is True
    onec.call("POST", f"{path}/Unpost")
    assert onec.call("GET", path).json()["Posted"] is False
    assert refused(onec.call("POST", f"{path}/Провести"))[:2] == (404, "11")


def test_rows_survive_a_kill_and_numbers_continue(data: Path, http: httpx.Client) -> None:
    with started(ONEC, data) as (base, process):
        before = OneCSim(base, http)
        before.call("POST", REGISTER, _entry())
        before.post("seed", {"full_name": "Иванов", "phone": "9161234567"})
        process.kill()
        process.wait()
    with started(ONEC, data) as (base, _):
        after = OneCSim(base, http)
        assert [entry["lead_id"] for entry in after.get("journal")] == [LEAD]
        assert refused(after.call("POST", REGISTER, _entry()))[:2] == (400, "15")
        assert _created(after, ENQUIRIES, {})["Number"] == "0000-000002"
        assert len(after.rows(USERS)) == 1


def test_stale_version_is_refused_with_strict_412(onec: OneCSim) -> None:
    before = _created(onec, ENQUIRIES, {"Тема": "Сайт"})
    path = f"{ENQUIRIES}(guid'{before['Ref_Key']}')"
    onec.post("access", {"strict_412": True})
    auth = httpx.BasicAuth(USER.encode(), PASSWORD.encode())

    def patched(version: str | None) -> int:
        headers = {} if version is None else {"if-match": version}
        return onec.http.patch(onec.url(path), json={"Тема": "Звонок"}, auth=auth, headers=headers).status_code

    assert [patched(before["DataVersion"]), patched(before["DataVersion"]), patched(None), patched("*")] == [
        200,
        412,
        200,
        200,
    ]
