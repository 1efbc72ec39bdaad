"""The HTTP application and its routes."""

import os
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, FastAPI, Header, Query, Response
from pydantic import BaseModel, StringConstraints, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.decision import Cause
from chassis.service import Runtime
from contracts.base import Amount, Currency, PartnerId, PartnerStatus, StaffName, TypedText
from contracts.portal import (
    Agreement,
    ClaimReward,
    FullName,
    RawPhone,
    RegisterPartner,
    ReturnLead,
    SettleReward,
    SubmitLead,
    WithdrawLead,
)
from contracts.sealing import Unsealable
from services.intake.domain import Lead, LeadStatus, Refused, Registered, Taken
from services.intake.handlers import InvalidAgreement, LaterBody, Reader, is_id, story
from services.intake.http import views
from services.intake.http.access import Keyring, allowed, needs
from services.intake.http.problems import DOCUMENTED, Problem, answer, install, refused, respond, unavailable
from services.intake.later import Passed
from services.intake.receipts import ReceiptWriter
from services.intake.settings import Settings
from services.intake.store import find_lead, find_request, list_leads

MAX_BODY_BYTES = 64 * 1024
MAX_READ_BYTES = 1024 * 1024
UNDELIVERED_LIMIT_S = 600

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", description="До 255 видимых символов ASCII")]
TraceParent = Annotated[str | None, Header(include_in_schema=False)]
LeadsPortal = Annotated[str, Depends(needs("leads"))]
SubmitRoute = Callable[[SubmitLead, str, str | None, str | None], Awaitable[Response]]


class PartnerBody(BaseModel):
    """A partner as a portal registers it."""

    full_name: FullName
    phone: RawPhone
    agreement: Agreement
    status: PartnerStatus = "active"


class WithdrawalBody(BaseModel):
    """Who withdraws the lead, and why: one of `partner_id` and `manager`."""

    partner_id: PartnerId | None = None
    manager: StaffName | None = None
    reason: TypedText


class SettlementBody(BaseModel):
    """The builder's decision about a claim. To accrue takes `amount` and `currency`."""

    decision: Literal["accrue", "decline"]
    amount: Amount | None = None
    currency: Currency | None = None
    reason: TypedText
    decided_by: StaffName


def application(runtime: Runtime, settings: Settings, reader: Reader) -> ASGIApp:
    """Everything under `/v1`, and the published keys."""
    app = FastAPI(
        title="Truce intake",
        version="1",
        description="Фиксация клиентов партнёрами застройщика",
        openapi_url="/openapi.json",
        redoc_url=None,
        responses=DOCUMENTED,
    )
    keyring = app.state.keyring = Keyring(runtime.database)
    install(app)
    receipts = ReceiptWriter(settings.receipt_jwk, settings.secret)
    _partners(app, runtime, reader)
    submit_lead = _leads(app, runtime, reader, receipts)
    _later(app, runtime, reader)
    _keys(app, settings)
    return _limited(app, _Shortcut(keyring, submit_lead))


def _partners(app: FastAPI, runtime: Runtime, reader: Reader) -> None:
    @app.put("/v1/partners/{partner_id}", status_code=200, responses={201: {"model": views.PartnerView}})
    async def register_partner(
        partner_id: PartnerId,
        body: PartnerBody,
        portal: Annotated[str, Depends(needs("partners"))],
        response: Response,
        traceparent: TraceParent = None,
    ) -> views.PartnerView:
        """Зарегистрировать партнёра или изменить его данные."""
        try:
            asked = reader.partner(
                portal,
                f"put/{uuid.uuid4()}",
                RegisterPartner(partner_id=partner_id, **dict(body)),
                _story(traceparent),
                answered=True,
            )
        except InvalidAgreement:
            raise refused("invalid-agreement") from None
        reply = await _submit(runtime, asked.input)
        if isinstance(reply, Refused):
            raise refused(reply.reason, prefix="")
        assert isinstance(reply, Registered)
        response.status_code = 201 if reply.created else 200
        return views.PartnerView(partner_id=partner_id, status=body.status)


