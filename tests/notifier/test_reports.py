"""What providers tell of a message afterwards: by signed calls, and by asking where they do not call."""

from hashlib import md5, sha1
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.notifier.signatures import Signer, smsc_signed
from tests.notifier.samples import opened, partner, rejected
from tests.notifier.world import REPORT_SECRET, World, until
from tests.process import ServiceProcess

ID = UUID("00000000-0000-5000-8000-0000000000a1")


def test_a_report_is_believed_by_either_hash_and_by_no_other() -> None:
    said = f"{ID}:79031112233:1:{REPORT_SECRET}".encode()
    good, old = sha1(said, usedforsecurity=False).hexdigest(), md5(said, usedforsecurity=False).hexdigest()

    assert smsc_signed(REPORT_SECRET, str(ID), "79031112233", "1", good, "")
    assert smsc_signed(REPORT_SECRET, str(ID), "79031112233", "1", good.upper(), "of no weight")
    assert smsc_signed(REPORT_SECRET, str(ID), "79031112233", "1", "", old)
    assert not smsc_signed(REPORT_SECRET, str(ID), "79031112233", "20", good, "")
    assert not smsc_signed(REPORT_SECRET, str(ID), "79031112233", "1", "", "")
    assert not smsc_signed(REPORT_SECRET, str(ID), "79031112233", "1", "é", "")
    assert not smsc_signed("another word", str(ID), "79031112233", "1", good, old)


def test_an_address_is_signed_for_one_message() -> None:
    signer = Signer("a word")

    assert signer.is_ours(ID, signer.sign(ID))
    assert not signer.is_ours(UUID(int=1), signer.sign(ID))
    assert not Signer("another").is_ours(ID, signer.sign(ID))


async def reporting(world: World, secret: str = REPORT_SECRET) -> ServiceProcess:
    world.sms.post("callbacks", {"url": world.reports, "secret": secret})
    return await world.start(HTTP_PORT=str(world.port))


def counted(process: ServiceProcess, result: str) -> float:
    name = f'truce_sms_reports_total{{provider="smsc",result="{result}"}} '
    lines = httpx.get(f"{process.admin}/metrics").text.splitlines()
    return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)


def signed(message_id: Any, status: int, secret: str = REPORT_SECRET) -> dict[str, str]:
    said = f"{message_id}:79031112233:{status}:{secret}".encode()
    form = {"id": str(message_id), "phone": "79031112233", "status": str(status)}
    return {**form, "sha1": sha1(said, usedforsecurity=False).hexdigest()}


@pytest.mark.infra
async def test_a_delivery_is_told_once_however_often_and_in_which_order_it_is_reported(world: World) -> None:
    process = await reporting(world)
    for mode in ("callback_doubled", "callback_swapped"):
        world.sms.post("fault", {"mode": mode, "count": 1})
    await world.tell(partner("p1"), opened(1), rejected(2))
    statuses = await world.statuses(4)
    await until(lambda: len(world.sms.get("callbacks")) == 6 or None, "every report to be made")

    of_lead = {n: [one.status for one in statuses if one.lead_id == UUID(int=n)] for n in (1, 2)}
    assert of_lead == {1: ["sent", "delivered"], 2: ["sent", "delivered"]}
    await until(lambda: counted(process, "repeated") == 4 or None, "what was known already to be counted")
    assert counted(process, "news") == 2
    assert {report["http"] for report in world.sms.get("callbacks")} == {200}


@pytest.mark.infra
async def test_a_message_the_operator_gave_up_on_is_told_as_failed(world: World) -> None:
    await reporting(world)
    world.sms.post("fault", {"mode": "undeliverable", "count": 1, "match": {"call": "send"}})
    await world.tell(partner("p1"), opened(1))

    assert [(one.status, one.detail) for one in await world.statuses(2)] == [("sent", None), ("failed", "status 20")]


@pytest.mark.infra
async def test_a_wrong_signature_changes_nothing_and_is_counted(world: World) -> None:
    process = await reporting(world, secret="another's")
    await world.tell(partner("p1"), opened(1))
    await until(lambda: counted(process, "forged") == 2 or None, "both forged reports to be counted")
    [row] = await world.rows("SELECT message_id, status FROM messages")

    assert row["status"] == "sent"
    for body in ({}, {"id": "x"}, signed(row["message_id"], 1, secret="a guess")):
        assert httpx.post(world.reports, data=body).status_code == 403
    assert httpx.post(world.reports, content=b"x" * 70_000).status_code == 413
    assert httpx.get(world.reports).status_code == 405
    assert httpx.get(world.reports.replace("smsc", "kannel")).status_code == 404
    assert [tuple(row) for row in await world.rows("SELECT status FROM messages")] == [("sent",)]


@pytest.mark.infra
async def test_a_report_about_an_unknown_message_is_kept_and_answered(world: World) -> None:
    process = await reporting(world)

    assert httpx.post(world.reports, data=signed(ID, 1)).status_code == 200
    assert httpx.post(world.reports, data=signed(ID, 1)).status_code == 200
    assert httpx.post(world.reports, data=signed("another-program-7", 1)).status_code == 200
    assert httpx.post(world.reports, data=signed(ID, 77)).status_code == 200
    [kept] = await world.rows("SELECT provider, message_id, outcome, code FROM reports")
    assert tuple(kept) == ("smsc", ID, "delivered", "1")
    assert (counted(process, "unknown"), counted(process, "unreadable")) == (2, 2)


@pytest.mark.infra
async def test_a_report_settles_a_message_that_was_unknown(world: World) -> None:
    await world.start(HTTP_PORT=str(world.port))
    world.sms.post("fault", {"mode": "down"})
    await world.tell(partner("p1"), opened(1))
    await world.wait_for("SELECT 1 FROM attempts")
    [row] = await world.rows("SELECT message_id FROM messages")

    assert httpx.post(world.reports, data=signed(row["message_id"], 1)).status_code == 200
    assert [one.status for one in await world.statuses(1)] == ["delivered"]


@pytest.mark.infra
async def test_what_no_report_comes_of_is_asked_for(world: World) -> None:
    await world.start()
    await world.tell(partner("p1"), opened(1))
    await world.statuses(1)
    world.sms.post("clock", {"advance_seconds": 60})
    await world.rows("UPDATE attempts SET poll_at = now()")

    assert [one.status for one in await world.statuses(2)] == ["sent", "delivered"]
    await world.rows("UPDATE attempts SET poll_at = now()")
    await world.wait_for("SELECT 1 FROM attempts WHERE poll_at IS NULL")
