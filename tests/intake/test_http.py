"""The HTTP application by itself: what it says when nothing can be promised, and what it says of itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from chassis.clock import Clock
from chassis.service import Database, Input, Runtime
from deploy.local.ports import free_port
from services.intake.http.access import Keyring
from services.intake.http.app import application
from services.intake.store import put_portal
from tests.intake.conftest import migrated
from tests.intake.test_handlers import READER, SETTINGS

LEAD = {
    "partner_id": "anna",
    "client": {"full_name": "Ветлугин Пётр", "phone": "+79165550123"},
    "consent": {"given_at": "2026-11-01T12:00:00Z"},
}
KEY = "trk_of_a_test"
HEADERS = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "one"}


@asynccontextmanager
async def serving(url: str, *, undelivered_s: float = 0.0) -> AsyncIterator[tuple[httpx.AsyncClient, Database]]:
    """The application on a database, with nothing behind it that would decide."""
    database = Database(url, name="test")
    runtime = Runtime(database, _decide, Clock(), lambda: undelivered_s)
    app = application(runtime, SETTINGS, READER)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://intake") as http:
        yield http, database
    await database.close()


async def _decide(_: Input) -> None:
    raise AssertionError("nothing is to be decided here")


async def test_with_the_database_down_a_portal_is_asked_to_come_again() -> None:
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
async def test_nothing_is_promised_while_events_have_not_left_for_ten_minutes(
    database_factory: Callable[..., str],
) -> None:
    async with serving(migrated(database_factory), undelivered_s=601) as (http, database):
        await put_portal(database, "demo", ["leads"], KEY)

        taken = await http.post("/v1/leads", json=LEAD, headers=HEADERS)
        shown = await http.get("/v1/leads", headers=HEADERS)

    assert (taken.status_code, "Retry-After" in taken.headers) == (503, True)
    assert shown.status_code == 200


@pytest.mark.infra
async def test_a_portal_with_any_scope_may_ask_after_its_requests(database_factory: Callable[..., str]) -> None:
    async with serving(migrated(database_factory)) as (http, database):
        await put_portal(database, "demo", ["partners"], KEY)

        request = await http.get("/v1/requests/3f2b8a1e-0c57-4d0e-9c62-0d5f0a1b2c3d", headers=HEADERS)
        leads = await http.get("/v1/leads", headers=HEADERS)

    assert (request.status_code, leads.status_code) == (404, 403)


@pytest.mark.infra
async def test_many_wrong_keys_at_once_are_one_reading(database_factory: Callable[..., str]) -> None:
    database = Database(migrated(database_factory), name="test", pool_size=1)
    await put_portal(database, "demo", ["leads"], KEY)
    keyring = Keyring(database)

    found = await asyncio.gather(*(keyring.portal(f"trk_wrong_{n}") for n in range(200)), keyring.portal(KEY))

    await database.close()
    assert found == [None] * 200 + [("demo", frozenset({"leads"}))]


async def test_the_document_is_openapi_31_and_describes_errors_as_problems() -> None:
    async with serving("postgresql://nobody@127.0.0.1:1/nothing") as (http, _):
        document = (await http.get("/openapi.json")).json()
        docs = await http.get("/docs")

    assert (document["openapi"][:3], docs.status_code) == ("3.1", 200)
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert all("application/problem+json" in operation["responses"]["4XX"]["content"] for operation in operations)
    assert "HTTPValidationError" not in str(document)


async def test_published_keys_hold_nothing_private() -> None:
    async with serving("postgresql://nobody@127.0.0.1:1/nothing") as (http, _):
        keys = (await http.get("/.well-known/jwks.json")).json()["keys"]

    assert [(key["kty"], key["use"]) for key in keys] == [("EC", "enc"), ("OKP", "sig")]
    assert all(key["kid"] and "d" not in key for key in keys)
