"""The client against the simulator of 1C: what each failure means, sessions and limits, and the exchange log."""

import asyncio
import uuid
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from deploy.local.ports import free_port
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.errors import Exists, NoAnswer, NoRights, NotReached, OneCError, Paused, Refused
from services.onec_gateway.onec.exchange import Call, Exchange
from services.onec_gateway.onec.gate import Gate
from services.onec_gateway.onec.journals import Journals
from services.onec_gateway.onec.search import Search
from services.onec_gateway.onec.throttle import Throttle
from tests.onec_gateway.conftest import connected
from tests.onec_gateway.office import CALL, ENTRY, PHONE
from tests.simulators.tests.names import CARDS, ENQUIRIES, REGISTER
from tests.simulators.tests.processes import PASSWORD, USER, OneCSim

ANY = "DeletionMark eq false"
RECORD = {"ИдентификаторЛида": ENTRY.lead_id, "ФИО": ENTRY.full_name}


@pytest.mark.parametrize(
    ("fault", "error", "reason"),
    [
        ({"mode": "infobase_locked"}, NotReached, "infobase-locked"),
        ({"mode": "session_expired"}, NotReached, "no-session"),
        ({"mode": "licence_exhausted"}, NotReached, "no-licence"),
        ({"mode": "licence_exhausted", "status": 500}, NotReached, "no-licence"),
        ({"mode": "lock_conflict"}, NotReached, "lock-conflict"),
        ({"mode": "rights"}, NoRights, "no-rights"),
        ({"mode": "html_page"}, NoAnswer, "server-error"),
        ({"mode": "html_page", "status": 200}, NoAnswer, "not-1c"),
        ({"mode": "encoding", "variant": "truncated"}, NoAnswer, "not-1c"),
        ({"mode": "handler_error"}, Refused, "refused"),
        ({"mode": "commit_then_drop"}, NoAnswer, "broken-off"),
        ({"mode": "late_commit", "seconds": 0.1}, NoAnswer, "broken-off"),
    ],
)
async def test_each_failure_of_1c_has_its_own_error_and_reason(
    sim: OneCSim, onec: OneC, fault: dict[str, Any], error: type[OneCError], reason: str
) -> None:
    sim.post("fault", {**fault, "match": {"set": REGISTER}})

    with pytest.raises(error) as raised:
        await onec.create(CALL, REGISTER, RECORD)

    assert type(raised.value) is error
    assert raised.value.reason == reason


@pytest.mark.parametrize("name", ["Не найдена Лицензия", "Конфликт Блокировок", "Deadlock Дмитрий"])
async def test_name_that_reads_like_an_error_message_does_not_pause_the_exchange(
    sim: OneCSim, onec: OneC, name: str
) -> None:
    text = f"Клиент {name} уже есть"
    sim.post("fault", {"mode": "handler_error", "text": text, "match": {"set": REGISTER}})
    call = replace(CALL, personal=(name, PHONE))

    with pytest.raises(Refused, match="refused"):
        await onec.create(call, REGISTER, RECORD)


async def test_address_too_long_for_the_web_server_is_a_refusal(sim: OneCSim, onec: OneC) -> None:
    for profile in ("iis", "apache"):
        sim.post("access", {"profile": profile})
        with pytest.raises(Refused, match="address-not-served"):
            await onec.find(CALL, CARDS, " or ".join([ANY] * 400), ("Ref_Key",))


async def test_byte_order_mark_and_a_wrong_charset_header_do_no_harm(sim: OneCSim, onec: OneC) -> None:
    sim.post("fault", {"mode": "encoding"})

    made = await onec.create(CALL, REGISTER, RECORD)

    assert made["ФИО"] == ENTRY.full_name


async def test_second_record_with_the_same_key_is_refused_by_1c(sim: OneCSim, onec: OneC) -> None:
    await onec.create(CALL, REGISTER, RECORD)

    with pytest.raises(Exists):
        await onec.create(CALL, REGISTER, RECORD)
    assert len(sim.get("journal")) == 1


async def test_missing_object_is_no_failure(onec: OneC, exchanges: list[Exchange]) -> None:
    assert await onec.get(CALL, REGISTER, f"ИдентификаторЛида='{ENTRY.lead_id}'") is None
    assert exchanges[-1].outcome == "not-found"


async def test_request_without_a_connection_certainly_had_no_effect() -> None:
    onec = OneC(
        f"http://127.0.0.1:{free_port()}/crm",
        USER,
        PASSWORD,
        gate=Gate(Throttle(1, per_second=10)),
        record=lambda _: None,
        web_server="iis",
        connections=1,
        probe_set=CARDS,
    )

    with pytest.raises(NotReached, match="not-connected"):
        await onec.find(CALL, CARDS, ANY, ("Ref_Key",))
    await onec.close()


