"""Intake as a real process, with a portal in front of it and the other services' topics behind."""

import json
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from joserfc.jwk import ECKey, OKPKey

from chassis.migrations import upgrade
from chassis.settings import KafkaSettings
from contracts.topics import PORTAL_REQUESTS, portal_requests
from deploy import topics
from deploy.local.ports import free_port
from services.intake.app import build
from tests.contracts.keys import INTAKE_JWK, KEY, OPERATOR_JWK, private
from tests.infra import empty_topics, run
from tests.process import ServiceProcess, run_warm, until
from tests.topics import published

SECRET = "5f" * 32
MIGRATIONS = Path(build.__code__.co_filename).parent / "migrations"


@dataclass
class Intake:
    """The process that a module's tests share, with a topic for each portal that may come."""

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


@dataclass
class Portal:
    """What a portal does to intake, and what it and the operators see. Its partners are nobody else's."""

    intake: Intake
    name: str
    http: httpx.AsyncClient

    @property
    def bootstrap(self) -> str:
        return self.intake.bootstrap

    @property
    def partner(self) -> str:
        """The partner it works with."""
        return f"anna-of-{self.name}"

    async def lead(
        self, key: str | None = None, *, headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        content = {
            "partner_id": self.partner,
            "client": {"full_name": "Ветлугин Пётр", "phone": "8 916 555-01-23"},
            "consent": {"given_at": "2026-11-01T12:00:00+03:00", "advertising": False},
            **body,
        }
        chosen = {"Idempotency-Key": key or str(uuid.uuid4())} if headers is None else headers
        return await self.http.post("/v1/leads", json=content, headers=chosen)

    async def register(self, **body: Any) -> httpx.Response:
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
        """One record on the portal's own topic."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        try:
            value = body if isinstance(body, bytes) else json.dumps(body).encode()
            own = [("ce_specversion", b"1.0"), ("ce_id", key.encode()), ("ce_type", kind.encode())]
            await producer.send_and_wait(
                f"{PORTAL_REQUESTS}.{self.name}", value, headers=[*own, ("ce_source", b"/x"), *headers]
            )
        finally:
            await producer.stop()

    async def published(self, topic: str, kind: str, count: int) -> list[dict[str, Any]]:
        """What stands on a topic because of this portal, of one kind, once there are `count` different ones."""
        return await published(self.bootstrap, topic, kind, count, self._caused)

    def _caused(self, event: dict[str, Any]) -> bool:
        return (
            event.get("portal") == self.name
            or event.get("original_topic") == f"{PORTAL_REQUESTS}.{self.name}"
            or str(event.get("partner_id")).endswith(f"-of-{self.name}")
        )

    def portals(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The operator's command."""
        return portals(self.intake.environment, *arguments)


def portals(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    own = {"INTAKE_DATABASE_URL": environment["INTAKE_DATABASE_URL"], "COLUMNS": "120"}
    return run_warm("services.intake", "portals", *arguments, environment=own)


def migrated(database_factory: Callable[..., str]) -> str:
    """The URL of a database of its own with intake's tables."""
    return database_factory("intake", lambda url: upgrade(url, MIGRATIONS))


def public(jwk: dict[str, str]) -> str:
    return json.dumps(private(jwk).as_dict(private=False))


@pytest.fixture(scope="module")
async def intake(
    kafka_bootstrap: str,
    module_database_factory: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Intake]:
    """It takes sealed clients only, unless the module says `plain_clients`; `settings` of the module are its own."""
    # A test may have two of them.
    names = [f"portal-{n}" for n, item in enumerate(request.session.items * 2) if item.path == request.path]
    run(empty_topics(kafka_bootstrap))
    settings = KafkaSettings.model_validate({"bootstrap_servers": kafka_bootstrap})
    # Before intake starts: it looks for new topics only now and then.
    run(topics.provision(settings, [portal_requests(name) for name in names]))
    port = free_port()
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "INTAKE_DATABASE_URL": migrated(module_database_factory),
        "INTAKE_HTTP_PORT": str(port),
        "INTAKE_SEALING_KEYS": json.dumps({"keys": [KEY]}),
        "INTAKE_CLIENT_KEY_SECRET": SECRET,
        "INTAKE_RECEIPT_KEY": json.dumps(OKPKey.generate_key("Ed25519", {"kid": "r1"}).as_dict(private=True)),
        "INTAKE_UNSEALING_KEY": json.dumps(INTAKE_JWK),
        "INTAKE_ACCEPT_PLAIN_CLIENTS": str(request.node.get_closest_marker("plain_clients") is not None).lower(),
        "DEAD_LETTERS_PUBLIC_KEY": public(OPERATOR_JWK),
        **(settings_of.kwargs if (settings_of := request.node.get_closest_marker("settings")) is not None else {}),
    }
    log = tmp_path_factory.mktemp("intake") / "intake.log"
    intake = Intake(kafka_bootstrap, environment, log, iter(names))
    await intake.start()
    yield intake
    for instance in intake.instances:
        instance.end()


@pytest.fixture
async def portal(intake: Intake) -> AsyncIterator[Portal]:
    """A portal of the test's own, with scopes for leads and partners."""
    async with _portal(intake, "leads,partners") as portal:
        yield portal


@pytest.fixture
async def desk(intake: Intake) -> AsyncIterator[Portal]:
    """The partner managers' portal, which may do everything."""
    async with _portal(intake, "leads,partners,returns,rewards") as portal:
        yield portal


@asynccontextmanager
async def _portal(intake: Intake, scopes: str) -> AsyncIterator[Portal]:
    name = next(intake.names)
    made = portals(intake.environment, "add", name, "--scopes", scopes, "--json")
    assert made.returncode == 0, made.stderr
    headers = {"Authorization": f"Bearer {json.loads(made.stdout)['key']}"}
    base = f"http://127.0.0.1:{intake.environment['INTAKE_HTTP_PORT']}"
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as http:

        async def known() -> bool | None:
            return True if (await http.get("/v1/leads")).status_code == 200 else None

        await until(known, f"the key of {name} works")
        yield Portal(intake, name, http)


def sealed_to(keys: Sequence[dict[str, Any]]) -> ECKey:
    return ECKey.import_key(next(key for key in keys if key["kty"] == "EC"))
