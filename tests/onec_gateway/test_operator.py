"""The commands of the 1C administrator and of the partner manager."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.leads import LeadSubmitted
from tests.onec_gateway.harness import NAME, Harness
from tests.process import run_warm, until
from tests.simulators.tests.names import PHONES, REGISTER
from tests.simulators.tests.processes import ROOT, OneCSim

pytestmark = pytest.mark.infra

PHONE = "+79161234567"


async def command(gateway: Harness, *arguments: str, code: int = 0) -> str:
    """Run a command and return what it prints."""
    environment = {**os.environ, **gateway.environment(), "ONEC_ADMIN_PORT": "0"}
    done = await asyncio.to_thread(run_warm, "services.onec_gateway", *arguments, environment=environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


async def read(gateway: Harness, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """Run a command with `--json` and return its rows."""
    printed = await command(gateway, *arguments, "--json", code=code)
    return [json.loads(line) for line in printed.splitlines() if line[:1] == "{"]


def ruling(lead: LeadSubmitted, why: str, decision: str = "--confirm") -> tuple[str, ...]:
    return ("release", str(lead.lead_id), decision, "--who", "Менеджер", "--why", why)


async def test_every_exchange_about_a_lead_is_shown_without_personal_data(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    sim.post("fault", {"mode": "lock_conflict", "match": {"set": REGISTER}, "count": 1})
    lead, _ = await gateway.hold(PHONE)

    async def written() -> list[dict[str, Any]] | None:
        found = await read(gateway, "exchanges", "--lead", str(lead.lead_id))
        return found if len(found) == 3 else None

    check, failed, entered = await until(written, "the exchanges are written")
    assert (check["operation"], check["outcome"], check["leads"]) == ("check", "ok", [str(lead.lead_id)])
    assert (failed["outcome"], failed["code"], failed["status"]) == ("lock-conflict", "-1", 500)
    assert failed["next_at"] is not None
    assert (entered["set"], entered["attempt"], entered["outcome"]) == (REGISTER, 2, "ok")
    assert [one["id"] for one in await read(gateway, "exchanges", "--failed")] == [failed["id"]]
    table = await command(gateway, "exchanges")
    assert "lock-conflict" in table
    for secret in (NAME, "Клиентов", "9161234567", "Агентова"):
        assert secret not in table + json.dumps([check, failed, entered], ensure_ascii=False)


async def test_parked_write_is_shown_with_its_reason_and_retried_by_command(gateway: Harness, sim: OneCSim) -> None:
    sim.post("fault", {"mode": "handler_error", "match": {"set": REGISTER}})
    await gateway.start()
    await gateway.add_partner("p1")
    lead = await gateway.submit(PHONE)
    await gateway.open(lead, (await gateway.verdict_of(lead))["confirmed_at"])

    async def parked() -> dict[str, Any] | None:
        return next((one for one in await read(gateway, "parked") if one["state"] == "parked"), None)

    one = await until(parked, "the write is parked")
    assert (one["kind"], one["lead"]) == ("partner-journal", str(lead.lead_id))
    assert one["reason"].startswith("refused (HTTP 500, код -1): Ошибка при выполнении обработчика")
    assert "отложено" in await command(gateway, "parked")
    (listed,) = await read(gateway, "waiting")
    assert listed["command"] == f"python -m services.onec_gateway retry {one['id']}"
    assert listed["why"] == one["reason"]

    sim.post("fault", {"mode": "none"})
    assert "будет повторено: 1" in await command(gateway, "retry", str(one["id"]))
    await gateway.wait_for_journal()
    await command(gateway, "retry", str(one["id"]), code=1)


async def test_lead_within_the_clock_skew_is_decided_by_the_manager(gateway: Harness, sim: OneCSim) -> None:
    gateway.settings["ONEC_CLOCK_SKEW"] = "PT1H"
    sim.post(
        "seed", {"full_name": NAME, "phone": PHONE, "date": (datetime.now(UTC) + timedelta(minutes=5)).isoformat()}
    )
    await gateway.start()
    lead = await gateway.submit(PHONE)
    assert (await gateway.wait_for("collision-detected"))["kind"] == "within-skew"
    (waiting,) = await read(gateway, "parked")
    assert (waiting["lead_id"], waiting["state"], waiting["enquiries"]) == (str(lead.lead_id), "review", 1)
    (listed,) = await read(gateway, "waiting")
    release = f"python -m services.onec_gateway release {lead.lead_id} --confirm --who"
    assert (listed["kind"], listed["lead_id"]) == ("lead-under-review", str(lead.lead_id))
    assert listed["command"].startswith(release)
    assert release in await command(gateway, "waiting")

    (printed,) = await read(gateway, *ruling(lead, "журнал смотрели вместе"))

    assert (printed["status"], printed["rule"], printed["ruled_by"]) == ("confirmed", "ruling", "Менеджер")
    verdict = await gateway.verdict_of(lead)
    assert (verdict["rule"], verdict["evidence"]) == ("ruling", printed["evidence"])
    assert (verdict["ruled_by"], verdict["ruled_why"]) == ("Менеджер", "журнал смотрели вместе")
    assert await read(gateway, "parked") == []
    assert await read(gateway, "waiting") == []


async def test_collision_is_listed_with_its_evidence_until_a_person_has_seen_it(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    lead, _ = await gateway.hold(PHONE)
    assert "столкновений нет" in await command(gateway, "collisions")
    order = {"full_name": NAME, "phone": PHONE, "date": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    walk_in = sim.post("seed", order)["clients"][0]
    published = await gateway.wait_for("collision-detected")

    (listed,) = await read(gateway, "collisions")

    assert (listed["id"], listed["state"], listed["kind"]) == (published["collision_id"], "open", "later")
    assert (listed["lead_id"], listed["enquiry"]) == (str(lead.lead_id), walk_in["enquiry_ref"])
    assert (listed["first"], listed["clock"], listed["date_changed"]) == ("lead", "truce", False)
    table = await command(gateway, "collisions")
    assert all(len(line) <= 80 for line in table.splitlines())
    for words in (listed["id"][:8], str(lead.lead_id), walk_in["number"], "обращение внесено позже лида", "новое"):
        assert words in table

    await command(gateway, "collisions", "seen", listed["id"], "--who", "  ", code=1)
    await command(gateway, "collisions", "seen", "ffffffff", "--who", "Менеджер", code=1)
    assert "посмотрел Менеджер" in await command(gateway, "collisions", "seen", listed["id"][:8], "--who", "Менеджер")
    assert "уже посмотрели: Менеджер" in await command(gateway, "collisions", "seen", listed["id"], "--who", "Другой")

    (seen,) = await read(gateway, "collisions")
    assert (seen["state"], seen["seen_by"]) == ("seen", "Менеджер")
    assert await read(gateway, "collisions", "--open") == []
    assert len(gateway.received("collision-detected")) == 1
    assert all(len(line) <= 80 for line in (await command(gateway, "collisions")).splitlines())


async def test_lead_that_does_not_wait_for_people_is_not_released(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    sim.post("fault", {"mode": "lock_conflict", "match": {"set": PHONES}})
    first, second = await gateway.submit(PHONE), await gateway.submit(PHONE, "p2")

    async def refused() -> str | None:
        printed = await command(gateway, *ruling(second, "первый звонил"), code=1)
        return printed if "лида" not in printed else None

    assert f"раньше решается лид {first.lead_id}" in await until(refused, "the lead is in the gateway")
    (answer,) = await read(gateway, *ruling(first, "некому ждать"), code=1)
    assert (answer["reason"], answer["because"]) == ("not-waiting", "check")
    for blank in (("--who", " ", "--why", "причина"), ("--who", "Менеджер", "--why", "")):
        assert "напишите текст" in await command(gateway, "release", str(first.lead_id), "--reject", *blank, code=2)

    sim.post("fault", {"mode": "none"})
    assert "confirmed_at" in await gateway.verdict_of(first)
    assert (await gateway.verdict_of(second))["reason"] == "held-by-partner"
    assert "уже подтверждён" in await command(gateway, *ruling(first, "передумал", "--reject"), code=1)


async def test_sale_on_a_relatives_phone_is_linked_by_command(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    lead, _ = await gateway.hold(PHONE)
    order = {"full_name": "Клиентова Клара", "phone": "+79160000077", "amount": 500, "contract_number": "ДДУ-9"}
    sold = sim.post("office", {"action": "sell", **order})

    async def seen() -> list[dict[str, Any]] | None:
        return await read(gateway, "deals") or None

    (deal,) = await until(seen, "the sale is seen")
    assert (deal["ref"], deal["lead_id"], deal["contract_number"]) == (sold["deal_ref"], None, "ДДУ-9")

    link = ("deals", "link", deal["ref"], "--lead", str(lead.lead_id), "--who", "Менеджер", "--why", "супруга")
    blank = await command(gateway, *link[:-1], " ", code=2)
    (printed,) = await read(gateway, *link)

    closed = await gateway.wait_for("deal-closed")
    assert "напишите текст" in blank
    assert (printed["status"], printed["lead_id"], printed["linked_why"]) == ("linked", str(lead.lead_id), "супруга")
    assert (closed["lead_id"], closed["linked_by"], closed["amount"]) == (str(lead.lead_id), "Менеджер", "500.00")
    assert closed["linked_why"] == "супруга"
    assert await read(gateway, "deals") == []
    assert "уже связана" in await command(gateway, *link, code=1)


async def test_mapping_is_verified_by_command(gateway: Harness, tmp_path: Path) -> None:
    assert "ошибок нет" in await command(gateway, "verify")

    text = (ROOT / "services/onec_gateway/onec/mapping.toml").read_text(encoding="utf-8")
    file = tmp_path / "mapping.toml"
    file.write_text(text.replace('state = "Состояние"', 'state = "Состояниа"'), encoding="utf-8")
    gateway.settings["ONEC_MAPPING_FILE"] = str(file)

    assert "похожи: Состояние" in " ".join((await command(gateway, "verify", code=1)).split())
