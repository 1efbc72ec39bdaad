"""Reservations as a real process, between its topics."""

import asyncio
import json
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from chassis.migrations import upgrade
from contracts.base import Message
from contracts.verdicts import LeadConfirmed
from services.reservations.app import build
from tests.contracts.keys import OPERATOR_JWK, private
from tests.process import ServiceProcess, run_warm
from tests.topics import publish, published

MIGRATIONS = Path(build.__code__.co_filename).parent / "migrations"
MOSCOW = ZoneInfo("Europe/Moscow")
HISTORY_KEY = "6a" * 32


@dataclass
class Reservations:
    """What a test does to the service, and what it sees of it."""

    bootstrap: str
    url: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    instances: list[ServiceProcess] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "RESERVATIONS_DATABASE_URL": self.url,
            "RESERVATIONS_HISTORY_KEY": HISTORY_KEY,
            "DEAD_LETTERS_PUBLIC_KEY": json.dumps(private(OPERATOR_JWK).as_dict(private=False)),
            "ALLOW_CLOCK_SHIFT": "true",
            "CLOCK_FILE": str(self.clock),
            **self.settings,
        }

    async def start(self, *, wait: bool = True) -> ServiceProcess:
        environment = self.environment
        log = self.folder / "reservations.log"
        self.instances.append(
            await ServiceProcess.start("services.reservations", "RESERVATIONS_", environment, log, wait=wait, warm=True)
        )
        return self.instances[-1]

    @property
    def clock(self) -> Path:
        return self.folder / "clock.json"

    async def confirm(self, *leads: LeadConfirmed, times: int = 1) -> None:
        await publish(self.bootstrap, leads, source="/truce/onec-gateway", times=times)

    async def tell(self, *messages: Message, source: str = "/truce/intake") -> None:
        """What the other services say."""
        await publish(self.bootstrap, messages, source=source)

    async def heard(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        return await published(self.bootstrap, "reservations", f"{kind}.v1", count)

    async def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The operator's command."""
        environment = {**os.environ, **self.environment, "RESERVATIONS_ADMIN_PORT": "0"}
        return await asyncio.to_thread(run_warm, "services.reservations", *arguments, environment=environment)

    async def opened(self, count: int) -> list[dict[str, Any]]:
        return await published(self.bootstrap, "reservations", "reservation-opened.v1", count)

    async def expired(self, count: int) -> list[dict[str, Any]]:
        return await published(self.bootstrap, "reservations", "reservation-expired.v1", count)

    async def count(self, status: str) -> int:
        connection = await asyncpg.connect(self.url)
        try:
            count: int = await connection.fetchval("SELECT count(*) FROM reservations WHERE status = $1", status)
            return count
        finally:
            await connection.close()


@pytest.fixture
async def reservations(
    fresh_topics: str, database_factory: Callable[..., str], tmp_path: Path
) -> AsyncIterator[Reservations]:
    made = Reservations(fresh_topics, database_factory("reservations", lambda url: upgrade(url, MIGRATIONS)), tmp_path)
    made.clock.write_text('{"shift_seconds": 0}')
    yield made
    for instance in made.instances:
        instance.end()


def confirmed(client: int, partner: str = "anna") -> LeadConfirmed:
    now = datetime.now(UTC)
    return LeadConfirmed(
        lead_id=uuid.uuid4(),
        client_key=f"k1:{client:064x}",
        partner_id=partner,
        client="sealed",
        received_at=now,
        checked_at=now,
        confirmed_at=now,
    )
