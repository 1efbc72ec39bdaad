"""Routes of leads: submit a lead, get a lead, list leads."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, Query, Response
from pydantic import StringConstraints

from chassis.service import Runtime
from contracts.base import PartnerId
from contracts.portal import SubmitLead
from contracts.sealing import Unsealable
from services.intake.decoding import InvalidText, RequestDecoder
from services.intake.domain.model import Lead, LeadStatus, Refused, Taken
from services.intake.http import views
from services.intake.http.access import portal_with
from services.intake.http.admission import IdempotencyKey, TraceParent, decide, require_idempotency_key, trace_of
from services.intake.http.fast_path import PATH, SubmitRoute
from services.intake.http.problems import Problem, refused
from services.intake.receipts import ReceiptWriter
from services.intake.store.queries import find_lead, list_leads

LeadsPortal = Annotated[str, Depends(portal_with("leads"))]


def add_lead_routes(app: FastAPI, runtime: Runtime, decoder: RequestDecoder, receipts: ReceiptWriter) -> SubmitRoute:
    """Add the routes to `app`; returns the handler of `POST /v1/leads` for the fast path."""

    @app.post(PATH, status_code=202, response_model=views.TakenView)
    async def submit_lead(
        body: SubmitLead,
        portal: LeadsPortal,
        idempotency_key: IdempotencyKey = None,
        traceparent: TraceParent = None,
    ) -> Response:
        """Закрепить клиента за партнёром. Ответ 202 означает, что заявка сохранена и стоит в очереди."""
        key = require_idempotency_key(idempotency_key)
        try:
            request = decoder.submission(portal, key, body, trace_of(traceparent), over_http=True)
        except Unsealable:
            raise refused("does-not-open") from None
        except InvalidText as error:
            raise refused(error.code) from None
        reply = await decide(runtime, request.input)
        if isinstance(reply, Refused):
            raise refused(reply.reason, retry_after_s=_seconds_to_retry(reply, runtime))
        assert isinstance(reply, Taken)
        assert request.client is not None
        receipt = receipts.write(reply.lead, request.client)
        headers = {"Location": f"{PATH}/{reply.lead.lead_id}"}
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
        # Serialised here, because FastAPI would validate the view a second time.
        return Response(view.model_dump_json(), 202, headers, "application/json")

    @app.get("/v1/leads/{lead_id}")
    async def get_lead(lead_id: UUID, portal: LeadsPortal) -> views.LeadView:
        """Заявка и её история; только порталу, который её отправил."""
        lead = await find_lead(runtime.database, portal, lead_id)
        if lead is None:
            raise Problem(404, "not-found")
        return view_of(lead)

    @app.get(PATH)
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
        next_cursor = None if page.next_number is None else str(page.next_number)
        return views.LeadsView(items=[view_of(lead) for lead in page.leads], next_cursor=next_cursor)

    def view_of(lead: Lead) -> views.LeadView:
        return views.lead_view(lead, decoder.open_client(lead))

    return submit_lead


def _seconds_to_retry(reply: Refused, runtime: Runtime) -> float:
    return 0.0 if reply.retry_at is None else (reply.retry_at - runtime.clock.now()).total_seconds()
