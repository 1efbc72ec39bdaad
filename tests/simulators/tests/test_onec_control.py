"""The 1C simulator's control calls and its faults."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulators.tests.names import ENQUIRIES
from tests.simulators.tests.processes import ONEC, OneCSim, refused, started


def test_control_calls_answer_under_both_prefixes_without_credentials(onec: OneCSim) -> None:
    assert onec.get("health")["status"] == "ok"
    assert onec.http.get(f"{onec.base}/crm/__sim/health").status_code == 200


@pytest.mark.parametrize("shape", ["wrapped", "list", "single"])
def test_seed_accepts_an_object_a_list_and_a_single_client(onec: OneCSim, shape: str) -> None:
    client = {"full_name": "Иванов Иван", "phone": "8 (916) 123-45-67", "enquired_at": "2026-11-01T09:00:00Z"}
    body: Any = {"wrapped": {"clients": [client]}, "list": [client], "single": client}[shape]
    seeded = onec.post("seed", body)["clients"][0]
    assert set(seeded) == {"client_ref", "enquiry_ref", "number", "date"}
    [enquiry] = onec.get("general-journal")
    assert enquiry["date"] == "2026-11-01T12:00:00+03:00"
    assert enquiry["full_name"] == "Иванов Иван"
    assert enquiry["ref"] == seeded["enquiry_ref"]
    assert enquiry["posted"]
    assert not enquiry["deletion_mark"]
    assert ["".join(filter(str.isdigit, phone)) for phone in enquiry["phones"]] == ["79161234567"]


def test_wrong_control_call_changes_nothing(onec: OneCSim) -> None:
    wrong = [{"full_name": "Иванов", "phone": "9161234567"}, {"full_name": "Петров"}]
    assert onec.http.post(f"{onec.base}/__sim/seed", json=wrong).status_code == 422
    assert onec.http.post(f"{onec.base}/__sim/fault", json={"mode": "gremlins"}).status_code == 422
    assert onec.get("general-journal") == []


def test_moved_clock_dates_a_seeded_enquiry(onec: OneCSim) -> None:
    onec.post("clock", {"now": "2027-03-01T10:00:00+03:00"})
    onec.post("clock", {"advance_seconds": 86400})
    onec.post("seed", {"full_name": "Иванов", "phone": "9161234567"})
    assert onec.get("general-journal")[0]["date"].startswith("2027-03-02T10:00:0")


def test_demonstration_clock_shifts_the_simulator_too(data: Path, tmp_path: Path, http: httpx.Client) -> None:
    clock = tmp_path / "clock.json"
    with started(ONEC, data, CLOCK_FILE=str(clock)) as (base, _):
        sim = OneCSim(base, http)
        before = datetime.fromisoformat(sim.get("health")["now"])
        clock.write_text(json.dumps({"shift_seconds": 3600}))
        shift = datetime.fromisoformat(sim.get("health")["now"]) - before
        assert timedelta(hours=1) <= shift < timedelta(hours=1, minutes=1)


def test_every_call_but_control_calls_is_logged(onec: OneCSim) -> None:
    onec.call("POST", ENQUIRIES, {"Тема": "Сайт"})
    onec.call("GET", ENQUIRIES, filter="Тема eq 'Сайт'")
    written, read = onec.get("calls")
    assert (written["method"], written["status"], written["committed"]) == ("POST", 201, True)
    assert read["path"] == f"/crm/odata/standard.odata/{ENQUIRIES}"
    assert read["set"] == ENQUIRIES
    assert read["query"] == "$format=json&$filter=Тема eq 'Сайт'"
    assert read["committed"] is False
    assert read["concurrent"] == 1
    assert read["ms"] >= 0
    assert datetime.fromisoformat(read["at"]).tzinfo


def test_commit_then_drop_keeps_the_write_and_loses_the_answer(onec: OneCSim) -> None:
    onec.post("fault", {"mode": "commit_then_drop", "match": {"set": ENQUIRIES}, "count": 1})
    assert onec.rows(ENQUIRIES) == []
    with pytest.raises(httpx.RemoteProtocolError):
        onec.call("POST", ENQUIRIES, {"Тема": "Сайт"})
    assert len(onec.rows(ENQUIRIES)) == 1
    lost = onec.get("calls")[1]
    assert (lost["status"], lost["committed"], lost["fault"]) == (0, True, "commit_then_drop")
    assert onec.call("POST", ENQUIRIES, {}).status_code == 201


@pytest.mark.parametrize(
    ("fault", "status", "part"),
    [
        ({"mode": "infobase_locked"}, 403, "Начало сеанса с информационной базой запрещено"),
        ({"mode": "licence_exhausted"}, 500, "Не обнаружено свободной лицензии"),
        ({"mode": "session_expired"}, 406, "<descr>Истекло время ожидания сеанса"),
        ({"mode": "lock_conflict"}, 500, "Конфликт блокировок"),
        ({"mode": "handler_error"}, 500, "Ошибка при выполнении обработчика - 'ПриЗаписи'"),
        ({"mode": "rights"}, 401, "Нарушение прав доступа"),
        ({"mode": "html_page"}, 500, "1C:Enterprise 8 application error"),
        ({"mode": "html_page", "status": 200}, 200, "1C:Enterprise 8 application error"),
    ],
)
def test_fault_that_answers_in_place_of_1c_writes_nothing(
    onec: OneCSim, fault: dict[str, Any], status: int, part: str
) -> None:
    onec.post("fault", {**fault, "count": 1})
    answer = onec.call("POST", ENQUIRIES, {})
    assert answer.status_code == status
    assert part in answer.text
    assert onec.rows(ENQUIRIES) == []


def test_locked_infobase_and_refusal_by_rules_differ_in_form(onec: OneCSim) -> None:
    onec.post("fault", {"mode": "infobase_locked", "count": 1})
    locked = onec.call("GET", ENQUIRIES).json()
    assert locked["exception"]["reason"] == 403
    assert "odata.error" not in locked
    onec.post("fault", {"mode": "handler_error", "count": 1})
    assert refused(onec.call("POST", ENQUIRIES, {}))[:2] == (500, "-1")


def test_slow_answer_comes_after_the_delay(onec: OneCSim) -> None:
    onec.post("fault", {"mode": "slow", "seconds": 0.3})
    assert onec.call("GET", ENQUIRIES).status_code == 200
    assert onec.get("calls")[0]["ms"] >= 290  # the event loop counts whole milliseconds and may wake up 1 ms early
    onec.post("fault", {"mode": "none"})
    onec.call("GET", ENQUIRIES)
    assert onec.get("calls")[1]["fault"] is None


def test_cold_start_delays_the_first_call_only(onec: OneCSim) -> None:
    onec.post("fault", {"mode": "cold_start", "seconds": 0.2})
    onec.call("GET", ENQUIRIES)
    onec.call("GET", ENQUIRIES)
    assert [call["fault"] for call in onec.get("calls")] == ["cold_start", None]


def test_full_pool_refuses_calls_that_waited_too_long(onec: OneCSim) -> None:
    onec.post("fault", {"mode": "pool_full", "limit": 1, "seconds": 0.2, "work_seconds": 1.5})
    with ThreadPoolExecutor(3) as pool:
        statuses = sorted(pool.map(lambda _: onec.call("GET", ENQUIRIES).status_code, range(3)))
    assert statuses == [200, 406, 406]
    assert max(call["concurrent"] for call in onec.get("calls")) > 1


def test_encoding_fault_adds_a_bom_or_truncates_the_answer(onec: OneCSim) -> None:
    onec.post("fault", {"mode": "encoding", "count": 1})
    answer = onec.call("GET", ENQUIRIES)
    assert "windows-1251" in answer.headers["content-type"]
    assert json.loads(answer.content.decode("utf-8-sig"))["value"] == []
    onec.post("fault", {"mode": "encoding", "variant": "truncated", "count": 1})
    with pytest.raises(json.JSONDecodeError):
        onec.call("GET", ENQUIRIES).json()


def test_faults_with_a_seed_hit_the_same_calls_in_every_run(onec: OneCSim) -> None:
    def run() -> list[int]:
        onec.post("fault", {"mode": "none"})
        onec.post("fault", {"mode": "lock_conflict", "probability": 0.5, "seed": 7})
        return [onec.call("GET", ENQUIRIES).status_code for _ in range(20)]

    first = run()
    assert first == run()
    assert set(first) == {200, 500}
