"""The gateway as the process it is, with what stands around it: its topics, its database and 1C."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from chassis.decision import Cause
from chassis.envelope import encode
from contracts.base import Message
from contracts.leads import LeadSubmitted
from contracts.partners import Partner
from contracts.person import Person, client_key
from contracts.portal import Agreement, Consent
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.topics import VERDICTS
from tests.contracts.keys import CLIENT_KEY_SECRET, KEY, OPERATOR_JWK, sealer
from tests.process import ServiceProcess, until
from tests.simulators.tests.processes import PASSWORD, USER, OneCSim

SEALER = sealer(KEY)
NAME = "Клиентов Клим Климович"


@dataclass
class Gateway:
    """What a test does to the gateway, and what it sees of it."""

    bootstrap: str
    database: str
    sim: OneCSim
    folder: Path
    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    verdicts: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    instances: list[ServiceProcess] = field(default_factory=list)
    numbers: int = 0
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def logs(self) -> str:
        return "".join(file.read_text() for file in sorted(self.folder.glob("*.log")))

    def environment(self) -> dict[str, str]:
        """The settings of an instance."""
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
            # Short, or a test would wait for as long as a patient gateway does.
            "ONEC_PROBE_EVERY": "PT1S",
            "ONEC_LONGEST_CALL": "PT2S",
            "ONEC_WATCH_EVERY": "PT0.5S",
            **self.settings,
        }

    async def start(self, *, wait: bool = True, **more: str) -> ServiceProcess:
        """An instance, with `wait` ready to be relied on."""
        environment = {**self.environment(), **more}
        log = self.folder / f"gateway-{len(self.instances)}.log"
        self.instances.append(
            await ServiceProcess.start("services.onec_gateway", "ONEC_", environment, log, wait=wait, warm=True)
        )
        return self.instances[-1]

    def stop(self) -> None:
        for instance in self.instances:
            instance.end()

    async def say(self, message: Message) -> None:
        """Publish as the service that owns the topic does."""
        record = encode(
            message,
            event_id=uuid.uuid4(),
            source="test",
            at=datetime.now(UTC),
            cause=Cause(str(uuid.uuid4()), str(uuid.uuid4())),
            sequence=None,
        )
        await self.producer.send_and_wait(record.topic, record.value, key=record.key.encode(), headers=record.headers)

    async def partner(self, partner_id: str, name: str = "Агентова Анна") -> None:
        person = SEALER.seal(Person(name, "+79160000001", "+79160000001"), partner_id)
        agreement = Agreement(number=f"А-{partner_id}", signed_on=date(2026, 1, 15))
        await self.say(Partner(partner_id=partner_id, person=person, agreement=agreement, status="active"))

    async def lead(self, phone: str, partner_id: str = "p1", name: str = NAME) -> LeadSubmitted:
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
        await self.say(message)
        return message

    async def verdict(self, lead: LeadSubmitted) -> dict[str, Any]:
        """The verdict on a lead, once it is told."""

        async def told() -> dict[str, Any] | None:
            await self.listen()
            verdicts = [*self.told("lead-confirmed"), *self.told("lead-rejected")]
            return next((body for body in verdicts if body["lead_id"] == str(lead.lead_id)), None)

        found: dict[str, Any] = await until(told, f"verdict of {lead.lead_id}")
        return found

    async def listen(self) -> None:
        """Take in what was published since."""
        for records in (await self.consumer.getmany(timeout_ms=50)).values():
            for record in records:
                headers = {name: value.decode() for name, value in record.headers}
                self.verdicts.append((headers, json.loads(record.value)))

    async def opened(self, lead: LeadSubmitted, confirmed_at: str) -> dict[str, Any]:
        """What reservations says on a confirmed lead; returns what its end will say again."""
        at = datetime.fromisoformat(confirmed_at)
        terms = {
            "lead_id": lead.lead_id,
            "client_key": lead.client_key,
            "partner_id": lead.partner_id,
            "reservation_id": uuid.uuid4(),
            "client": lead.client,
            "confirmed_at": at,
            "reserved_through": (at + timedelta(days=184)).date(),
            "reserved_until": at + timedelta(days=185),
        }
        await self.say(ReservationOpened(**terms))
        return terms

    async def expired(self, terms: dict[str, Any]) -> None:
        await self.say(ReservationExpired(**terms, expired_at=terms["reserved_until"]))

    async def held(self, phone: str, partner_id: str = "p1") -> tuple[LeadSubmitted, dict[str, Any]]:
        """A confirmed lead with its reservation opened, and in the partner journal."""
        lead = await self.lead(phone, partner_id)
        terms = await self.opened(lead, (await self.verdict(lead))["confirmed_at"])

        async def entered() -> bool | None:
            return any(entry["lead_id"] == str(lead.lead_id) for entry in self.sim.get("journal")) or None

        await until(entered, "the journal entry")
        return lead, terms

    async def stake(self, phones: Sequence[str], partner_id: str = "p1") -> list[LeadSubmitted]:
        """Leads of these clients, each opened as soon as it is confirmed."""
        leads = {str(lead.lead_id): lead for lead in [await self.lead(phone, partner_id) for phone in phones]}
        waiting = dict(leads)

        async def opened() -> bool | None:
            await self.listen()
            for body in self.told("lead-confirmed"):
                if (lead := waiting.pop(body["lead_id"], None)) is not None:
                    await self.opened(lead, body["confirmed_at"])
            return not waiting or None

        await until(opened, f"{len(leads)} leads are confirmed", 300)
        return list(leads.values())

    async def heard(self, kind: str) -> dict[str, Any]:
        """The first message of this kind, once it is told."""

        async def told() -> dict[str, Any] | None:
            await self.listen()
            return next((body for headers, body in self.verdicts if headers["ce_type"] == f"{kind}.v1"), None)

        found: dict[str, Any] = await until(told, kind)
        return found

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The messages of this kind that were heard so far."""
        return [body for headers, body in self.verdicts if headers["ce_type"] == f"{kind}.v1"]

    async def journal(self, count: int = 1) -> list[dict[str, Any]]:
        """The partner journal, once it has as many entries."""

        async def entered() -> list[dict[str, Any]] | None:
            entries: list[dict[str, Any]] = self.sim.get("journal")
            return entries if len(entries) >= count else None

        entries: list[dict[str, Any]] = await until(entered, f"{count} journal entries")
        return entries

    async def query(self, sql: str) -> list[Any]:
        """Rows of its database."""
        connection = await asyncpg.connect(self.database)
        try:
            return list(await connection.fetch(sql))
        finally:
            await connection.close()


def listening(bootstrap: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(VERDICTS, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None)
