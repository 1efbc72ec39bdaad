"""Intake as a real process, with portals that send requests to it."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from joserfc.jwk import OKPKey

from chassis.settings import KafkaSettings
from contracts.topics import portal_requests
from deploy import topics
from deploy.local.ports import free_port
from tests.contracts.keys import INTAKE_JWK, KEY, OPERATOR_JWK
from tests.infra import empty_topics, run
from tests.intake.harness import SECRET, Harness, Portal, migrated, portals, public
from tests.process import until


@pytest.fixture(scope="module")
async def intake(
    kafka_bootstrap: str,
    module_database_factory: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Harness]:
    """Intake takes sealed clients only, unless the module has the mark `plain_clients`; `settings` adds environment."""
    # One test uses at most two portals.
    names = [f"portal-{n}" for n, item in enumerate(request.session.items * 2) if item.path == request.path]
    run(empty_topics(kafka_bootstrap))
    settings = KafkaSettings.model_validate({"bootstrap_servers": kafka_bootstrap})
    # The topics exist before intake starts, because intake looks for new topics only now and then.
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
    intake = Harness(kafka_bootstrap, environment, log, iter(names))
    await intake.start()
    yield intake
    for instance in intake.instances:
        instance.end()


@pytest.fixture
async def portal(intake: Harness) -> AsyncIterator[Portal]:
    """A portal of the test's own, with scopes for leads and partners."""
    async with _portal(intake, "leads,partners") as portal:
        yield portal


@pytest.fixture
async def office(intake: Harness) -> AsyncIterator[Portal]:
    """The portal of the partner managers, with all scopes."""
    async with _portal(intake, "leads,partners,returns,rewards") as portal:
        yield portal


@asynccontextmanager
async def _portal(intake: Harness, scopes: str) -> AsyncIterator[Portal]:
    name = next(intake.names)
    made = portals(intake.environment, "add", name, "--scopes", scopes, "--json")
    assert made.returncode == 0, made.stderr
    headers = {"Authorization": f"Bearer {json.loads(made.stdout)['key']}"}
    base = f"http://127.0.0.1:{intake.environment['INTAKE_HTTP_PORT']}"
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as http:

        async def is_known() -> bool | None:
            return True if (await http.get("/v1/leads")).status_code == 200 else None

        await until(is_known, f"the key of {name} works")
        yield Portal(intake, name, http)
