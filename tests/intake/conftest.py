"""Intake as a real process, with a portal in front of it and the other services' topics behind."""

import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from joserfc.jwk import ECKey, OKPKey

from chassis.migrations import upgrade
from deploy.local.ports import free_port
from services.intake.app import build
from tests.contracts.keys import INTAKE_JWK, KEY, OPERATOR_JWK, private
from tests.process import ServiceProcess
from tests.topics import published

SECRET = "5f" * 32
MIGRATIONS = Path(build.__code__.co_filename).parent / "migrations"


@dataclass
class Portal:
    """What a portal does to intake, and what it and the operators see."""

    bootstrap: str
    environment: dict[str, str]
    name: str
    http: httpx.AsyncClient
    intake: ServiceProcess

    async def lead(
        self, key: str | None = None, *, headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        content = {
            "partner_id": "anna",
            "client": {"full_name": "Ветлугин Пётр", "phone": "8 916 555-01-23"},
            "consent": {"given_at": "2026-11-01T12:00:00+03:00", "advertising": False},
            **body,
        }
        chosen = {"Idempotency-Key": key or str(uuid.uuid4())} if headers is None else headers
        return await self.http.post("/v1/leads", json=content, headers=chosen)

    async def register(self, partner_id: str = "anna", **body: Any) -> httpx.Response:
        content = {
            "full_name": "Заречная Анна",
            "phone": "+79165550199",
            "agreement": {"number": "A-1", "signed_on": "2026-01-15"},
            "status": "active",
            **body,
        }
        return await self.http.put(f"/v1/partners/{partner_id}", json=content)

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
                f"portal-requests.{self.name}", value, headers=[*own, ("ce_source", b"/x"), *headers]
            )
        finally:
            await producer.stop()

    async def published(self, topic: str, kind: str, count: int) -> list[dict[str, Any]]:
        """What stands on a topic, of one kind, once there are `count` different ones."""
        return await published(self.bootstrap, topic, kind, count)

    def portals(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The operator's command."""
        return portals(self.environment, *arguments)


def portals(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "services.intake", "portals", *arguments],
        env={"INTAKE_DATABASE_URL": environment["INTAKE_DATABASE_URL"], "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


def migrated(database_factory: Callable[..., str]) -> str:
    """The URL of a database of its own with intake's tables."""
    return database_factory("intake", lambda url: upgrade(url, MIGRATIONS))


def public(jwk: dict[str, str]) -> str:
    return json.dumps(private(jwk).as_dict(private=False))


@pytest.fixture
async def portal(
    fresh_topics: str, database_factory: Callable[..., str], tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Portal]:
    """A portal named `demo` with all scopes; intake takes sealed clients only, unless the test says `plain`."""
    url = migrated(database_factory)
    port = free_port()
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": fresh_topics,
        "INTAKE_DATABASE_URL": url,
        "INTAKE_HTTP_PORT": str(port),
        "INTAKE_SEALING_KEYS": json.dumps({"keys": [KEY]}),
        "INTAKE_CLIENT_KEY_SECRET": SECRET,
        "INTAKE_RECEIPT_KEY": json.dumps(OKPKey.generate_key("Ed25519", {"kid": "r1"}).as_dict(private=True)),
        "INTAKE_UNSEALING_KEY": json.dumps(INTAKE_JWK),
        "INTAKE_ACCEPT_PLAIN_CLIENTS": str(request.node.get_closest_marker("plain_clients") is not None).lower(),
        "DEAD_LETTERS_PUBLIC_KEY": public(OPERATOR_JWK),
    }
    made = portals(environment, "add", "demo", "--scopes", "leads,partners", "--json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["key"]
    intake = await ServiceProcess.start("services.intake", "INTAKE_", environment, tmp_path / "intake.log")
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as http:
        yield Portal(fresh_topics, environment, "demo", http, intake)
    intake.end()


def sealed_to(keys: Sequence[dict[str, Any]]) -> ECKey:
    return ECKey.import_key(next(key for key in keys if key["kty"] == "EC"))
