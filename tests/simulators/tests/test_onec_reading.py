"""Reading from 1C: authentication, formats, queries, and errors."""

from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from tests.simulators.tests.names import CARDS, ENQUIRIES, PHONE_KINDS, PHONES, REGISTER
from tests.simulators.tests.processes import PASSWORD, USER, OneCSim, refused


def _xml(content: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(content)  # noqa: S314 (our own process wrote it)


def _seed(onec: OneCSim, *clients: dict[str, Any]) -> list[dict[str, str]]:
    seeded: list[dict[str, str]] = onec.post("seed", {"clients": list(clients)})["clients"]
    return seeded


def _client(name: str = "Иванов Иван", phone: str = "+79161234567", **more: str) -> dict[str, Any]:
    return {"full_name": name, "phone": phone, **more}


def test_credentials_are_basic_authentication_in_utf8(onec: OneCSim) -> None:
    def status(credentials: bytes | None) -> int:
        user, _, password = (credentials or b"").partition(b":")
        auth = httpx.BasicAuth(user, password) if credentials else None
        return onec.http.get(onec.url(ENQUIRIES), auth=auth).status_code

    assert status(f"{USER}:{PASSWORD}".encode()) == 200
    assert status(f"{USER}:{PASSWORD}".encode("cp1251")) == 401
    assert status(f"{USER}:wrong".encode()) == 401
    assert status(None) == 401


def test_answer_is_atom_unless_json_is_requested(onec: OneCSim) -> None:
    auth = httpx.BasicAuth(USER.encode(), PASSWORD.encode())
    address = onec.url(ENQUIRIES).partition("?")[0]
    plain = onec.http.get(address, auth=auth)
    assert plain.headers["content-type"].startswith("application/atom+xml")
    _xml(plain.content)
    requested = onec.http.get(address, auth=auth, headers={"accept": "application/json"})
    assert requested.json()["value"] == []
    error = onec.http.get(address + "?$filter=x", auth=auth)
    assert _xml(error.content).tag.endswith("error")


def test_plus_in_a_query_is_refused(onec: OneCSim) -> None:
    auth = httpx.BasicAuth(USER.encode(), PASSWORD.encode())
    spaced = onec.url(ENQUIRIES, filter="Number eq '1'")
    assert onec.http.get(spaced, auth=auth).status_code == 200
    refusal = onec.http.get(spaced.replace("%20", "+"), auth=auth)
    assert refused(refusal) == (500, "-1", 'Операция не разрешена в предложении "ГДЕ"')


def test_phone_is_found_by_its_last_digits_in_every_usual_form(onec: OneCSim) -> None:
    forms = ("digits", "formatted", "short")
    for n, form in enumerate(forms):
        _seed(onec, _client(phone=f"+7916123450{n}", form=form))
    found = onec.rows(
        PHONES,
        filter=" or ".join(
            f"substringof('123450{n}',НомерТелефона) or substringof('123450{n}',НомерТелефонаБезКодов)"
            for n in range(3)
        ),
    )
    assert len(found) == 3
    assert {(row["НомерТелефона"], row["НомерТелефонаБезКодов"]) for row in found} == {
        ("79161234500", "9161234500"),
        ("+7 (916) 123-45-01", "1234501"),
        ("", "1234502"),
    }
    assert all(row["LineNumber"] == "1" and row["Тип"] == "Телефон" for row in found)


def test_forms_that_a_search_by_digits_misses_exist_on_request(onec: OneCSim) -> None:
    _seed(onec, _client(form="dashed"), _client(form="presentation"))
    assert onec.rows(PHONES, filter="substringof('1234567',НомерТелефонаБезКодов)") == []
    assert len(onec.rows(PHONES, filter="substringof('123-45-67',Представление)")) == 2


def test_enquiries_are_found_by_reference_and_date(onec: OneCSim) -> None:
    old, new = _seed(
        onec,
        _client(date="2026-01-10T10:00:00"),
        _client("Петров", "+79160000001", date="2026-03-01T00:00:00+00:00"),
    )
    ref = f"ПотенциальныйКлиент_Key eq guid'{new['client_ref']}'"
    assert [row["Date"] for row in onec.rows(ENQUIRIES, filter=ref)] == ["2026-03-01T03:00:00"]
    early = onec.rows(ENQUIRIES, filter="Date le datetime'2026-02-01T00:00:00' and not (DeletionMark)")
    assert [row["Ref_Key"] for row in early] == [old["enquiry_ref"]]


def test_unlimited_string_is_searched_but_not_compared(onec: OneCSim) -> None:
    _seed(onec, _client(comment="ext:7f3a и ещё"))
    assert len(onec.rows(ENQUIRIES, filter="substringof('ext:7f3a',Комментарий)")) == 1
    assert refused(onec.call("GET", ENQUIRIES, filter="Комментарий eq 'ext:7f3a'"))[:2] == (500, "-1")
    assert refused(onec.call("GET", ENQUIRIES, orderby="Комментарий"))[:2] == (500, "-1")


@pytest.mark.parametrize(
    ("path", "options", "status", "code"),
    [
        ("Catalog_Лиды", {}, 404, "8"),
        (ENQUIRIES, {"filter": "Нет eq 'а'"}, 400, "14"),
        (ENQUIRIES, {"filter": "contains(Тема,'а')"}, 400, "21"),
        (ENQUIRIES, {"select": "Тема,Нет"}, 400, "6"),
        (ENQUIRIES, {"orderby": "Нет"}, 400, "14"),
        (ENQUIRIES, {"top": "-1"}, 400, "14"),
        (ENQUIRIES, {"search": "а"}, 400, "14"),
        (f"{ENQUIRIES}(guid'00000000-0000-0000-0000-000000000001')", {}, 404, "9"),
        (f"{ENQUIRIES}(guid'abc')", {}, 400, "1"),
        (f"{ENQUIRIES}('abc')", {}, 400, "1"),
        (f"{ENQUIRIES}(abc)", {}, 400, "6"),
        (f"{PHONES}(LineNumber=1)", {}, 400, "7"),
        (f"{REGISTER}(ИдентификаторЛида='нет')", {}, 404, "9"),
        (f"{REGISTER}(Лид='нет')", {}, 400, "6"),
        (f"{REGISTER}('скобка) и ''кавычка''')", {}, 404, "9"),
        (REGISTER + "(" + "'а'" * 100 + "(", {}, 400, "6"),
    ],
)
def test_wrong_request_gets_the_error_code_of_1c(
    onec: OneCSim, path: str, options: dict[str, str], status: int, code: str
) -> None:
    assert refused(onec.call("GET", path, **options))[:2] == (status, code)


def test_select_orderby_top_and_skip_are_applied(onec: OneCSim) -> None:
    _seed(onec, *(_client(f"Клиент {n}", f"+7916000000{n}") for n in (2, 0, 1)))
    page = onec.rows(CARDS, select="Description", orderby="Description desc", top="1", skip="1")
    assert page == [{"Description": "Клиент 1"}]
    assert "КонтактнаяИнформация" not in onec.rows(CARDS, select="**")[0]
    assert "КонтактнаяИнформация" in onec.rows(CARDS, select="*")[0]


def test_count_is_a_string_and_starts_with_a_bom(onec: OneCSim) -> None:
    _seed(onec, *(_client(phone=f"+7916000000{n}") for n in range(3)))
    counted = onec.call("GET", CARDS, inlinecount="allpages", top="1").json()
    # The vendor's guide: with $inlinecount the paging options do not apply.
    assert counted["odata.count"] == "3"
    assert len(counted["value"]) == 3
    assert "odata.count" not in onec.call("GET", CARDS).json()
    assert onec.call("GET", f"{CARDS}/$count").content == b"\xef\xbb\xbf3"
    assert onec.call("GET", f"{CARDS}/$count", filter="Code eq 'нет'").content == b"\xef\xbb\xbf0"


def test_strings_are_compared_without_regard_to_case(onec: OneCSim) -> None:
    _seed(onec, _client("Иванов Иван"))
    assert len(onec.rows(CARDS, filter="startswith(Description,'ИВАН') eq true")) == 1
    assert len(onec.rows(CARDS, filter="like(Description,'%ов _ван')")) == 1
    assert len(onec.rows(CARDS, filter="endswith(Description,'ИВАН') and Description ne 'x'")) == 1


def test_metadata_is_xml_and_describes_the_journal(onec: OneCSim) -> None:
    answer = onec.call("GET", "$metadata")
    names = {"e": "http://schemas.microsoft.com/ado/2009/11/edm"}
    tree = _xml(answer.content)
    entity = tree.find(f".//e:EntityType[@Name='{REGISTER}']", names)
    assert entity is not None
    assert [ref.get("Name") for ref in entity.findall("e:Key/e:PropertyRef", names)] == ["ИдентификаторЛида"]
    lengths = {item.get("Name"): item.get("MaxLength") for item in entity.findall("e:Property", names)}
    assert lengths["ФИО"] == "150"
    assert lengths["Телефон"] == "20"
    assert lengths["ЗакрепленДо"] is None
    sets = {item.get("Name") for item in tree.iter("{http://schemas.microsoft.com/ado/2009/11/edm}EntitySet")}
    assert {CARDS, PHONES, ENQUIRIES, REGISTER} <= sets


def test_phone_kind_is_found_by_its_predefined_name(onec: OneCSim) -> None:
    kinds = onec.rows(PHONE_KINDS, filter="PredefinedDataName eq 'ТелефонПотенциальногоКлиента'")
    _seed(onec, _client())
    assert onec.rows(PHONES)[0]["Вид_Key"] == kinds[0]["Ref_Key"]


def test_reference_is_expanded_only_if_it_is_selected_too(onec: OneCSim) -> None:
    (seeded,) = _seed(onec, _client())

    (silent,) = onec.rows(ENQUIRIES, expand="ПотенциальныйКлиент")
    (shown,) = onec.rows(ENQUIRIES, select="Ref_Key,ПотенциальныйКлиент", expand="ПотенциальныйКлиент")

    assert "ПотенциальныйКлиент" not in silent
    assert shown["ПотенциальныйКлиент"]["Ref_Key"] == seeded["client_ref"]


def test_single_entity_and_tabular_rows_cannot_be_expanded(onec: OneCSim) -> None:
    (seeded,) = _seed(onec, _client())

    one = onec.call("GET", f"{ENQUIRIES}(guid'{seeded['enquiry_ref']}')", expand="ПотенциальныйКлиент")
    rows = onec.call("GET", PHONES, expand="Вид")
    unknown = onec.call("GET", ENQUIRIES, expand="Тема")

    assert {refused(answer)[:2] for answer in (one, rows, unknown)} == {(400, "14")}


def test_cast_to_another_set_is_no_reference(onec: OneCSim) -> None:
    (seeded,) = _seed(onec, _client())
    ref = seeded["client_ref"]

    found = onec.rows(ENQUIRIES, filter=f"ПотенциальныйКлиент_Key eq cast(guid'{ref}','{CARDS}')")
    other = onec.rows(ENQUIRIES, filter=f"cast(ПотенциальныйКлиент_Key,'Catalog_Партнеры') eq guid'{ref}'")
    unknown = onec.call("GET", ENQUIRIES, filter=f"ПотенциальныйКлиент_Key eq cast(guid'{ref}','Catalog_Нет')")

    assert [row["Ref_Key"] for row in found] == [seeded["enquiry_ref"]]
    assert other == []
    assert refused(unknown)[:2] == (400, "21")
