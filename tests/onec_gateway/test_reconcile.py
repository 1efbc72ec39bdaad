"""The command `reconcile` on the running gateway, the running reservations service and the simulator of 1C."""

import asyncio
import json
import os
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from chassis.migrations import upgrade
from contracts.leads import LeadSubmitted
from contracts.person import client_key
from tests.contracts.keys import CLIENT_KEY_SECRET
from tests.infra import DatabaseFactory
from tests.onec_gateway.conftest import MAPPINGS
from tests.onec_gateway.harness import NAME, Harness
from tests.process import run_warm, until
from tests.reservations.harness import MIGRATIONS
from tests.reservations.harness import Harness as Reservations
from tests.simulators.tests.names import DOCUMENTS, REGISTER
from tests.simulators.tests.processes import OneCSim

pytestmark = pytest.mark.infra


def phone(number: int) -> str:
    return f"+7916{1_000_000 + number}"


@pytest.fixture
async def reservations(
    gateway: Harness, database_factory: DatabaseFactory, tmp_path: Path
) -> AsyncIterator[Reservations]:
    """The reservations service between the same topics."""
    url = database_factory("reservations", lambda database: upgrade(database, MIGRATIONS))
    harness = Reservations(gateway.bootstrap, url, tmp_path)
    harness.clock.write_text('{"shift_seconds": 0}')
    gateway.settings["ONEC_RECONCILE_SETTLE"] = "PT1S"
    yield harness
    harness.end()


async def reconcile(gateway: Harness, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **gateway.environment(), "ONEC_ADMIN_PORT": "0"}
    return await asyncio.to_thread(run_warm, "services.onec_gateway", "reconcile", *arguments, environment=environment)


async def differences(gateway: Harness, *arguments: str) -> list[dict[str, Any]]:
    """The differences that the command finds. Its exit code says whether there are any."""
    done = await reconcile(gateway, "--json", *arguments)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == (1 if found else 0), done.stdout + done.stderr
    return found


async def reserved(gateway: Harness, reservations: Reservations, count: int) -> Sequence[LeadSubmitted]:
    """Clients of partner p1 that are held, reserved, and entered in 1C."""
    await asyncio.gather(gateway.start(), reservations.start())
    await gateway.add_partner("p1")
    leads = [await gateway.submit(phone(number)) for number in range(count)]
    await gateway.wait_for_journal(count)
    await settled(gateway)
    return leads


async def settled(gateway: Harness) -> None:
    async def done() -> bool | None:
        return not await gateway.query("SELECT 1 FROM work WHERE state <> 'done'") or None

    await until(done, "no work waits")


def key(lead: LeadSubmitted) -> str:
    return f"{REGISTER}(ИдентификаторЛида='{lead.lead_id}')"


async def test_eight_differences_give_eight_lines_and_those_in_1c_are_restored(
    gateway: Harness, reservations: Reservations, sim: OneCSim
) -> None:
    leads = await reserved(gateway, reservations, 10)
    clean = await reconcile(gateway)
    assert (clean.returncode, clean.stdout) == (0, "расхождений нет\n"), clean.stdout + clean.stderr
    original = {entry["lead_id"]: entry["record"] for entry in sim.get("journal")}
    hold, reservation, dated, deleted, closed, moved, stolen = (str(lead.lead_id) for lead in leads[:7])
    stranger = "3f0d3c52-5a55-4d0e-9d3e-0c6a3e7c1a99"

    await gateway.query(f"DELETE FROM holds WHERE lead_id = '{hold}'")
    await reservations.fetch(f"UPDATE reservations SET status = 'withdrawn' WHERE lead_id = '{reservation}'")
    await reservations.fetch(f"UPDATE reservations SET reserved_through = '2030-01-01' WHERE lead_id = '{dated}'")
    assert sim.call("DELETE", key(leads[3])).status_code == 204
    assert sim.call("PATCH", key(leads[4]), {"Состояние": "Истек"}).status_code == 200
    assert sim.call("PATCH", key(leads[5]), {"ЗакрепленДо": "2029-05-05T00:00:00"}).status_code == 200
    assert sim.call("PATCH", key(leads[6]), {"ИдентификаторПартнера": "p9", "Партнер": "Чужой"}).status_code == 200
    row = {**original[moved], "ИдентификаторЛида": stranger}
    assert sim.call("POST", REGISTER, row).status_code in (200, 201)

    done = await reconcile(gateway)

    assert done.returncode == 1, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 8, done.stdout
    for words in (stranger, "1С: лид " + moved[:8], "по 05.05.2029", "партнёр p9", "reservations: нет", "шлюз: нет"):
        assert words in done.stdout
    for secret in (NAME, "Клиентов", "916100", "Агентова", "Чужой"):
        assert secret not in done.stdout + done.stderr
    found = {(one["kind"], one["lead_id"]) for one in await differences(gateway)}
    assert found == {
        ("reservation-without-hold", hold),
        ("hold-without-reservation", reservation),
        ("other-date", dated),
        ("entry-deleted", deleted),
        ("state-edited", closed),
        ("date-edited", moved),
        ("other-partner", stolen),
        ("unknown-lead", stranger),
    }

    refused = await reconcile(gateway, "--restore")
    assert refused.returncode == 2
    restoring = await reconcile(gateway, "--restore", "--who", "Ольга", "--why", "правили вручную")
    assert "будет записано в 1С заново: 4" in restoring.stderr
    await settled(gateway)

    assert len(await differences(gateway)) == 4
    after = {entry["lead_id"]: entry["record"] for entry in sim.get("journal")}
    assert {lead: row for lead, row in after.items() if lead != stranger} == original
    recorded = await gateway.query("SELECT lead_id, found, who, why FROM restorations")
    assert {(str(row["lead_id"]), row["found"], row["who"], row["why"]) for row in recorded} == {
        (lead, kind, "Ольга", "правили вручную")
        for kind, lead in found
        if kind in ("entry-deleted", "state-edited", "date-edited", "other-partner")
    }