def _leads(app: FastAPI, runtime: Runtime, reader: Reader, receipts: ReceiptWriter) -> SubmitRoute:
    @app.post("/v1/leads", status_code=202, response_model=views.TakenView)
    async def submit_lead(
        body: SubmitLead,
        portal: LeadsPortal,
        idempotency_key: IdempotencyKey = None,
        traceparent: TraceParent = None,
    ) -> Response:
        """Закрепить клиента за партнёром. Ответ 202 означает, что заявка сохранена и стоит в очереди."""
        key = _checked(idempotency_key)
        try:
            asked = reader.lead(portal, key, body, _story(traceparent), answered=True)
        except Unsealable:
            raise refused("does-not-open") from None
        reply = await _submit(runtime, asked.input)
        if isinstance(reply, Refused):
            raise refused(reply.reason, again_s=_until(reply, runtime))
        assert isinstance(reply, Taken)
        assert asked.client is not None
        receipt = receipts.write(reply.lead, asked.client)
        headers = {"Location": f"/v1/leads/{reply.lead.lead_id}"}
        if reply.replayed:
            headers["Idempotent-Replayed"] = "true"
        view = views.TakenView(
            lead_id=reply.lead.lead_id,
            status="under-review",
            received_at=reply.lead.received_at,
            number=reply.lead.number,
            receipt=receipt.token,
            receipt_opening=receipt.opening,
        )
        # Written out here: FastAPI would validate once more what has just been made.
        return Response(view.model_dump_json(), 202, headers, "application/json")

    @app.get("/v1/leads/{lead_id}")
    async def get_lead(lead_id: UUID, portal: LeadsPortal) -> views.LeadView:
        """Заявка и её история; только порталу, который её отправил."""
        lead = await find_lead(runtime.database, portal, lead_id)
        if lead is None:
            raise Problem(404, "not-found")
        return _view(lead)

    @app.get("/v1/leads")
    async def get_leads(
        portal: LeadsPortal,
        partner_id: PartnerId | None = None,
        status: LeadStatus | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, StringConstraints(pattern=r"^\d{1,18}$")] = None,
    ) -> views.LeadsView:
        """Заявки портала, новые сначала."""
        page = await list_leads(
            runtime.database,
            portal,
            partner_id=partner_id,
            status=status,
            below=None if cursor is None else int(cursor),
            limit=limit,
        )
        following = None if page.next_number is None else str(page.next_number)
        return views.LeadsView(items=[_view(lead) for lead in page.leads], next_cursor=following)

    @app.get("/v1/requests/{request_id}")
    async def get_request(request_id: UUID, portal: Annotated[str, Depends(needs())]) -> views.RequestView:
        """Что стало с запросом."""
        request = await find_request(runtime.database, portal, request_id)
        if request is None:
            raise Problem(404, "not-found")
        return views.RequestView(
            request_id=request_id,
            status="refused" if request.reason is not None else "done" if request.done_at is not None else "pending",
            reason=request.reason,
            result=None if request.lead_id is None else {"lead_id": str(request.lead_id), **(request.result or {})},
        )

    def _view(lead: Lead) -> views.LeadView:
        return views.lead_view(lead, reader.open(lead))

    return submit_lead


def _later(app: FastAPI, runtime: Runtime, reader: Reader) -> None:
    async def passed(
        portal: str, key: str | None, body: LaterBody, traceparent: str | None, response: Response
    ) -> UUID:
        try:
            item = reader.later(portal, _checked(key), body, _story(traceparent), answered=True)
        except Unsealable:
            raise refused("does-not-open") from None
        reply = await _submit(runtime, item)
        if isinstance(reply, Refused):
            raise refused(reply.reason)
        assert isinstance(reply, Passed)
        response.headers["Location"] = f"/v1/requests/{reply.request_id}"
        if reply.replayed:
            response.headers["Idempotent-Replayed"] = "true"
        return reply.request_id

    @app.post("/v1/returns", status_code=202)
    async def return_lead(
        body: ReturnLead,
        portal: Annotated[str, Depends(needs("returns"))],
        response: Response,
        idempotency_key: IdempotencyKey = None,
        traceparent: TraceParent = None,
    ) -> views.PassedView:
        """Вернуть клиента партнёру: продлить закрепление или восстановить истёкшее."""
        return views.PassedView(request_id=await passed(portal, idempotency_key, body, traceparent, response))

    @app.post("/v1/leads/{lead_id}/withdrawal", status_code=202)
    async def withdraw_lead(
        lead_id: UUID,
        body: WithdrawalBody,
        portal: Annotated[str, Depends(needs())],
        response: Response,
        idempotency_key: IdempotencyKey = None,
        traceparent: TraceParent = None,
    ) -> views.PassedView:
        """Отозвать заявку: клиент снова свободен. Партнёр — в течение суток, менеджер — в любое время."""
        allowed(app, portal, "leads" if body.manager is None else "returns")
        message = WithdrawLead(lead_id=lead_id, **dict(body))
        return views.PassedView(request_id=await passed(portal, idempotency_key, message, traceparent, response))

    @app.post("/v1/reward-claims", status_code=202)
    async def claim_reward(
        body: ClaimReward,
        portal: Annotated[str, Depends(needs("rewards"))],
        response: Response,
        idempotency_key: IdempotencyKey = None,
        traceparent: TraceParent = None,
    ) -> views.ClaimView:
        """Заявить вознаграждение за сделку с клиентом."""
        request_id = await passed(portal, idempotency_key, body, traceparent, response)
        return views.ClaimView(request_id=request_id, claim_id=request_id)

    @app.post("/v1/reward-claims/{claim_id}/settlement", status_code=202)
    async def settle_reward(
        claim_id: UUID,
        body: SettlementBody,
        portal: Annotated[str, Depends(needs("rewards"))],
        response: Response,
        idempotency_key: IdempotencyKey = None,
        traceparent: TraceParent = None,
    ) -> views.PassedView:
        """Решение застройщика: начислить или отказать. Повторное решение — исправление разницей."""
        message = SettleReward(claim_id=claim_id, **dict(body))
        return views.PassedView(request_id=await passed(portal, idempotency_key, message, traceparent, response))


