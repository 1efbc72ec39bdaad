"""The gateway as a running process, with its topics, its database and the simulator of 1C."""

import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from chassis.decision import Cause
from chassis.envelope import encode
from chassis.migrations import upgrade
from contracts.base import Message
from contracts.leads import LeadSubmitted
from contracts.partners import Partner
from contracts.person import Person, client_key
from contracts.portal import Agreement, Consent
from contracts.reservations import (
    ReinstatementRequested,
    ReservationExpired,
    ReservationOpened,
    ReservationReinstated,
)
from contracts.topics import VERDICTS
from tests.contracts.keys import CLIENT_KEY_SECRET, KEY, OPERATOR_JWK, sealer
from tests.infra import DatabaseFactory
from tests.process import ServiceProcess, until
from tests.simulators.tests.processes import PASSWORD, ROOT, USER, OneCSim

SEALER = sealer(KEY)
NAME = "Клиентов Клим Климович"


@dataclass
class Harness:
    """Starts gateway processes, publishes to their topics, and collects what they publish.

    `messages` are the headers and bodies of topic `verdicts` so far. `settings` are added to a process's environment.
    """

    bootstrap: str
    database: str
    sim: OneCSim
    folder: Path
    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    messages: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    instances: list[ServiceProcess] = field(default_factory=list)
    numbers: int = 0
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def logs(self) -> str:
        return "".join(file.read_text() for file in sorted(self.folder.glob("*.log")))

    def environment(self) -> dict[str, str]:
        """The environment of a process."""
        public = {name: value for name, value in OPERATOR_JWK.items() if name != "d"}
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "ONEC_DATABASE_URL": self.database,
            "ONEC_URL": f"{self.sim.base}/crm",
            "ONEC_USER": USER,
            "ONEC_PASSWORD": PASSWORD,
            "ONEC_SEALING_KEYS": json.dumps({"keys": [KEY]}),
            "ONEC_CLIENT_KEY_SECRET": CLIENT_KEY_SECRET.hex(),
            "DEAD_LETTERS_PUBLIC_KEY": json.dumps(public),
            # The defaults are minutes, and tests would wait for them.
            "ONEC_PROBE_EVERY": "PT1S",
            "ONEC_LONGEST_CALL": "PT2S",
            "ONEC_WATCH_EVERY": "PT0.5S",
            **self.settings,
        }

    async def start(self, *, wait: bool = True, **more: str) -> ServiceProcess:
        """Start a process; with `wait` return once it is ready."""
        environment = {**self.environment(), **more}
        log = self.folder / f"gateway-{len(self.instances)}.log"
        self.instances.append(
            await ServiceProcess.start("services.onec_gateway", "ONEC_", environment, log, wait=wait, warm=True)
        )
        return self.instances[-1]

    def stop(self) -> None:
        """End all processes."""
        for instance in self.instances:
            instance.end()

    async def publish(self, message: Message) -> None:
        """Publish a message to its topic, as the service that owns the topic does."""
        record = encode(
            message,
            event_id=uuid.uuid4(),
            source="test",
            at=datetime.now(UTC),
            cause=Cause(str(uuid.uuid4()), str(uuid.uuid4())),
            sequence=None,
        )
        await self.producer.send_and_wait(record.topic, record.value, key=record.key.encode(), headers=record.headers)

    async def add_partner(self, partner_id: str, name: str = "Агентова Анна") -> None:
        """Publish an active partner."""
        person = SEALER.seal(Person(name, "+79160000001", "+79160000001"), partner_id)
        agreement = Agreement(number=f"А-{partner_id}", signed_on=date(2026, 1, 15))
        await self.publish(Partner(partner_id=partner_id, person=person, agreement=agreement, status="active"))

    async def submit(self, phone: str, partner_id: str = "p1", name: str = NAME) -> LeadSubmitted:
        """Publish a lead that was received now."""
        self.numbers += 1
        lead_id = uuid.uuid4()
        now = datetime.now(UTC)
        message = LeadSubmitted(
            lead_id=lead_id,
            client_key=client_key(CLIENT_KEY_SECRET, phone),
            partner_id=partner_id,
            client=SEALER.seal(Person(name, phone, phone), str(lead_id)),
            received_at=now,
            number=self.numbers,
            consent=Consent(given_at=now),
        )
        await self.publish(message)
        return message

    async def verdict_of(self, lead: LeadSubmitted) -> dict[str, Any]:
        """Wait for the verdict on a lead and return its body."""

        async def arrived() -> dict[str, Any] | None:
            await self.receive()
            verdicts = [*self.received("lead-confirmed"), *self.received("lead-rejected")]
            return next((body for body in verdicts if body["lead_id"] == str(lead.lead_id)), None)

        found: dict[str, Any] = await until(arrived, f"verdict of {lead.lead_id}")
        return found

    async def receive(self) -> None:
        """Read the messages that were published since the last call."""
        for records in (await self.consumer.getmany(timeout_ms=50)).values():
            for record in records:
                headers = {name: value.decode() for name, value in record.headers}
                self.messages.append((headers, json.loads(record.value)))

    async def open(self, lead: LeadSubmitted, confirmed_at: str) -> dict[str, Any]:
        """Publish that a confirmed lead's reservation is open; returns the fields that all its events share."""
        at = datetime.fromisoformat(confirmed_at)
        fields = {
            "lead_id": lead.lead_id,
            "client_key": lead.client_key,
            "partner_id": lead.partner_id,
            "reservation_id": uuid.uuid4(),
            "client": lead.client,
            "confirmed_at": at,
            "reserved_through": (at + timedelta(days=184)).date(),
            "reserved_until": at + timedelta(days=185),
        }
        await self.publish(ReservationOpened(**fields))
        return fields

    async def expire(self, fields: dict[str, Any]) -> None:
        """Publish that the reservation with these fields expired."""
        await self.publish(ReservationExpired(**fields, expired_at=fields["reserved_until"]))

    async def give_back(self, fields: dict[str, Any]) -> None:
        """Publish that the expired reservation with these fields is to be reinstated, and that it is once the gateway
        has confirmed it."""
        request_id = uuid.uuid4()
        ids = {name: fields[name] for name in ("lead_id", "client_key", "partner_id")}
        await self.publish(ReinstatementRequested(**ids, request_id=request_id, requested_at=datetime.now(UTC)))
        at = datetime.fromisoformat((await self.wait_for("reinstatement-confirmed"))["confirmed_at"])
        term = {"confirmed_at": at, "reserved_until": fields["reserved_until"] + timedelta(days=1)}
        await self.publish(ReservationReinstated(**{**fields, **term}, request_id=request_id, reinstated_at=at))

    async def hold(self, phone: str, partner_id: str = "p1") -> tuple[LeadSubmitted, dict[str, Any]]:
        """Submit a lead, open its reservation, and wait for its entry in the partner journal. Returns the lead and the
        reservation's fields."""
        lead = await self.submit(phone, partner_id)
        fields = await self.open(lead, (await self.verdict_of(lead))["confirmed_at"])

        async def entered() -> bool | None:
            return any(entry["lead_id"] == str(lead.lead_id) for entry in self.sim.get("journal")) or None

        await until(entered, "the journal entry")
        return lead, fields

    async def hold_all(self, phones: Sequence[str], partner_id: str = "p1") -> list[LeadSubmitted]:
        """Submit leads of these clients, and open the reservation of each as soon as it is confirmed."""
        leads = {str(lead.lead_id): lead for lead in [await self.submit(phone, partner_id) for phone in phones]}
        waiting = dict(leads)

        async def opened() -> bool | None:
            await self.receive()
            for body in self.received("lead-confirmed"):
                if (lead := waiting.pop(body["lead_id"], None)) is not None:
                    await self.open(lead, body["confirmed_at"])
            return not waiting or None

        await until(opened, f"{len(leads)} leads are confirmed", 300)
        return list(leads.values())

    async def wait_for(self, kind: str) -> dict[str, Any]:
        """Wait for the first message of this kind and return its body."""

        async def arrived() -> dict[str, Any] | None:
            await self.receive()
            return next((body for headers, body in self.messages if headers["ce_type"] == f"{kind}.v1"), None)

        found: dict[str, Any] = await until(arrived, kind)
        return found

    def received(self, kind: str) -> list[dict[str, Any]]:
        """The bodies of the messages of this kind so far."""
        return [body for headers, body in self.messages if headers["ce_type"] == f"{kind}.v1"]

    async def wait_for_journal(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait until the partner journal has at least `count` entries, and return them."""

        async def entered() -> list[dict[str, Any]] | None:
            entries: list[dict[str, Any]] = self.sim.get("journal")
            return entries if len(entries) >= count else None

        entries: list[dict[str, Any]] = await until(entered, f"{count} journal entries")
        return entries

    async def query(self, sql: str, *args: Any) -> list[Any]:
        """The rows of one statement on the gateway's database."""
        connection = await asyncpg.connect(self.database)
        try:
            return list(await connection.fetch(sql, *args))
        finally:
            await connection.close()


@asynccontextmanager
async def running(
    bootstrap: str, database_factory: DatabaseFactory, sim: OneCSim, folder: Path
) -> AsyncIterator[Harness]:
    """A harness with a fresh database and no process yet. All its processes end with it."""
    scripts = ROOT / "services" / "onec_gateway" / "migrations"
    database = database_factory("onec_gateway", lambda url: upgrade(url, scripts))
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer, listening(bootstrap) as consumer:
        harness = Harness(bootstrap, database, sim, folder, producer, consumer)
        try:
            yield harness
        finally:
            harness.stop()


def listening(bootstrap: str) -> AIOKafkaConsumer:
    """A consumer of topic `verdicts` from its beginning, without a group."""
    return AIOKafkaConsumer(VERDICTS, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None)