async def test_entries_in_documents_are_compared_too_with_doubles_and_deletion_marks(
    gateway: Harness, reservations: Reservations, sim: OneCSim
) -> None:
    gateway.settings["ONEC_MAPPING_FILE"] = str(MAPPINGS / "document.toml")
    leads = await reserved(gateway, reservations, 3)
    assert await differences(gateway) == []
    rows = {row["ИдентификаторЛида"]: row for row in sim.rows(DOCUMENTS)}
    marked, doubled = (str(lead.lead_id) for lead in leads[:2])
    ref = rows[marked]["Ref_Key"]
    assert sim.call("PATCH", f"{DOCUMENTS}(guid'{ref}')", {"DeletionMark": True}).status_code == 200
    fields = ("Date", "ИдентификаторЛида", "ФИО", "Телефон", "ИдентификаторПартнера", "ЗакрепленДо", "Состояние")
    copy = {name: rows[doubled][name] for name in fields}
    double = sim.call("POST", DOCUMENTS, copy).json()["Ref_Key"]

    found = await differences(gateway, "--restore", "--who", "Ольга", "--why", "сверка")

    assert {(one["kind"], one["lead_id"]) for one in found} == {("entry-deleted", marked), ("two-entries", doubled)}
    await settled(gateway)
    assert [one["kind"] for one in await differences(gateway)] == ["two-entries"]
    assert sim.call("PATCH", f"{DOCUMENTS}(guid'{double}')", {"DeletionMark": True}).status_code == 200
    assert await differences(gateway) == []


async def test_what_waits_for_1c_is_no_difference(gateway: Harness, reservations: Reservations, sim: OneCSim) -> None:
    await reserved(gateway, reservations, 1)
    sim.post("fault", {"mode": "lock_conflict", "match": {"set": REGISTER, "method": "POST"}})
    await gateway.submit(phone(5))

    async def waits() -> bool | None:
        sql = "SELECT 1 FROM work WHERE kind = 'partner-journal' AND state = 'waiting'"
        return bool(await gateway.query(sql)) or None

    await until(waits, "the entry waits")

    done = await reconcile(gateway)

    assert (done.returncode, done.stdout) == (0, "расхождений нет\n"), done.stdout + done.stderr
    assert "ждёт очереди, 1" in done.stderr


async def test_reading_of_1c_goes_on_after_an_error_and_ends_after_a_deadline(
    gateway: Harness, reservations: Reservations, sim: OneCSim
) -> None:
    await reserved(gateway, reservations, 1)
    sim.post("fault", {"mode": "lock_conflict", "match": {"set": REGISTER, "method": "GET"}, "count": 2})
    assert await differences(gateway) == []

    sim.post("fault", {"mode": "lock_conflict", "match": {"set": REGISTER, "method": "GET"}})
    done = await reconcile(gateway, "--wait", "3")

    assert (done.returncode, done.stdout) == (2, "")
    assert "журнал партнёров в 1С не прочитан: lock-conflict" in done.stderr


