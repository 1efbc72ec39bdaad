"""The HTTP application in this process: outages, authentication, the OpenAPI document, published keys."""

import asyncio
from collections.abc import Callable

import pytest

from chassis.service import Database
from deploy.local.ports import free_port
from services.intake.http.access import Keyring
from services.intake.store.portals import add_portal
from tests.intake.harness import migrated
from tests.intake.in_process import NO_DATABASE, serving

LEAD = {
    "partner_id": "anna",
    "client": {"full_name": "Ветлугин Пётр", "phone": "+79165550123"},
    "consent": {"given_at": "2026-11-01T12:00:00Z"},
}
KEY = "trk_of_a_test"
HEADERS = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "one"}


async def test_database_outage_is_a_503_with_a_time_to_retry() -> None:
    async with serving(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing") as (http, _):
        answers = [
            await http.post("/v1/leads", json=LEAD, headers=HEADERS),
            await http.get("/v1/leads", headers=HEADERS),
        ]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.infra
async def test_nothing_is_taken_while_events_have_not_reached_kafka_for_ten_minutes(
    database_factory: Callable[..., str],
) -> None:
    async with serving(migrated(database_factory), undelivered_s=601) as (http, database):
        await add_portal(database, "demo", ["leads"], KEY)

        taken = await http.post("/v1/leads", json=LEAD, headers=HEADERS)
        shown = await http.get("/v1/leads", headers=HEADERS)

    assert (taken.status_code, "Retry-After" in taken.headers) == (503, True)
    assert shown.status_code == 200


@pytest.mark.infra
async def test_portal_with_any_scope_may_read_its_requests(database_factory: Callable[..., str]) -> None:
    async with serving(migrated(database_factory)) as (http, database):
        await add_portal(database, "demo", ["partners"], KEY)

        request = await http.get("/v1/requests/3f2b8a1e-0c57-4d0e-9c62-0d5f0a1b2c3d", headers=HEADERS)
        leads = await http.get("/v1/leads", headers=HEADERS)

    assert (request.status_code, leads.status_code) == (404, 403)


@pytest.mark.infra
async def test_concurrent_unknown_keys_cause_one_query(database_factory: Callable[..., str]) -> None:
    database = Database(migrated(database_factory), name="test", pool_size=1)
    await add_portal(database, "demo", ["leads"], KEY)
    keyring = Keyring(database)

    found = await asyncio.gather(*(keyring.portal(f"trk_wrong_{n}") for n in range(200)), keyring.portal(KEY))

    await database.close()
    assert found == [None] * 200 + [("demo", frozenset({"leads"}))]


async def test_openapi_document_is_version_31_and_describes_errors_as_problems() -> None:
    async with serving(NO_DATABASE) as (http, _):
        document = (await http.get("/openapi.json")).json()

    assert document["openapi"][:3] == "3.1"
    assert not any(path.startswith("/docs") for path in document["paths"])
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert all("application/problem+json" in operation["responses"]["4XX"]["content"] for operation in operations)
    assert "HTTPValidationError" not in str(document)


async def test_published_keys_hold_no_private_part() -> None:
    async with serving(NO_DATABASE) as (http, _):
        keys = (await http.get("/.well-known/jwks.json")).json()["keys"]

    assert [(key["kty"], key["use"]) for key in keys] == [("EC", "enc"), ("OKP", "sig")]
    assert all(key["kid"] and "d" not in key for key in keys)
