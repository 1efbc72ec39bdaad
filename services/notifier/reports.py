"""HTTP addresses that providers call with delivery reports: what became of an SMS after it was sent."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl
from uuid import UUID

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chassis.decision import Cause, derived_id
from chassis.service import Input, Runtime, is_transient
from services.notifier import metrics
from services.notifier.domain.answers import ProviderOutcome
from services.notifier.domain.model import SmsReported
from services.notifier.providers import kannel, smsc
from services.notifier.signatures import Signer, is_smsc_signature
from services.notifier.store.clients import client_of
from services.notifier.store.reports import keep_unmatched

log = structlog.get_logger(__name__)

MAX_BODY_BYTES: Final = 64 * 1024

Handler = Callable[[Request], Awaitable[Response]]


def application(runtime: Runtime, smsc_secret: str | None, signer: Signer | None) -> Starlette:
    """The HTTP application. A provider's address exists only if its secret or signer is given."""
    routes = []
    if smsc_secret is not None:
        routes.append(Route("/v1/reports/smsc", _from_smsc(runtime, smsc_secret), methods=["POST"]))
    if signer is not None:
        routes.append(Route("/v1/reports/kannel", _from_kannel(runtime, signer), methods=["GET"]))
    return Starlette(routes=routes)


def report_input(client_key: str, correlation: str, report: SmsReported) -> Input:
    """The input of a report. Its id is derived from the SMS and the outcome, so a repeated report is handled once."""
    cause = Cause(str(derived_id(str(report.message_id), f"report/{report.outcome}")), correlation)
    return Input(client_key, report, cause)


def _from_smsc(runtime: Runtime, secret: str) -> Handler:
    async def report(request: Request) -> Response:
        # Anyone may call this address, so a body that is longer than any report is not read to its end.
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return _count("smsc", "unreadable", 413)
        try:
            form = dict(parse_qsl(body.decode("utf-8"), max_num_fields=100))
        except ValueError:
            return _count("smsc", "unreadable", 400)
        message_id, phone, status = (form.get(name, "") for name in ("id", "phone", "status"))
        if not is_smsc_signature(secret, message_id, phone, status, form.get("sha1", ""), form.get("md5", "")):
            return _count("smsc", "forged", 403)
        return await _handle(runtime, "smsc", message_id, status, smsc.OUTCOMES)

    return report


def _from_kannel(runtime: Runtime, signer: Signer) -> Handler:
    async def report(request: Request) -> Response:
        query = request.query_params
        try:
            message_id = UUID(query.get("id", ""))
        except ValueError:
            return _count("kannel", "unreadable", 400)
        if not signer.verify(message_id, query.get("sig", "")):
            return _count("kannel", "forged", 403)
        return await _handle(runtime, "kannel", str(message_id), query.get("status", ""), kannel.OUTCOMES)

    return report


async def _handle(
    runtime: Runtime, provider: str, message: str, status: str, outcomes: Mapping[int, ProviderOutcome]
) -> Response:
    """Apply a signed report. Returns 200 if the provider need not repeat it, 503 if it should."""
    try:
        message_id, code = UUID(message), int(status)
        outcome = outcomes[code]
    except (ValueError, KeyError):
        # The SMS of another program on the same account, or a status that is not in the provider's documentation.
        return _count(provider, "unreadable", 200)
    try:
        async with runtime.database.single() as tx:
            client = await client_of(tx, message_id)
            if client is None:
                await keep_unmatched(tx, provider, message_id, outcome, str(code))
        if client is None:
            log.warning("sms_report_unmatched", provider=provider, message_id=str(message_id))
            return _count(provider, "unmatched", 200)
        report = SmsReported(message_id, provider, outcome, f"status {code}")
        applied = await runtime.decide(report_input(*client, report))
    except Exception as error:
        if not is_transient(error):
            raise
        return _count(provider, "unavailable", 503)
    return _count(provider, "applied" if applied else "repeated", 200)


def _count(provider: str, result: str, status: int) -> Response:
    metrics.REPORTS.labels(provider, result).inc()
    return PlainTextResponse("OK" if status == 200 else result, status)
