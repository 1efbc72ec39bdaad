"""The SMSC.ru adapter against the simulator as a process, and against servers that answer badly."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from uuid import UUID

import pytest

from services.notifier.domain.answers import (
    Accepted,
    Disabled,
    Found,
    Healthy,
    InDoubt,
    Missing,
    NoAnswer,
    Refused,
    Repeated,
    Unreachable,
)
from services.notifier.providers.smsc import Smsc
from tests.notifier.peers import bad_peer, http
from tests.simulators.tests.processes import LOGIN, Sim

PHONE = "+79031112233"
ID = UUID("00000000-0000-5000-8000-0000000000a1")
OTHER = UUID("00000000-0000-5000-8000-0000000000a2")


async def test_an_sms_is_accepted_under_our_own_id(smsc: Smsc, sms: Sim) -> None:
    assert await smsc.send(ID, PHONE, "Клиент закреплён") == Accepted()

    [message] = sms.get("messages")
    assert (message["to"], message["text"], message["id"]) == (PHONE, "Клиент закреплён", str(ID))


async def test_an_accepted_sms_is_found_and_any_other_is_missing(smsc: Smsc, sms: Sim) -> None:
    assert await smsc.lookup(ID, PHONE) == Missing()
    await smsc.send(ID, PHONE, "текст")
    assert await smsc.lookup(ID, PHONE) == Found("status -1")
    sms.post("clock", {"advance_seconds": 60})
    assert await smsc.lookup(ID, PHONE) == Found("status 1", "delivered")


async def test_a_lost_answer_leaves_the_sms_in_doubt_and_the_lookup_finds_it(smsc: Smsc, sms: Sim) -> None:
    sms.post("fault", {"mode": "accept_then_cut", "count": 1})

    assert isinstance(await smsc.send(ID, PHONE, "текст"), InDoubt)
    assert isinstance(await smsc.lookup(ID, PHONE), Found)


async def test_an_identical_text_within_a_minute_is_refused_as_a_repeat(smsc: Smsc) -> None:
    await smsc.send(ID, PHONE, "текст")

    assert await smsc.send(OTHER, PHONE, "текст") == Repeated("9")


@pytest.mark.parametrize("code", [1, 5, 6, 7, 8])
async def test_final_codes_are_refusals(smsc: Smsc, sms: Sim, code: int) -> None:
    sms.post("fault", {"mode": "refuse", "code": code, "count": 1})

    assert await smsc.send(ID, PHONE, "текст") == Refused(str(code), elsewhere=code in (6, 8))


@pytest.mark.parametrize("code", [2, 3, 4])
async def test_account_codes_disable_the_provider(smsc: Smsc, sms: Sim, code: int) -> None:
    sms.post("fault", {"mode": "refuse", "code": code, "count": 2})

    assert await smsc.send(ID, PHONE, "текст") == Disabled(str(code))
    assert await smsc.lookup(ID, PHONE) == Disabled(str(code))


async def test_an_undeliverable_sms_is_found_as_failed(smsc: Smsc, sms: Sim) -> None:
    sms.post("fault", {"mode": "undeliverable", "count": 1})
    await smsc.send(ID, PHONE, "текст")
    sms.post("clock", {"advance_seconds": 60})

    assert await smsc.lookup(ID, PHONE) == Found("status 20", "failed")


async def test_an_account_with_money_is_healthy_and_without_money_disabled(smsc: Smsc, sms: Sim) -> None:
    assert await smsc.check() == Healthy(Decimal("100000.00"))
    sms.post("balance", {"balance": "0.00"})
    assert await smsc.check() == Disabled("3")
    assert await smsc.send(ID, PHONE, "текст") == Disabled("3")


@pytest.mark.parametrize("body", ["{}", '{"balance": 12}', '{"balance": "NaN"}', '{"balance": "много"}', "<html>"])
async def test_a_balance_that_is_not_an_amount_is_no_answer(body: str) -> None:
    async with peer(http(body)) as adapter:
        assert await adapter.check() == NoAnswer("broken-answer")


async def test_a_wrong_password_disables_the_provider(sms: Sim) -> None:
    adapter = Smsc(sms.base, LOGIN, "wrong")

    assert await adapter.send(ID, PHONE, "текст") == Disabled("2")
    await adapter.close()


async def test_too_many_lookups_get_no_answer(smsc: Smsc) -> None:
    answers = [await smsc.lookup(ID, PHONE) for _ in range(6)]

    assert answers == [Missing()] * 5 + [NoAnswer("code-9")]


async def test_a_server_error_leaves_the_sms_in_doubt(smsc: Smsc, sms: Sim) -> None:
    sms.post("fault", {"mode": "down", "status": 502, "count": 2})

    assert await smsc.send(ID, PHONE, "текст") == InDoubt("http-502")
    assert await smsc.lookup(ID, PHONE) == NoAnswer("http-502")


async def test_without_a_connection_it_is_certain_that_nothing_was_sent(unused_tcp_port: int) -> None:
    adapter = Smsc(f"http://127.0.0.1:{unused_tcp_port}", LOGIN, "x")

    assert await adapter.send(ID, PHONE, "текст") == Unreachable("ConnectError")
    assert await adapter.lookup(ID, PHONE) == NoAnswer("ConnectError")
    await adapter.close()


async def test_with_an_unknown_host_name_it_is_certain_that_nothing_was_sent() -> None:
    adapter = Smsc("http://smsc.invalid", LOGIN, "x")

    assert await adapter.send(ID, PHONE, "текст") == Unreachable("ConnectError")
    await adapter.close()


@asynccontextmanager
async def peer(answer: bytes | None) -> AsyncIterator[Smsc]:
    """An adapter whose provider answers the bytes `answer`; for None it answers nothing."""
    async with bad_peer(answer) as url:
        adapter = Smsc(url, LOGIN, "x", read_timeout_s=0.3)
        yield adapter
        await adapter.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "ReadTimeout"),
        (b"", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{", "RemoteProtocolError"),
        (b"SMTP ready\r\n\r\n", "RemoteProtocolError"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "http-302"),
        (http("<html>"), "broken-answer"),
        (http("[1]"), "broken-answer"),
        (http("{}"), "broken-answer"),
        (http('{"id": "another", "cnt": 1}'), "broken-answer"),
        (http('{"error": "x", "error_code": 200}'), "code-200"),
        (http('{"error": "x", "error_code": "8"}'), "broken-answer"),
        (http('{"error": "x", "error_code": [1]}'), "broken-answer"),
        (http('{"error": "x", "error_code": true}'), "broken-answer"),
    ],
)
async def test_any_answer_that_is_not_documented_leaves_the_sms_in_doubt(answer: bytes | None, reason: str) -> None:
    async with peer(answer) as adapter:
        assert await adapter.send(ID, PHONE, "текст") == InDoubt(reason)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (http('{"status": 22}'), Found("status 22", "failed")),
        (http('{"status": -1}'), Found("status -1")),
        (http('{"status": 77}'), NoAnswer("status 77")),
        (http('{"status": {}}'), NoAnswer("broken-answer")),
        (http('{"status": "1"}'), NoAnswer("broken-answer")),
        (http("{}"), NoAnswer("broken-answer")),
        (None, NoAnswer("ReadTimeout")),
    ],
)
async def test_a_status_counts_only_if_it_is_documented(answer: bytes | None, expected: object) -> None:
    async with peer(answer) as adapter:
        assert await adapter.lookup(ID, PHONE) == expected
