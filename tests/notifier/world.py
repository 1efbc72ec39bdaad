"""The notifier as a real process, with all that is around it in real life."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
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
from tests.process import ServiceProcess, run_warm
from tests.simulators.tests.processes import LOGIN, PSW, Sim

DEADLINE_S = 60.0
REPORT_SECRET = "a word of the report"
SOURCES = {topics.PARTNERS: "intake", topics.VERDICTS: "onec_gateway", topics.RESERVATIONS: "reservations"}

T = TypeVar("T")


async def until(look: Callable[[], T | None], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Look until there is something to see."""
    end = time.monotonic() + deadline_s
    while (seen := look()) is None:
        assert time.monotonic() < end, f"waited {deadline_s:.0f} s for {what}"
        await asyncio.sleep(0.05)
    return seen


@dataclass
class World:
    """What a test does to the notifier, and what it sees of it."""

    bootstrap: str
    database: str
    sms: Sim
    folder: Path
    instances: list[ServiceProcess] = field(default_factory=list)
    counter: int = 0
    port: int = field(default_factory=free_port)

    @property
    def environment(self) -> dict[str, str]:
        """Verdict or not, everything is said at once, unless a test sets it otherwise."""
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
        """One more instance, with `wait` ready to be relied on; settings without their prefix."""
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
        """Where the notifier with `HTTP_PORT=str(world.port)` takes SMSC's reports."""
        return f"http://127.0.0.1:{self.port}/v1/reports/smsc"

    def move_clock(self, to: datetime) -> None:
        """Business time is `to` from now on."""
        shift = (to - datetime.now(UTC)) / timedelta(seconds=1)
        (self.folder / "clock.json").write_text(json.dumps({"shift_seconds": shift}))

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """An operator's command."""
        environment = {**os.environ, **self.environment, "NOTIFIER_ADMIN_PORT": "0"}
        return run_warm("services.notifier", *arguments, environment=environment)

    @property
    def log(self) -> Path:
        return self.folder / "notifier.log"

    async def tell(self, *messages: Message, times: int = 1) -> None:
        """Put events on their topics, each `times` times with one and the same id."""
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
                    cause=Cause(f"request-{self.counter}", f"story-{self.counter}"),
                    sequence=None,
                )
                for _ in range(times):
                    await producer.send_and_wait(out.topic, out.value, key=out.key.encode(), headers=out.headers)
        finally:
            await producer.stop()

    async def statuses(self, count: int) -> list[SmsStatus]:
        """The first `count` events the notifier published, and a moment more in which none may follow."""
        consumer = AIOKafkaConsumer(
            topics.MESSAGES, bootstrap_servers=self.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        found: list[SmsStatus] = []
        end = time.monotonic() + DEADLINE_S
        try:
            while len(found) < count:
                assert time.monotonic() < end, f"{len(found)} of {count} events\n{self.log.read_text()[-3000:]}"
                batch = await consumer.getmany(timeout_ms=200)
                found.extend(_status(record) for records in batch.values() for record in records)
            batch = await consumer.getmany(timeout_ms=500)
            found.extend(_status(record) for records in batch.values() for record in records)
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

    async def wait_for(self, sql: str, deadline_s: float = DEADLINE_S) -> None:
        """Until there is a row of it."""
        end = time.monotonic() + deadline_s
        while not await self.rows(sql):
            assert time.monotonic() < end, f"never came true: {sql}\n{self.log.read_text()[-3000:]}"
            await asyncio.sleep(0.05)

    def texts(self) -> list[str]:
        return [message["text"] for message in self.sms.get("messages")]

    def stop(self) -> None:
        for instance in self.instances:
            instance.end()


def _status(record: Any) -> SmsStatus:
    assert dict(record.headers)["ce_type"] == b"sms-status.v1"
    status = SmsStatus.model_validate_json(record.value)
    assert record.key.decode() == status.client_key
    return status
