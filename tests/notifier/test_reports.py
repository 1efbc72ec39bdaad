"""What becomes of an SMS after it was sent: signed delivery reports, and status polling where no report comes."""

from hashlib import md5, sha1
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.notifier.signatures import Signer, is_smsc_signature
from tests.notifier.harness import REPORT_SECRET, Harness, wait_until
from tests.notifier.samples import opened, partner, rejected
from tests.process import ServiceProcess

ID = UUID("00000000-0000-5000-8000-0000000000a1")


def test_smsc_signs_a_report_with_one_of_two_hashes() -> None:
    signed_text = f"{ID}:79031112233:1:{REPORT_SECRET}".encode()
    good, old = (
        sha1(signed_text, usedforsecurity=False).hexdigest(),
        md5(signed_text, usedforsecurity=False).hexdigest(),
    )

    assert is_smsc_signature(REPORT_SECRET, str(ID), "79031112233", "1", good, "")
    assert is_smsc_signature(REPORT_SECRET, str(ID), "79031112233", "1", good.upper(), "of no weight")
    assert is_smsc_signature(REPORT_SECRET, str(ID), "79031112233", "1", "", old)
    assert not is_smsc_signature(REPORT_SECRET, str(ID), "79031112233", "20", good, "")
    assert not is_smsc_signature(REPORT_SECRET, str(ID), "79031112233", "1", "", "")
    assert not is_smsc_signature(REPORT_SECRET, str(ID), "79031112233", "1", "é", "")
    assert not is_smsc_signature("another word", str(ID), "79031112233", "1", good, old)


def test_a_report_address_is_signed_for_one_sms() -> None:
    signer = Signer("a word")

    assert signer.verify(ID, signer.sign(ID))
    assert not signer.verify(UUID(int=1), signer.sign(ID))
    assert not Signer("another").verify(ID, signer.sign(ID))


async def reporting(harness: Harness, secret: str = REPORT_SECRET) -> ServiceProcess:
    harness.sms.post("callbacks", {"url": harness.reports, "secret": secret})
    return await harness.start(HTTP_PORT=str(harness.port))


def counted(process: ServiceProcess, result: str) -> float:
    name = f'truce_sms_reports_total{{provider="smsc",result="{result}",service="notifier"}} '
    lines = httpx.get(f"{process.admin}/metrics").text.splitlines()
    return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)


def signed(message_id: Any, status: int, secret: str = REPORT_SECRET) -> dict[str, str]:
    signed_text = f"{message_id}:79031112233:{status}:{secret}".encode()
    form = {"id": str(message_id), "phone": "79031112233", "status": str(status)}
    return {**form, "sha1": sha1(signed_text, usedforsecurity=False).hexdigest()}


@pytest.mark.infra
async def test_a_delivery_is_published_once_however_often_it_is_reported(harness: Harness) -> None:
    process = await reporting(harness)
    for mode in ("callback_doubled", "callback_swapped"):
        harness.sms.post("fault", {"mode": mode, "count": 1})
    await harness.publish(partner("p1"), opened(1), rejected(2))
    statuses = await harness.statuses(4)
    await wait_until(lambda: len(harness.sms.get("callbacks")) == 6, "every report to be made")

    of_lead = {n: [one.status for one in statuses if one.lead_id == UUID(int=n)] for n in (1, 2)}
    assert of_lead == {1: ["sent", "delivered"], 2: ["sent", "delivered"]}
    await wait_until(lambda: counted(process, "repeated") == 4, "the reports that add nothing")
    assert counted(process, "applied") == 2
    assert {report["http"] for report in harness.sms.get("callbacks")} == {200}


@pytest.mark.infra
async def test_an_sms_that_the_operator_gave_up_is_published_as_failed(harness: Harness) -> None:
    await reporting(harness)
    harness.sms.post("fault", {"mode": "undeliverable", "count": 1, "match": {"call": "send"}})
    await harness.publish(partner("p1"), opened(1))

    assert [(one.status, one.detail) for one in await harness.statuses(2)] == [("sent", None), ("failed", "status 20")]


@pytest.mark.infra
async def test_a_report_with_a_wrong_signature_changes_nothing_and_is_counted(harness: Harness) -> None:
    process = await reporting(harness, secret="another's")
    await harness.publish(partner("p1"), opened(1))
    await wait_until(lambda: counted(process, "forged") == 2, "both forged reports to be counted")
    [row] = await harness.rows("SELECT message_id, status FROM messages")

    assert row["status"] == "sent"
    for body in ({}, {"id": "x"}, signed(row["message_id"], 1, secret="a guess")):
        assert httpx.post(harness.reports, data=body).status_code == 403
    assert httpx.post(harness.reports, content=b"x" * 70_000).status_code == 413
    assert httpx.get(harness.reports).status_code == 405
    assert httpx.get(harness.reports.replace("smsc", "kannel")).status_code == 404
    assert [tuple(row) for row in await harness.rows("SELECT status FROM messages")] == [("sent",)]


@pytest.mark.infra
async def test_a_report_about_an_sms_that_does_not_exist_is_kept(harness: Harness) -> None:
    process = await reporting(harness)

    assert httpx.post(harness.reports, data=signed(ID, 1)).status_code == 200
    assert httpx.post(harness.reports, data=signed(ID, 1)).status_code == 200
    assert httpx.post(harness.reports, data=signed("another-program-7", 1)).status_code == 200
    assert httpx.post(harness.reports, data=signed(ID, 77)).status_code == 200
    [kept] = await harness.rows("SELECT provider, message_id, outcome, code FROM unmatched_reports")
    assert tuple(kept) == ("smsc", ID, "delivered", "1")
    assert (counted(process, "unmatched"), counted(process, "unreadable")) == (2, 2)


@pytest.mark.infra
async def test_a_report_settles_an_sms_that_is_still_in_doubt(harness: Harness) -> None:
    await harness.start(HTTP_PORT=str(harness.port))
    harness.sms.post("fault", {"mode": "down"})
    await harness.publish(partner("p1"), opened(1))
    await harness.wait_for_row("SELECT 1 FROM attempts")
    [row] = await harness.rows("SELECT message_id FROM messages")

    assert httpx.post(harness.reports, data=signed(row["message_id"], 1)).status_code == 200
    assert [one.status for one in await harness.statuses(1)] == ["delivered"]


@pytest.mark.infra
async def test_the_status_of_an_sms_without_a_report_is_polled(harness: Harness) -> None:
    await harness.start()
    await harness.publish(partner("p1"), opened(1))
    await harness.statuses(1)
    harness.sms.post("clock", {"advance_seconds": 60})
    await harness.rows("UPDATE attempts SET poll_at = now()")

    assert [one.status for one in await harness.statuses(2)] == ["sent", "delivered"]
    await harness.rows("UPDATE attempts SET poll_at = now()")
    await harness.wait_for_row("SELECT 1 FROM attempts WHERE poll_at IS NULL")
