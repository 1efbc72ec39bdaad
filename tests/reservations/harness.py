"""Reservations as real processes between their topics."""

import asyncio
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

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
class Harness:
    """The running service with its topics, its database and its clock.

    `settings` are added to the environment of every process that is started. `instances` are all started processes.
    """

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
        """Start one more process of the service; unless `wait` is false, return once it is ready."""
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
        """Publish verdicts, each `times` times under one id."""
        await publish(self.bootstrap, leads, source="/truce/onec-gateway", times=times)

    async def publish(self, *messages: Message, source: str = "/truce/intake") -> None:
        """Publish messages of other services."""
        await publish(self.bootstrap, messages, source=source)

    async def published(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until the service has published `count` events of a kind; return all events of that kind."""
        return await published(self.bootstrap, "reservations", f"{kind}.v1", count)

    async def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run an operator's command."""
        environment = {**os.environ, **self.environment, "RESERVATIONS_ADMIN_PORT": "0"}
        return await asyncio.to_thread(run_warm, "services.reservations", *arguments, environment=environment)

    async def json_lines(self, *command: str) -> list[dict[str, Any]]:
        """Run an operator's command that prints one JSON object a line; return the objects."""
        done = await self.command(*command)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        """Run one statement on the service's database; return its rows."""
        connection = await asyncpg.connect(self.url)
        try:
            return list(await connection.fetch(sql, *args))
        finally:
            await connection.close()

    async def count(self, status: str) -> int:
        """Return the number of reservations in a status."""
        return len(await self.fetch("SELECT 1 FROM reservations WHERE status = $1", status))

    def end(self) -> None:
        """End all processes."""
        for instance in self.instances:
            instance.end()
