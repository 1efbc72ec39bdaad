"""The SMSC.ru simulator: sending, refusals, status, faults."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.simulators.tests.processes import API_KEY, LOGIN, PSW, Sim, until

PHONE = "+79161234567"


def _send(sms: Sim, mes: str = "Клиент закреплён", **more: Any) -> dict[str, Any]:
    body = {"login": LOGIN, "psw": PSW, "phones": PHONE, "mes": mes, **more}
    answer = sms.http.post(f"{sms.base}/rest/send/", json=body)
    assert answer.status_code == 200, answer.text
    given: dict[str, Any] = answer.json()
    return given


def _status(sms: Sim, message_id: str, phone: str = "79161234567") -> dict[str, Any]:
    form = {"login": LOGIN, "psw": PSW, "phone": phone, "id": message_id, "fmt": "3", "charset": "utf-8"}
    given: dict[str, Any] = sms.http.post(f"{sms.base}/sys/status.php", data=form).json()
    return given


def test_message_is_accepted_with_the_customers_own_id(sms: Sim) -> None:
    assert _send(sms, id="0f3a.b-1_x") == {"id": "0f3a.b-1_x", "cnt": 1}
    [message] = sms.get("messages")
    assert (message["to"], message["text"], message["id"]) == (PHONE, "Клиент закреплён", "0f3a.b-1_x")
    assert message["segments"] == 1
    assert message["at"].endswith("+00:00")


def test_numeric_id_is_returned_as_a_number_and_cost_on_request(sms: Sim) -> None:
    answer = _send(sms, id=2147483647, cost=3)
    assert answer["id"] == 2147483647
    assert {"cost", "balance"} <= set(answer)
    assert _send(sms, "иное")["id"] == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"psw": "wrong"}, 2),
        ({"mes": ""}, 1),
        ({"phones": ""}, 1),
        ({"id": "0123456789012345678901234567890123456789x"}, 1),
        ({"id": 2147483648}, 1),
        ({"id": "с кириллицей"}, 1),
        ({"phones": "123"}, 7),
        ({"time": "завтра"}, 5),
        ({"sender": "Слишком"}, 6),
        ({"mes": "я" * 1001}, 1),
    ],
)
def test_wrong_request_gets_the_error_code_of_smsc(sms: Sim, change: dict[str, Any], code: int) -> None:
    answer = _send(sms, **change)
    assert answer["error_code"] == code
    assert answer["error"]
    assert sms.get("messages") == []


def test_body_that_is_not_json_is_a_parameter_error(sms: Sim) -> None:
    assert sms.http.post(f"{sms.base}/rest/send/", content=b"phones=1").json()["error_code"] == 1


def test_api_key_is_accepted_in_place_of_login_and_password(sms: Sim) -> None:
    body = {"apikey": API_KEY, "phones": PHONE, "mes": "Привет"}
    assert sms.http.post(f"{sms.base}/rest/send/", json=body).json()["cnt"] == 1


def test_identical_request_within_a_minute_is_error_9(sms: Sim) -> None:
    _send(sms, id="a")
    assert _send(sms, id="b")["error_code"] == 9
    assert _send(sms, id="b", phones="+79161234568")["cnt"] == 1
    sms.post("clock", {"advance_seconds": 61})
    assert _send(sms, id="c")["cnt"] == 1


def test_id_may_repeat_and_the_status_is_of_the_latest_message(sms: Sim) -> None:
    _send(sms, "первое", id="a")
    sms.post("clock", {"advance_seconds": 3600})
    assert _status(sms, "a")["status"] == 1
    assert _send(sms, "второе", id="a") == {"id": "a", "cnt": 1}
    assert len(sms.get("messages")) == 2
    assert _status(sms, "a")["status"] == -1


def test_message_goes_from_waiting_to_the_operator_to_delivered(sms: Sim) -> None:
    sent = _send(sms, id="a")
    seen = [_status(sms, sent["id"])["status"]]
    for seconds in (0.6, 2):
        sms.post("clock", {"advance_seconds": seconds})
        seen.append(_status(sms, "a")["status"])
    assert seen == [-1, 0, 1]
    assert _status(sms, "unknown")["status"] == -3


def test_sixth_status_request_of_a_message_within_a_minute_is_error_9(sms: Sim) -> None:
    _send(sms, id="a")
    answers = [_status(sms, "a") for _ in range(6)]
    assert all("status" in answer for answer in answers[:5])
    assert answers[5]["error_code"] == 9
    sms.post("clock", {"advance_seconds": 61})
    assert _status(sms, "a")["status"] == 1


def test_sixteenth_request_at_once_is_error_9(sms: Sim) -> None:
    sms.post("fault", {"mode": "slow", "seconds": 60})
    with ThreadPoolExecutor(15) as pool:
        waiting = [pool.submit(_send, sms, f"текст {n}") for n in range(15)]
        until(lambda: sum(call["ms"] is None for call in sms.get("calls")) == 15, "15 requests in flight")
        assert _send(sms, "шестнадцатый")["error_code"] == 9
        sms.post("fault", {"mode": "none"})
        assert all("cnt" in sent.result() for sent in waiting)


def test_form_is_read_as_windows_1251_by_default(sms: Sim) -> None:
    def send(text: str, **more: str) -> httpx.Response:
        form = {"login": LOGIN, "psw": PSW, "phones": "89161234567", "mes": text, **more}
        return sms.http.post(f"{sms.base}/sys/send.php", data=form)

    assert send("Привет", charset="utf-8", fmt="3").json()["cnt"] == 1
    assert send("Привет").text == "OK - 1 SMS, ID - 2"
    assert [message["text"] for message in sms.get("messages")] == ["Привет", "РџСЂРёРІРµС‚"]
    query = {"login": LOGIN, "psw": "wrong", "phones": PHONE, "mes": "x", "fmt": "1"}
    assert sms.http.get(f"{sms.base}/sys/send.php", params=query).text == "0,-2"


def test_accept_then_cut_keeps_the_message_and_loses_the_answer(sms: Sim) -> None:
    sms.post("fault", {"mode": "accept_then_cut", "count": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        _send(sms, id="a")
    assert [message["id"] for message in sms.get("messages")] == ["a"]
    assert _status(sms, "a")["status"] == -1
    assert sms.get("calls")[0]["committed"] is True


def test_provider_can_refuse_or_be_down(sms: Sim) -> None:
    sms.post("fault", {"mode": "refuse", "code": 3, "count": 1})
    assert _send(sms)["error_code"] == 3
    sms.post("fault", {"mode": "down", "count": 1})
    body = {"login": LOGIN, "psw": PSW, "phones": PHONE, "mes": "x"}
    assert sms.http.post(f"{sms.base}/rest/send/", json=body).status_code == 500
    assert sms.get("messages") == []


def test_request_for_the_price_sends_nothing(sms: Sim) -> None:
    assert _send(sms, cost="1")["cost"] == "3"
    assert sms.get("messages") == []
