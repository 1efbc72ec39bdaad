"""Routes of requests about a lead: return, withdrawal, reward claim, settlement; and the outcome of a request."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, FastAPI, Response
from pydantic import BaseModel

from chassis.service import Runtime
from contracts.base import Amount, Currency, PartnerId, StaffName, TypedText
from contracts.portal import ClaimReward, ReturnLead, SettleReward, WithdrawLead
from contracts.sealing import Unsealable
from services.intake.decoding import InvalidText, LeadRequestBody, RequestDecoder
from services.intake.domain.model import Accepted, Refused
from services.intake.http import views
from services.intake.http.access import portal_with, require_scope
from services.intake.http.admission import IdempotencyKey, TraceParent, decide, require_idempotency_key, trace_of
from services.intake.http.problems import Problem, refused
from services.intake.store.queries import find_request

AnyPortal = Annotated[str, Depends(portal_with())]
ReturnsPortal = Annotated[str, Depends(portal_with("returns"))]
RewardsPortal = Annotated[str, Depends(portal_with("rewards"))]


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


def add_request_routes(app: FastAPI, runtime: Runtime) -> None:
    """Add the route that returns what became of a request."""

    @app.get("/v1/requests/{request_id}")
    async def get_request(request_id: UUID, portal: AnyPortal) -> views.RequestView:
        """Что стало с запросом."""
        request = await find_request(runtime.database, portal, request_id)
        if request is None:
            raise Problem(404, "not-found")
        return views.request_view(request)


def add_lead_request_routes(app: FastAPI, runtime: Runtime, decoder: RequestDecoder) -> None:
    """Add the routes by which a portal sends requests about leads."""

    async def accept(
        portal: str, key: str | None, body: LeadRequestBody, traceparent: str | None, response: Response
    ) -> UUID:
        key = require_idempotency_key(key)
        try:
            item = decoder.lead_request(portal, key, body, trace_of(traceparent), over_http=True)
        except Unsealable:
            raise refused("does-not-open") from None
        except InvalidText as error:
            raise refused(error.code) from None
        reply = await decide(runtime, item)
        if isinstance(reply, Refused):
            raise refused(reply.reason)
        assert isinstance(reply, Accepted)
        response.headers["Location"] = f"/v1/requests/{reply.request_id}"
        if reply.replayed:
            response.headers["Idempotent-Replayed"] = "true"
        return reply.request_id

    @app.post("/v1/returns", status_code=202)
    async def return_lead(
        body: ReturnLead,
        portal: ReturnsPortal,
        response: Response,
        idempotency_key: IdempotencyKey = None,
        traceparent: TraceParent = None,
    ) -> views.AcceptedView:
        """Вернуть клиента партнёру: продлить закрепление или восстановить истёкшее."""
        return views.AcceptedView(request_id=await accept(portal, idempotency_key, body, traceparent, response))

    @app.post("/v1/leads/{lead_id}/withdrawal", status_code=202)
    async def withdraw_lead(
        lead_id: UUID,
        body: WithdrawalBody,
        portal: AnyPortal,
        response: Response,
        idempotency_key: IdempotencyKey = None,
        traceparent: TraceParent = None,
    ) -> views.AcceptedView:
        """Отозвать заявку: клиент снова свободен. Партнёр — в течение суток, менеджер — в любое время."""
        require_scope(app, portal, "leads" if body.manager is None else "returns")
        message = WithdrawLead(lead_id=lead_id, **dict(body))
        return views.AcceptedView(request_id=await accept(portal, idempotency_key, message, traceparent, response))

    @app.post("/v1/reward-claims", status_code=202)
    async def claim_reward(
        body: ClaimReward,
        portal: RewardsPortal,
        response: Response,
        idempotency_key: IdempotencyKey = None,
        traceparent: TraceParent = None,
    ) -> views.ClaimView:
        """Заявить вознаграждение за сделку с клиентом."""
        request_id = await accept(portal, idempotency_key, body, traceparent, response)
        return views.ClaimView(request_id=request_id, claim_id=request_id)

    @app.post("/v1/reward-claims/{claim_id}/settlement", status_code=202)
    async def settle_reward(
        claim_id: UUID,
        body: SettlementBody,
        portal: RewardsPortal,
        response: Response,
        idempotency_key: IdempotencyKey = None,
        traceparent: TraceParent = None,
    ) -> views.AcceptedView:
        """Решение застройщика: начислить или отказать. Повторное решение — исправление разницей."""
        message = SettleReward(claim_id=claim_id, **dict(body))
        return views.AcceptedView(request_id=await accept(portal, idempotency_key, message, traceparent, response))
