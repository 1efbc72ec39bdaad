"""What became of a message after it was sent: providers call, and where they do not, they are asked."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chassis.decision import Cause, derived_id
from chassis.service import Database, Input, Runtime, is_transient
from contracts.sealing import Sealer, Unsealable
from services.notifier import metrics
from services.notifier.answers import Barred, Found, Outcome
from services.notifier.domain import Reported
from services.notifier.providers import kannel, smsc
from services.notifier.roads import Roads
from services.notifier.signatures import Signer, smsc_signed
from services.notifier.store import keep_report, key_of, untold

log = structlog.get_logger(__name__)

MAX_BODY_BYTES: Final = 64 * 1024
POLL_AGAIN_S: Final = (600.0, 3600.0, 4 * 3600.0, 24 * 3600.0)
"""After the first question: a message nobody has told of for a day and a quarter stays `sent`."""
POLLS_AT_ONCE: Final = 3
POLLS_A_TIME: Final = 30
POLL_EVERY_S: Final = 1.0


def application(runtime: Runtime, smsc_secret: str | None, signer: Signer | None) -> Starlette:
    """The addresses that providers call. Without its secret a provider's address is not there."""
    routes = []
    if smsc_secret is not None:
        routes.append(Route("/v1/reports/smsc", _from_smsc(runtime, smsc_secret), methods=["POST"]))
    if signer is not None:
        routes.append(Route("/v1/reports/kannel", _from_kannel(runtime, signer), methods=["GET"]))
    return Starlette(routes=routes)


Handler = Callable[[Request], Awaitable[Response]]


def _from_smsc(runtime: Runtime, secret: str) -> Handler:
    async def report(request: Request) -> Response:
        # Anyone may call: what is longer than any report is not even read.
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return _count("smsc", "unreadable", 413)
        try:
            given = dict(parse_qsl(body.decode("utf-8"), max_num_fields=100))
        except ValueError:
            return _count("smsc", "unreadable", 400)
        message_id, phone, status = (given.get(name, "") for name in ("id", "phone", "status"))
        if not smsc_signed(secret, message_id, phone, status, given.get("sha1", ""), given.get("md5", "")):
            return _count("smsc", "forged", 403)
        return await _take(runtime, "smsc", message_id, status, smsc.OUTCOMES)

    return report


def _from_kannel(runtime: Runtime, signer: Signer) -> Handler:
    async def report(request: Request) -> Response:
        given = request.query_params
        try:
            message_id = UUID(given.get("id", ""))
        except ValueError:
            return _count("kannel", "unreadable", 400)
        if not signer.is_ours(message_id, given.get("sig", "")):
            return _count("kannel", "forged", 403)
        return await _take(runtime, "kannel", str(message_id), given.get("status", ""), kannel.OUTCOMES)

    return report


async def _take(
    runtime: Runtime, provider: str, message: str, status: str, outcomes: Mapping[int, Outcome]
) -> Response:
    """200 for whatever is signed and needs no repeating, 503 for what should come again."""
    try:
        message_id, outcome = UUID(message), outcomes[int(status)]
    except (ValueError, KeyError):
        # Of another program on the same account, perhaps, or a status that no table names.
        return _count(provider, "unreadable", 200)
    try:
        async with runtime.database.single() as tx:
            known = await key_of(tx, message_id)
            if known is None:
                await keep_report(tx, provider, message_id, outcome, status)
        if known is None:
            log.warning("a report about an unknown message", provider=provider, message_id=message)
            return _count(provider, "unknown", 200)
        news = await _decide(runtime, *known, Reported(message_id, provider, outcome, f"status {status}"))
    except Exception as error:
        if not is_transient(error):
            raise
        return _count(provider, "put-off", 503)
    return _count(provider, "news" if news else "repeated", 200)


async def _decide(runtime: Runtime, client_key: str, correlation: str, report: Reported) -> Any:
    cause = Cause(str(derived_id(str(report.message_id), f"report/{report.outcome}")), correlation)
    return await runtime.decide(Input(client_key, report, cause))


def _count(provider: str, result: str, status: int) -> Response:
    metrics.REPORTS.labels(provider, result).inc()
    return PlainTextResponse("OK" if status == 200 else result, status)


class Polling:
    """Asks about messages that nothing was told of."""

    def __init__(self, database: Database, roads: Roads, sealer: Sealer) -> None:
        self._database = database
        self._roads = roads
        self._sealer = sealer

    async def run(self, runtime: Runtime) -> None:
        """For as long as the service runs."""
        gate = asyncio.Semaphore(POLLS_AT_ONCE)

        async def one(row: Any) -> None:
            async with gate:
                await self._ask(runtime, row)

        while True:
            try:
                async with self._database.single() as tx:
                    taken = await untold(tx, POLLS_A_TIME, POLL_AGAIN_S)
                await asyncio.gather(*(one(row) for row in taken))
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("cannot ask what became of messages", error=type(error).__name__)
            await asyncio.sleep(POLL_EVERY_S)

    async def _ask(self, runtime: Runtime, row: Any) -> None:
        road = self._roads.named(row.provider)
        if road is None or self._roads.barred_for_s(road) > 0:
            return
        try:
            phone = self._sealer.open(row.person, row.partner_id).phone
        except Unsealable:
            return
        answer = await road.look(row.message_id, phone)
        match answer:
            case Found(code, outcome):
                await _decide(
                    runtime, row.client_key, row.correlation, Reported(row.message_id, road.name, outcome, code)
                )
            case Barred(code):
                await self._roads.bar(road, code)
