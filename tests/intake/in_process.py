"""The HTTP application of intake in this process, with settings and a decoder for tests."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from joserfc.jwk import OKPKey

from chassis.clock import Clock
from chassis.service import Database, Input, Runtime
from services.intake.decoding import RequestDecoder
from services.intake.http.app import application
from services.intake.settings import Settings
from tests.contracts.keys import INTAKE_JWK, KEY, OPERATOR_JWK
from tests.intake.harness import SECRET, public

NO_DATABASE = "postgresql://nobody@127.0.0.1:1/nothing"
SETTINGS = Settings.model_validate(
    {
        "database_url": "postgresql://nowhere/intake",
        "admin_port": 0,
        "http_port": 0,
        "sealing_keys": json.dumps({"keys": [KEY]}),
        "client_key_secret": SECRET,
        "receipt_key": json.dumps(OKPKey.generate_key("Ed25519", {"kid": "r1"}).as_dict(private=True)),
        "unsealing_key": json.dumps(INTAKE_JWK),
        "accept_plain_clients": True,
        "DEAD_LETTERS_PUBLIC_KEY": public(OPERATOR_JWK),
    }
)
DECODER = RequestDecoder(SETTINGS)


async def never_decide(_: Input) -> Any:
    raise AssertionError("this request must not reach a rule")


@asynccontextmanager
async def runtime_on(
    url: str, *, decide: Callable[[Input], Awaitable[Any]] = never_decide, undelivered_s: float = 0.0
) -> AsyncIterator[Runtime]:
    """A runtime for the HTTP application. By default a request that reaches a rule fails the test."""
    database = Database(url, name="test")
    yield Runtime(database, decide, Clock(), lambda: undelivered_s)
    await database.close()


@asynccontextmanager
async def serving(url: str, *, undelivered_s: float = 0.0) -> AsyncIterator[tuple[httpx.AsyncClient, Database]]:
    """The application on a database, without anything behind it that decides."""
    async with runtime_on(url, undelivered_s=undelivered_s) as runtime:
        transport = httpx.ASGITransport(application(runtime, SETTINGS, DECODER))
        async with httpx.AsyncClient(transport=transport, base_url="http://intake") as http:
            yield http, runtime.database
