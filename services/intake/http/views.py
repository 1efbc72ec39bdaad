"""Response bodies of the HTTP API."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from contracts.person import Person
from services.intake.domain.model import Lead, RecordedRequest


class PartnerView(BaseModel):
    """A partner as intake recorded it."""

    partner_id: str
    status: str


class TakenView(BaseModel):
    """A recorded lead. Keep the receipt and its opening: they prove the order of receipt."""

    lead_id: UUID
    status: Literal["under-review"]
    received_at: datetime
    number: int
    receipt: str
    receipt_opening: str


class ClientView(BaseModel):
    """A client; only the portal that submitted it sees it."""

    full_name: str
    phone: str


class HistoryView(BaseModel):
    """One event of a lead: when, its name, and a detail such as a date."""

    at: datetime
    event: str
    detail: str | None


class LeadView(BaseModel):
    """A lead as its portal sees it."""

    lead_id: UUID
    partner_id: str
    client: ClientView | None
    status: str
    reason: str | None
    reserved_through: date | None
    reserved_until: datetime | None
    received_at: datetime
    history: list[HistoryView]


class LeadsView(BaseModel):
    """A page of leads; pass `next_cursor` as `cursor` for the next page."""

    items: list[LeadView]
    next_cursor: str | None


class AcceptedView(BaseModel):
    """A recorded request; `GET /v1/requests/{request_id}` returns its outcome."""

    request_id: UUID


class ClaimView(AcceptedView):
    """A recorded reward claim; a settlement names its id."""

    claim_id: UUID


class RequestView(BaseModel):
    """The outcome of a request."""

    request_id: UUID
    status: Literal["pending", "done", "refused"]
    reason: str | None
    result: dict[str, Any] | None


def lead_view(lead: Lead, client: Person | None) -> LeadView:
    """A lead as its portal may see it, with the public reason only. `client` is None after erasure."""
    return LeadView(
        lead_id=lead.lead_id,
        partner_id=lead.partner_id,
        client=ClientView(full_name=client.full_name, phone=client.phone) if client is not None else None,
        status=lead.status,
        reason=lead.public_reason,
        reserved_through=lead.reserved_through,
        reserved_until=lead.reserved_until,
        received_at=lead.received_at,
        history=[HistoryView(at=at, event=event, detail=detail) for at, event, detail in lead.history()],
    )


def request_view(request: RecordedRequest) -> RequestView:
    """A recorded request with its status; `result` is None when no lead was found."""
    return RequestView(
        request_id=request.origin.request_id,
        status="refused" if request.reason is not None else "done" if request.done_at is not None else "pending",
        reason=request.reason,
        result=None if request.lead_id is None else {"lead_id": str(request.lead_id), **(request.result or {})},
    )