async def test_without_the_reservations_service_nothing_is_compared(gateway: Harness) -> None:
    await gateway.start()

    done = await reconcile(gateway, "--wait", "2")

    assert (done.returncode, done.stdout) == (2, "")
    assert "служба reservations не ответила" in done.stderr


async def test_a_newer_complete_list_is_never_replaced_and_older_pages_are_forgotten(
    gateway: Harness, reservations: Reservations
) -> None:
    await reserved(gateway, reservations, 1)
    for _ in range(2):
        assert await differences(gateway) == []

    (left,) = await gateway.query("SELECT count(DISTINCT list_id) AS lists FROM listed_pages")

    assert left["lists"] <= 2


HOLDS = 10_000
_LEADS = """
    INSERT INTO leads (lead_id, client_key, partner_id, client, received_at, number, cause, check_requested, checked_at,
                       enquiries, sales, status, rule, decided_at)
    SELECT lead, key, 'p1', 'sealed', now(), n, '{"id": "c", "correlation": "c"}', true, now(), '[]', '[]', 'confirmed',
           'free', now()
    FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS t (lead, key, n)
"""
_HOLDS = """
    INSERT INTO holds (client_key, lead_id, partner_id, confirmed_at, released)
    SELECT key, lead, 'p1', now(), false FROM unnest($1::uuid[], $2::text[]) AS t (lead, key)
"""
_KNOWN = """
    INSERT INTO known_reservations (lead_id, client_key, confirmed_at, reserved_until, reserved_through,
                                    journal_entered_at)
    SELECT lead, key, now(), '2030-01-01 21:00Z', '2030-01-01', now()
    FROM unnest($1::uuid[], $2::text[]) AS t (lead, key)
"""
_RESERVATIONS = """
    INSERT INTO reservations (reservation_id, lead_id, client_key, partner_id, client, opened_at, confirmed_at,
                              reserved_through, reserved_until, term, zone, term_set_on, next_due, next_step, status,
                              extensions, returns, earlier_terms, cause)
    SELECT lead, lead, key, 'p1', 'sealed', now(), now(), '2030-01-01', '2030-01-01 21:00Z', 'P6M', 'Europe/Moscow',
           '2026-01-01', '2030-01-01 21:00Z', 0, 'live', 0, 0, '[]', '{"id": "c", "correlation": "c"}'
    FROM unnest($1::uuid[], $2::text[]) AS t (lead, key)
"""


@pytest.mark.long
async def test_ten_thousand_holds_are_compared_within_a_minute_inside_the_throttle(
    gateway: Harness, reservations: Reservations, sim: OneCSim
) -> None:
    gateway.settings["ONEC_RECONCILE_SETTLE"] = "PT30S"  # the default
    leads = [str(uuid.UUID(int=number)) for number in range(1, HOLDS + 1)]
    keys = [client_key(CLIENT_KEY_SECRET, phone(number)) for number in range(HOLDS)]
    for sql in (_LEADS, _HOLDS, _KNOWN):
        await gateway.query(sql, leads, keys)
    await reservations.fetch(_RESERVATIONS, leads, keys)
    entries = [
        {
            "ИдентификаторЛида": lead,
            "Телефон": phone(number),
            "ИдентификаторПартнера": "p1",
            "ЗакрепленДо": "2030-01-01T00:00:00",
            "Состояние": "Активен",
        }
        for number, lead in enumerate(leads)
    ]
    sim.post("office", {"action": "fill-journal", "entries": entries})
    await asyncio.gather(gateway.start(), reservations.start())

    started = time.monotonic()
    assert await differences(gateway) == []
    clean_s = time.monotonic() - started
    await gateway.query("DELETE FROM holds WHERE lead_id = $1", leads[0])
    assert sim.call("DELETE", f"{REGISTER}(ИдентификаторЛида='{leads[1]}')").status_code == 204
    started = time.monotonic()
    found = await differences(gateway)
    different_s = time.monotonic() - started

    assert [one["kind"] for one in found] == ["reservation-without-hold", "entry-deleted"]
    reads = [call for call in sim.get("calls") if REGISTER in unquote(call["path"]) and call["method"] == "GET"]
    print(f"clean {clean_s:.1f} s, with differences {different_s:.1f} s, {len(reads)} requests to the journal")
    assert max(clean_s, different_s) < 60
