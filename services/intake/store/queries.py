"""Queries of the HTTP API: a lead, a page of leads, a request. Each query returns rows of one portal only."""

from dataclasses import dataclass
from uuid import UUID

from chassis.service import Database, fetch, rows
from services.intake.domain.model import Lead, RecordedRequest
from services.intake.store.leads import fetch_leads, lead_of
from services.intake.store.requests import request_of
from services.intake.store.tables import RequestRow

_PAGE = """
    SELECT * FROM leads WHERE portal = $1 AND ($2::text IS NULL OR partner_id = $2)
    AND ($3::text IS NULL OR status = $3) AND ($4::bigint IS NULL OR number < $4)
    ORDER BY number DESC LIMIT $5
"""


@dataclass(frozen=True, slots=True)
class LeadPage:
    """Leads, newest first. `next_number`: pass it as `below` for the next page; None on the last page."""

    leads: list[Lead]
    next_number: int | None


async def find_lead(database: Database, portal: str, lead_id: UUID) -> Lead | None:
    """The lead with this id if the portal submitted it."""
    async with database.single() as tx:
        lead = (await fetch_leads(tx, [lead_id])).get(lead_id)
    return lead if lead is not None and lead.portal == portal else None


async def list_leads(
    database: Database, portal: str, *, partner_id: str | None, status: str | None, below: int | None, limit: int
) -> LeadPage:
    """At most `limit` leads of a portal with numbers less than `below`, newest first."""
    async with database.single() as tx:
        found = await rows(tx, _PAGE, portal, partner_id, status, below, limit + 1)
    leads = [lead_of(dict(row)) for row in found[:limit]]
    return LeadPage(leads, leads[-1].number if len(found) > limit else None)


async def find_request(database: Database, portal: str, request_id: UUID) -> RecordedRequest | None:
    """The recorded request with this id if the portal sent it."""
    async with database.single() as tx:
        found = await fetch(tx, RequestRow, "request_id", [request_id])
    return request_of(found[0]) if found and found[0]["portal"] == portal else None