async def test_1c_never_gets_more_requests_at_once_than_allowed(sim: OneCSim) -> None:
    sim.post("latency", {"ms": 30})
    onec = connected(sim, [], at_once=2)

    await asyncio.gather(*(onec.find(CALL, ENQUIRIES, ANY, ("Ref_Key",)) for _ in range(12)))

    assert sim.get("state")["most_at_once"] == 2
    await onec.close()


async def test_sessions_are_used_again_and_ended_at_the_close(sim: OneCSim) -> None:
    sim.post("latency", {"ms": 20})
    onec = connected(sim, [], at_once=3)

    for _ in range(4):
        await asyncio.gather(*(onec.find(CALL, ENQUIRIES, ANY, ("Ref_Key",)) for _ in range(3)))

    assert sim.get("state")["most_sessions"] == 3
    await onec.close()
    assert sim.get("state")["sessions"] == 0


async def test_session_whose_answer_was_lost_is_used_again_and_ended(sim: OneCSim) -> None:
    onec = connected(sim, [])
    for _ in range(3):
        await onec.find(CALL, ENQUIRIES, ANY, ("Ref_Key",))
        sim.post("fault", {"mode": "commit_then_drop", "count": 1, "match": {"method": "POST"}})
        with pytest.raises(NoAnswer):
            await onec.create(CALL, REGISTER, RECORD | {"ИдентификаторЛида": str(uuid.uuid4())})

    assert sim.get("state")["most_sessions"] == 1
    await onec.close()
    assert sim.get("state")["sessions"] == 0


async def test_expired_session_is_replaced_and_the_request_is_repeated(sim: OneCSim, onec: OneC) -> None:
    await onec.find(CALL, ENQUIRIES, ANY, ("Ref_Key",))
    sim.post("access", {"session_s": 0})
    sim.get("state")

    await onec.create(CALL, REGISTER, RECORD)

    assert [call["status"] for call in sim.get("calls")][-2:] == [406, 200]
    assert len(sim.get("journal")) == 1


async def test_publication_without_sessions_is_used_without_sessions(sim: OneCSim, onec: OneC) -> None:
    sim.post("access", {"keeps_sessions": False})

    for _ in range(3):
        await onec.find(CALL, ENQUIRIES, ANY, ("Ref_Key",))

    assert {call["status"] for call in sim.get("calls")} == {200}


async def test_missing_licence_pauses_further_requests(sim: OneCSim, onec: OneC) -> None:
    sim.post("access", {"licences": 0})

    with pytest.raises(NotReached, match="no-licence"):
        await onec.find(CALL, ENQUIRIES, ANY, ("Ref_Key",))
    with pytest.raises(Paused, match="no-licence"):
        await onec.find(CALL, ENQUIRIES, ANY, ("Ref_Key",))


async def test_request_ends_at_the_time_limit(sim: OneCSim) -> None:
    sim.post("fault", {"mode": "slow", "seconds": 5})
    onec = connected(sim, [], timeout_s=0.2)

    with pytest.raises(NoAnswer, match="timeout"):
        await onec.find(CALL, ENQUIRIES, ANY, ("Ref_Key",))
    await onec.close()


async def test_exchange_is_logged_without_personal_data(
    sim: OneCSim,
    journals: Journals,
    search: Search,
    exchanges: list[Exchange],
    capsys: pytest.CaptureFixture[str],
) -> None:
    error_text = f"Клиент Иванова Петра, тел. 8 (916) 123-45-67, {date(1990, 1, 2)} уже есть у Сидоровой Анны"
    sim.post("fault", {"mode": "handler_error", "text": error_text, "count": 1})
    call = Call("partner-journal", (ENTRY.lead_id,), 2, "correlation", (ENTRY.full_name, PHONE, ENTRY.partner))

    with pytest.raises(Refused) as raised:
        await journals.enter(call, ENTRY, look=False)
    await search.clients(call, [PHONE])

    visible = capsys.readouterr().out + str(exchanges) + str(raised.value.text)
    assert "1С отклонила запрос" in visible
    assert ENTRY.lead_id in visible
    assert exchanges[-2].text == "Клиент …, тел. … уже есть у …"
    for secret in ("Иванов", "Петр", "1234567", "123-45-67", "(916)", "Сидоров", "filter", "1990-01"):
        assert secret not in visible
