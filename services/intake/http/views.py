"""What intake answers with."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from contracts.person import Person
from services.intake.domain import Lead


class PartnerView(BaseModel):
    """The partner as recorded."""

    partner_id: str
    status: str


class TakenView(BaseModel):
    """The lead is taken; keep the receipt and its opening, they prove the order of receipt."""

    lead_id: UUID
    status: Literal["under-review"]
    received_at: datetime
    number: int
    receipt: str
    receipt_opening: str


class ClientView(BaseModel):
    """The client, to the portal that sent it."""

    full_name: str
    phone: str


class HistoryView(BaseModel):
    """One entry of a lead's history."""

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
    """A page of leads."""

    items: list[LeadView]
    next_cursor: str | None


class PassedView(BaseModel):
    """The request is taken; what becomes of it shows under its id."""

    request_id: UUID


class ClaimView(PassedView):
    """A claim that is taken; its settlement names it."""

    claim_id: UUID


class RequestView(BaseModel):
    """What became of a request."""

    request_id: UUID
    status: Literal["pending", "done", "refused"]
    reason: str | None
    result: dict[str, Any] | None


def lead_view(lead: Lead, client: Person | None) -> LeadView:
    """A lead for its portal: the public reason only. No client: its data were erased."""
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
