"""The notifier as processes of its own, with Kafka, PostgreSQL and the SMS simulator around them."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from chassis.decision import Cause
from chassis.envelope import encode
from contracts import topics
from contracts.base import Message
from contracts.sms import SmsStatus
from deploy.local.ports import free_port
from tests.notifier.samples import NOON, OPERATOR, SEALING_KEYS
from tests.process import DEADLINE_S, ServiceProcess, run_warm, until
from tests.simulators.tests.processes import LOGIN, PSW, Sim

REPORT_SECRET = "a word of the report"
SOURCES = {topics.PARTNERS: "intake", topics.VERDICTS: "onec_gateway", topics.RESERVATIONS: "reservations"}


async def wait_until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait until `condition()` is truthy. A failure names `what`."""

    async def check() -> bool | None:
        return bool(condition()) or None

    await until(check, what, deadline_s)


@dataclass
class Harness:
    """Starts and stops the notifier, publishes the events that it consumes, and reads what it wrote."""

    bootstrap: str
    database: str
    sms: Sim
    folder: Path
    instances: list[ServiceProcess] = field(default_factory=list)
    counter: int = 0
    port: int = field(default_factory=free_port)

    @property
    def environment(self) -> dict[str, str]:
        """Without quiet hours, unless a test sets them."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "NOTIFIER_DATABASE_URL": self.database,
            "NOTIFIER_SEALING_KEYS": SEALING_KEYS,
            "NOTIFIER_SMSC_URL": self.sms.base,
            "NOTIFIER_SMSC_LOGIN": LOGIN,
            "NOTIFIER_SMSC_PASSWORD": PSW,
            "NOTIFIER_SMSC_REPORT_SECRET": REPORT_SECRET,
            "NOTIFIER_QUIET_HOURS": "",
            "DEAD_LETTERS_PUBLIC_KEY": json.dumps(OPERATOR.as_dict(private=False)),
            "ALLOW_CLOCK_SHIFT": "true",
            "CLOCK_FILE": str(self.folder / "clock.json"),
        }

    async def start(
        self, settings: Mapping[str, str] | None = None, *, wait: bool = True, **more: str
    ) -> ServiceProcess:
        """Start one more instance, and with `wait` wait until it is ready. Settings are given without their prefix."""
        environment = {
            **self.environment,
            **{f"NOTIFIER_{name}": value for name, value in {**(settings or {}), **more}.items()},
        }
        started = await ServiceProcess.start(
            "services.notifier", "NOTIFIER_", environment, self.log, wait=wait, warm=True
        )
        self.instances.append(started)
        return started

    @property
    def reports(self) -> str:
        """The address of SMSC's reports at an instance started with `HTTP_PORT=str(harness.port)`."""
        return f"http://127.0.0.1:{self.port}/v1/reports/smsc"

    def move_clock(self, to: datetime) -> None:
        """Set business time to `to`; it goes on from there."""
        shift = (to - datetime.now(UTC)) / timedelta(seconds=1)
        (self.folder / "clock.json").write_text(json.dumps({"shift_seconds": shift}))

    def command(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run an operator's command to its end. Settings are given without their prefix."""
        own = {f"NOTIFIER_{name}": value for name, value in settings.items()}
        environment = {**os.environ, **self.environment, "NOTIFIER_ADMIN_PORT": "0", **own}
        return run_warm("services.notifier", *arguments, environment=environment)

    def json_command(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a listing command with `--json`, and return its rows."""
        return [json.loads(line) for line in self.command(*arguments, "--json").stdout.splitlines()]

    @property
    def log(self) -> Path:
        return self.folder / "notifier.log"

    async def publish(self, *messages: Message, times: int = 1) -> None:
        """Publish events on their topics, each `times` times with the same id."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        try:
            for message in messages:
                self.counter += 1
                out = encode(
                    message,
                    event_id=UUID(int=0xE0000 + self.counter),
                    source=SOURCES[message.topic],
                    at=NOON,
                    cause=Cause(f"request-{self.counter}", f"correlation-{self.counter}"),
                    sequence=None,
                )
                for _ in range(times):
                    await producer.send_and_wait(out.topic, out.value, key=out.key.encode(), headers=out.headers)
        finally:
            await producer.stop()

    async def statuses(self, count: int) -> list[SmsStatus]:
        """The first `count` events that the notifier published, and all that follow within half a second."""
        consumer = AIOKafkaConsumer(
            topics.MESSAGES, bootstrap_servers=self.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        found: list[SmsStatus] = []

        async def enough(timeout_ms: int = 200) -> bool | None:
            batch = await consumer.getmany(timeout_ms=timeout_ms)
            found.extend(_status(record) for records in batch.values() for record in records)
            return len(found) >= count or None

        try:
            await self._until(enough, f"{count} events")
            await enough(500)
        finally:
            await consumer.stop()
        return found

    async def rows(self, sql: str, *args: Any) -> Sequence[Any]:
        connection = await asyncpg.connect(self.database)
        try:
            rows: Sequence[Any] = await connection.fetch(sql, *args)
            return rows
        finally:
            await connection.close()

    async def wait_for_row(self, sql: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait until the query returns a row."""

        async def exists() -> bool | None:
            return bool(await self.rows(sql)) or None

        await self._until(exists, sql, deadline_s)

    def texts(self) -> list[str]:
        """The texts that the SMS simulator has accepted."""
        return [message["text"] for message in self.sms.get("messages")]

    def stop(self) -> None:
        for instance in self.instances:
            instance.end()

    async def _until(self, check: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> None:
        try:
            await until(check, what, deadline_s)
        except AssertionError as error:
            log = self.log.read_text()[-3000:] if self.log.exists() else ""
            raise AssertionError(f"{error}\n{log}") from None


def _status(record: Any) -> SmsStatus:
    assert dict(record.headers)["ce_type"] == b"sms-status.v1"
    status = SmsStatus.model_validate_json(record.value)
    assert record.key.decode() == status.client_key
    return status
