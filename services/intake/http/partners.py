"""The route that registers partners."""

import uuid
from typing import Annotated

from fastapi import Depends, FastAPI, Response
from pydantic import BaseModel

from chassis.service import Runtime
from contracts.base import PartnerId, PartnerStatus
from contracts.portal import Agreement, FullName, RawPhone, RegisterPartner
from services.intake.decoding import RequestDecoder
from services.intake.domain.model import Refused, Registered
from services.intake.http import views
from services.intake.http.access import portal_with
from services.intake.http.admission import TraceParent, decide, trace_of
from services.intake.http.problems import refused


class PartnerBody(BaseModel):
    """A partner as a portal registers it."""

    full_name: FullName
    phone: RawPhone
    agreement: Agreement
    status: PartnerStatus = "active"


def add_partner_routes(app: FastAPI, runtime: Runtime, decoder: RequestDecoder) -> None:
    @app.put("/v1/partners/{partner_id}", status_code=200, responses={201: {"model": views.PartnerView}})
    async def register_partner(
        partner_id: PartnerId,
        body: PartnerBody,
        portal: Annotated[str, Depends(portal_with("partners"))],
        response: Response,
        traceparent: TraceParent = None,
    ) -> views.PartnerView:
        """Зарегистрировать партнёра или изменить его данные."""
        message = RegisterPartner(partner_id=partner_id, **dict(body))
        # PUT is idempotent without a key: a fresh id for each call.
        request = decoder.registration(portal, f"put/{uuid.uuid4()}", message, trace_of(traceparent), over_http=True)
        reply = await decide(runtime, request.input)
        if isinstance(reply, Refused):
            raise refused(reply.reason, prefix="")
        assert isinstance(reply, Registered)
        response.status_code = 201 if reply.created else 200
        return views.PartnerView(partner_id=partner_id, status=body.status)
