"""Each service that stores sealed clients erases their personal data, but never while a client's lead is open."""

import asyncio
import os
import uuid
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from chassis.migrations import upgrade
from deploy.local.parts import ROOT, Plan, service_environment, shared_environment
from deploy.local.ports import Ports
from deploy.local.secrets_file import Secrets
from tests.infra import DatabaseFactory
from tests.process import run_warm

pytestmark = pytest.mark.infra

# SQL for a client whose lead was closed in 2020 (CLOSED) and for a client whose lead is open (OPEN).
# $1 is the lead's id, $2 the client key.
_LEAD: Final = "lead_id, client_key, partner_id, client"
CLOSED: Final = {
    "intake": f"""
        INSERT INTO leads ({_LEAD}, number, portal, status, received_at, closed_at, closed_as,
                           reservation_events, history_count)
        VALUES ($1, $2, 'anna', 'sealed', 1, 'demo', 'withdrawn', '2020-01-01', '2020-01-02', 'withdrawn', '[]', 2)""",
    "onec_gateway": f"""
        WITH reservation AS (
            INSERT INTO known_reservations (lead_id, client_key, confirmed_at, reserved_until, reserved_through,
                                            ended_at, ended_as)
            VALUES ($1, $2, '2020-01-01', '2020-07-01', '2020-06-30', '2020-01-02', 'withdrawn')
        )
        INSERT INTO leads ({_LEAD}, received_at, number, cause, check_requested, enquiries, sales, status, rule,
                           decided_at)
        VALUES ($1, $2, 'anna', 'sealed', '2020-01-01', 1, '{{}}', true, '[]', '[]', 'confirmed', 'free',
                '2020-01-01')""",
    "notifier": f"""
        INSERT INTO messages (message_id, {_LEAD}, template, about, correlation, created_at, due_at, valid_until,
                              status, settled_at)
        VALUES (gen_random_uuid(), $1, $2, 'anna', 'sealed', 'confirmed.v1', 'lead', 'story', '2020-01-01',
                '2020-01-01', '2020-01-08', 'sent', '2020-01-01')""",
}
OPEN: Final = {
    "intake": f"""
        INSERT INTO leads ({_LEAD}, number, portal, status, received_at, reservation_events, history_count)
        VALUES ($1, $2, 'anna', 'sealed', 2, 'demo', 'under-review', '2020-01-01', '[]', -1)""",
    "onec_gateway": f"""
        INSERT INTO leads ({_LEAD}, received_at, number, cause, check_requested, enquiries, sales, status, rule,
                           decided_at)
        VALUES ($1, $2, 'anna', 'sealed', '2020-01-01', 2, '{{}}', true, '[]', '[]', 'confirmed', 'free',
                '2020-01-01')""",
    "notifier": f"""
        INSERT INTO messages (message_id, {_LEAD}, template, about, correlation, created_at, due_at, valid_until,
                              status)
        VALUES (gen_random_uuid(), $1, $2, 'anna', 'sealed', 'confirmed.v1', 'lead', 'story', '2020-01-01',
                '2020-01-01', '2020-01-08', 'waiting')""",
}
TABLES: Final = {"intake": "leads", "onec_gateway": "leads", "notifier": "messages"}


class Service:
    """A service's database with a closed client and an open client, and the service's commands."""

    def __init__(self, name: str, url: str, folder: Path) -> None:
        self.name = name
        self.closed, self.open = uuid.uuid4(), uuid.uuid4()
        self._url = url
        plan = Plan(folder, Ports.free(), Secrets(folder / "secrets.json"), "127.0.0.1:1", {name: url}, {})
        self._environment = {**os.environ, **shared_environment(plan), **service_environment(plan, name)}

    async def sql(self, sql: str, *args: Any) -> list[Any]:
        connection = await asyncpg.connect(self._url)
        try:
            return list(await connection.fetch(sql, *args))
        finally:
            await connection.close()

    async def fill(self) -> None:
        await self.sql(CLOSED[self.name], self.closed, "k1:closed")
        await self.sql(OPEN[self.name], self.open, "k1:open")
        work = (
            "INSERT INTO work (kind, ref, key, payload, cause, due_at, state) VALUES ('x', $1, $2, $3, '{}', now(), $4)"
        )
        for key, state in (("k1:closed", "done"), ("k1:open", "waiting")):
            await self.sql(work, key, key, '{"client": "sealed", "partner_id": "anna"}', state)

    async def command(self, *arguments: str) -> tuple[int, str]:
        done = await asyncio.to_thread(run_warm, f"services.{self.name}", *arguments, environment=self._environment)
        return done.returncode, done.stdout + done.stderr

    async def unerased(self) -> set[str]:
        """The client keys with sealed data, which must be the same in the service's rows and in its work rows."""
        rows = await self.sql(f"SELECT client_key FROM {TABLES[self.name]} WHERE client <> ''")
        calls = await self.sql("SELECT key FROM work WHERE payload ? 'client'")
        assert {row["client_key"] for row in rows} == {call["key"] for call in calls}
        return {row["client_key"] for row in rows}


@pytest.fixture(params=list(TABLES))
async def service(request: pytest.FixtureRequest, database_factory: DatabaseFactory, tmp_path: Path) -> Service:
    name: str = request.param
    url = database_factory(name, lambda url: upgrade(url, ROOT / "services" / name / "migrations"))
    made = Service(name, url, tmp_path)
    await made.fill()
    return made


async def test_retention_erases_clients_whose_leads_were_closed_long_ago(service: Service) -> None:
    dry = await service.command("retention", "--dry-run")
    before = await service.unerased()
    done = await service.command("retention")

    assert dry[0] == done[0] == 0, dry[1] + done[1]
    assert "назад: 1" in dry[1]
    assert before == {"k1:closed", "k1:open"}
    assert await service.unerased() == {"k1:open"}


async def test_a_client_is_erased_on_request_unless_a_lead_is_open(service: Service) -> None:
    reason = ("--who", "dpo", "--why", "запрос 7")

    refused = await service.command("erase", str(service.open), *reason)
    unknown = await service.command("erase", str(uuid.uuid4()), *reason)
    done = await service.command("erase", str(service.closed), *reason)

    assert (refused[0], unknown[0], done[0]) == (1, 1, 0), done[1]
    assert "ещё не всё закончено" in refused[1]
    assert await service.unerased() == {"k1:open"}
