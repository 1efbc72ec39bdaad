"""A running intake process with its topics, and a portal that sends requests to it."""

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from joserfc.jwk import ECKey

from chassis.migrations import upgrade
from contracts.base import Message
from contracts.topics import PORTAL_REQUESTS
from services.intake.app import build
from tests.contracts.keys import private
from tests.process import ServiceProcess, run_warm, until
from tests.topics import publish, published

SECRET = "5f" * 32
MIGRATIONS = Path(build.__code__.co_filename).parent / "migrations"


@dataclass
class Harness:
    """The process that the tests of a module share. `names` are the portals whose topics exist."""

    bootstrap: str
    environment: dict[str, str]
    log: Path
    names: Iterator[str]
    instances: list[ServiceProcess] = field(default_factory=list)

    async def start(self, *, wait: bool = True) -> None:
        self.instances.append(
            await ServiceProcess.start("services.intake", "INTAKE_", self.environment, self.log, wait=wait, warm=True)
        )

    def kill(self) -> None:
        self.instances[-1].kill()

    def stop(self) -> None:
        """End the instance in order: it leaves its groups, so that the next one reads at once."""
        self.instances[-1].end()

    async def lag(self, topic: str) -> float:
        """The lag of the instance on a topic, as its metrics show it; 0 before the first measurement."""
        async with httpx.AsyncClient(trust_env=False) as http:
            lines = (await http.get(f"{self.instances[-1].admin}/metrics")).text.splitlines()
        found = [line for line in lines if line.startswith("truce_consumer_lag_records{") and f'"{topic}"' in line]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    async def wait_for_log(self, *parts: str) -> None:
        """Wait until a line of the log has all of these parts."""

        async def holds() -> bool | None:
            lines = self.log.read_text().splitlines()
            return True if any(all(part in line for part in parts) for line in lines) else None

        await until(holds, f"intake logs {' '.join(parts)}")


@dataclass
class Portal:
    """A portal with a partner of its own, and what the portal and the operators see."""

    intake: Harness
    name: str
    http: httpx.AsyncClient

    @property
    def bootstrap(self) -> str:
        return self.intake.bootstrap

    @property
    def topic(self) -> str:
        """The topic of the portal's requests."""
        return f"{PORTAL_REQUESTS}.{self.name}"

    @property
    def partner(self) -> str:
        """The id of the partner that `register` registers."""
        return f"anna-of-{self.name}"

    async def lead(
        self, key: str | None = None, *, headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """`POST /v1/leads` with a valid body, changed by `body`, under the idempotency key `key`."""
        content = {
            "partner_id": self.partner,
            "client": {"full_name": "Ветлугин Пётр", "phone": "8 916 555-01-23"},
            "consent": {"given_at": "2026-11-01T12:00:00+03:00", "advertising": False},
            **body,
        }
        chosen = {"Idempotency-Key": key or str(uuid.uuid4())} if headers is None else headers
        return await self.http.post("/v1/leads", json=content, headers=chosen)

    async def register(self, **body: Any) -> httpx.Response:
        """`PUT /v1/partners/…` with a valid body, changed by `body`."""
        content = {
            "full_name": "Заречная Анна",
            "phone": "+79165550199",
            "agreement": {"number": "A-1", "signed_on": "2026-01-15"},
            "status": "active",
            **body,
        }
        return await self.http.put(f"/v1/partners/{self.partner}", json=content)

    async def send(
        self, key: str, body: Any, *, kind: str = "submit-lead.v1", headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Write one record to the portal's own topic."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        try:
            value = body if isinstance(body, bytes) else json.dumps(body).encode()
            own = [("ce_specversion", b"1.0"), ("ce_id", key.encode()), ("ce_type", kind.encode())]
            await producer.send_and_wait(self.topic, value, headers=[*own, ("ce_source", b"/x"), *headers])
        finally:
            await producer.stop()

    async def reservations_publish(self, *events: Message) -> None:
        """Publish events as the service reservations does."""
        await publish(self.bootstrap, events, source="/truce/reservations")

    async def published(self, topic: str, kind: str, count: int) -> list[dict[str, Any]]:
        """The events of one kind that this portal caused on a topic, as soon as there are `count` different events."""
        return await published(self.bootstrap, topic, kind, count, self._caused)

    def _caused(self, event: dict[str, Any]) -> bool:
        return (
            event.get("portal") == self.name
            or event.get("original_topic") == self.topic
            or str(event.get("partner_id")).endswith(f"-of-{self.name}")
        )

    def portals(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the operator's command `portals`."""
        return portals(self.intake.environment, *arguments)


def portals(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m services.intake portals` with these arguments."""
    own = {"INTAKE_DATABASE_URL": environment["INTAKE_DATABASE_URL"], "COLUMNS": "120"}
    return run_warm("services.intake", "portals", *arguments, environment=own)


def migrated(database_factory: Callable[..., str]) -> str:
    """The URL of a new database with intake's tables."""
    return database_factory("intake", lambda url: upgrade(url, MIGRATIONS))


def public(jwk: dict[str, str]) -> str:
    """The public part of a private JWK, as JSON text."""
    return json.dumps(private(jwk).as_dict(private=False))


def sealing_key(keys: Sequence[dict[str, Any]]) -> ECKey:
    """The key of a published key set to which portals seal clients."""
    return ECKey.import_key(next(key for key in keys if key["kty"] == "EC"))