def _keys(app: FastAPI, settings: Settings) -> None:
    published = {
        "keys": [
            {**settings.unsealing_jwk.as_dict(private=False), "use": "enc", "alg": "ECDH-ES"},
            {**settings.receipt_jwk.as_dict(private=False), "use": "sig", "alg": "Ed25519"},
        ]
    }

    @app.get("/.well-known/jwks.json")
    async def jwks() -> dict[str, Any]:
        """Открытые ключи: шифрования клиентов и проверки квитанций."""
        return published


def _until(reply: Refused, runtime: Runtime) -> float:
    return 0.0 if reply.again_at is None else (reply.again_at - runtime.clock.now()).total_seconds()


async def _submit(runtime: Runtime, item: Any) -> Any:
    # Events that cannot leave would make a promise we may not keep.
    if runtime.undelivered_s() > UNDELIVERED_LIMIT_S:
        raise unavailable()
    return await runtime.decide(item)


def _checked(key: str | None) -> str:
    if key is None or not is_id(key):
        raise Problem(400, "idempotency-key-required")
    return key


def _story(traceparent: str | None) -> Cause:
    begun = story(None, traceparent)
    if begun.traceparent is not None:
        return begun
    fresh = os.urandom(24).hex()
    return Cause("", "", f"00-{fresh[:32]}-{fresh[32:]}-01")


class _Shortcut:
    """`POST /v1/leads`, the one request that comes in thousands, past the framework's general machinery.

    That machinery took a third of a request's time. What is not plainly in order is left to it, to say what is wrong.
    """

    def __init__(self, keyring: Keyring, submit: SubmitRoute) -> None:
        self._keyring = keyring
        self._submit = submit

    async def answer(self, scope: Scope, body: bytes) -> Response | None:
        """The answer, or None: the framework is to give it."""
        if scope["method"] != "POST" or scope["path"] != "/v1/leads":
            return None
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        scheme, _, key = headers.get(b"authorization", "").partition(" ")
        as_json = headers.get(b"content-type", "").startswith("application/json")
        if len(headers) < len(scope["headers"]) or scheme != "Bearer" or not as_json:
            return None
        try:
            found = await self._keyring.portal(key)
            if found is None or "leads" not in found[1]:
                return None
            lead = SubmitLead.model_validate_json(body)
            return await self._submit(lead, found[0], headers.get(b"idempotency-key"), headers.get(b"traceparent"))
        except ValidationError:
            return None
        except Exception as error:
            return answer(error, scope["path"])


def _limited(app: ASGIApp, shortcut: _Shortcut) -> ASGIApp:
    """Refuse a body over 64 KiB, announced or not, before anything reads it."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        body = None if not announced.isdigit() or int(announced) > MAX_BODY_BYTES else await _body(receive)
        if body is None:
            await respond(Problem(413, "too-large"))(scope, receive, send)
        elif (answered := await shortcut.answer(scope, body)) is not None:
            await answered(scope, receive, send)
        else:
            await app(scope, _first(body, receive), send)

    return limited


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if it is too large. Some more of it is read then, or the caller would not see the answer."""
    body, size, more = bytearray(), 0, True
    while more and size <= MAX_READ_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size <= MAX_BODY_BYTES:
            body += part
    return bytes(body) if size <= MAX_BODY_BYTES else None


def _first(body: bytes, receive: Receive) -> Receive:
    """What was read already, and then what comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
