"""Leads: rows to values and back."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from chassis.service import Connection, fetch
from services.intake.domain.model import Lead
from services.intake.store.tables import LeadRow

_ERASED: Final = ""  # what the command `erase` leaves in the column `client`


async def fetch_leads(tx: Connection, lead_ids: Iterable[UUID]) -> dict[UUID, Lead]:
    """The leads with these ids; unknown ids are left out."""
    wanted = sorted(lead_ids)
    found = await fetch(tx, LeadRow, "lead_id", wanted) if wanted else []
    return {row["lead_id"]: lead_of(row) for row in found}


async def fetch_leads_of_clients(tx: Connection, client_keys: Iterable[str]) -> dict[UUID, Lead]:
    """All leads of the clients with these keys."""
    wanted = sorted(client_keys)
    found = await fetch(tx, LeadRow, "client_key", wanted) if wanted else []
    return {row["lead_id"]: lead_of(row) for row in found}


def lead_of(row: Mapping[str, Any]) -> Lead:
    fields = {name: value for name, value in row.items() if name != "status"}
    fields["client"] = row["client"] or None
    fields["reservation_events"] = tuple((at, name, detail) for at, name, detail in row["reservation_events"])
    return Lead(**fields)


def row_of_lead(lead: Lead) -> dict[str, Any]:
    return {
        "lead_id": lead.lead_id,
        "number": lead.number,
        "portal": lead.portal,
        "partner_id": lead.partner_id,
        "client_key": lead.client_key,
        "client": lead.client or _ERASED,
        "status": lead.status,
        "received_at": lead.received_at,
        "rejected_at": lead.rejected_at,
        "reason": lead.reason,
        "confirmed_at": lead.confirmed_at,
        "reserved_through": lead.reserved_through,
        "reserved_until": lead.reserved_until,
        "expired_at": lead.expired_at,
        "closed_at": lead.closed_at,
        "closed_as": lead.closed_as,
        "reservation_events": lead.reservation_events,
        "history_count": lead.history_count,
    }
