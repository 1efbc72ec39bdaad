"""Intake's tables: portals and their keys, requests answered, leads in the order of receipt, partners."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from chassis.database import execute, fetch, rows, upsert
from chassis.processor import Input
from contracts.portal import Agreement
from services.intake.domain import Desk, Lead, LeadRequest, Origin, PartnerFile, PartnerRequest, Request

_MOMENT = DateTime(timezone=True)


class Table(SQLModel, registry=registry()):
    """The tables of this service alone."""


class PortalRow(Table, table=True):
    """A portal and what it may do."""

    __tablename__ = "portals"

    name: str = Field(primary_key=True)
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    key_hash: bytes | None = Field(default=None, unique=True)
    changed_at: datetime = Field(sa_type=_MOMENT)


class RequestRow(Table, table=True):
    """A request that was answered; asking again under the same key gives the same answer."""

    __tablename__ = "requests"

    portal: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_id: UUID = Field(unique=True)
    kind: str
    digest: str
    reason: str | None = None
    lead_id: UUID | None = None


class LeadRow(Table, table=True):
    """A lead. The client rests sealed."""

    __tablename__ = "leads"
    __table_args__ = (
        Index("leads_of_client", "client_key", "received_at"),
        Index("leads_of_partner", "portal", "partner_id", "number"),
        Index("leads_of_portal", "portal", "number"),
    )

    lead_id: UUID = Field(primary_key=True)
    number: int = Field(sa_type=BigInteger, unique=True)
    portal: str
    partner_id: str
    client_key: str
    client: str
    status: str
    received_at: datetime = Field(sa_type=_MOMENT)
    rejected_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    reason: str | None = None
    confirmed_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    reserved_through: date | None = None
    reserved_until: datetime | None = Field(default=None, sa_type=_MOMENT)
    expired_at: datetime | None = Field(default=None, sa_type=_MOMENT)


class PartnerRow(Table, table=True):
    """A partner as it stands. The person rests sealed."""

    __tablename__ = "partners"

    partner_id: str = Field(primary_key=True)
    person: str
    digest: str
    agreement: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    status: str


class Desks:
    """State by client key, for leads and for what becomes of them."""

    async def load(self, tx: AsyncConnection, inputs: Sequence[Input]) -> dict[str, Desk]:
        asked = [item for item in inputs if isinstance(item.body, LeadRequest)]
        keys = sorted({item.key for item in inputs})
        requests = await _requests(tx, [item.body.origin for item in asked])
        wanted = {request.lead_id for request in requests.values() if request.lead_id is not None}
        wanted |= {item.body.lead_id for item in inputs if not isinstance(item.body, LeadRequest)}
        leads = await _leads(tx, wanted)
        last = await _last_received(tx, sorted({item.key for item in asked}))
        numbers = iter(await _numbers(tx, len(asked)))
        by_key: dict[str, list[int]] = {}
        for item in asked:
            by_key.setdefault(item.key, []).append(next(numbers))
        partners = await _partners(tx, {item.body.partner_id for item in asked})
        standing = {partner_id: row["status"] for partner_id, row in partners.items()}
        scopes = await _scopes(tx, asked)
        return {
            key: Desk(
                # A repeated request may name a lead of another client: then it is a conflict, and is shown as one.
                leads={lead.lead_id: lead for lead in leads.values() if lead.client_key == key},
                last_received_at=last.get(key),
                numbers=tuple(by_key.get(key, ())),
                partners=standing,
                scopes=scopes,
                requests=requests,
            )
            for key in keys
        }

    async def save(self, tx: AsyncConnection, changes: Mapping[str, tuple[Desk, Desk]]) -> None:
        leads = [
            lead
            for before, after in changes.values()
            for lead_id, lead in after.leads.items()
            if before.leads.get(lead_id) != lead
        ]
        await upsert(tx, LeadRow, [_lead_row(lead) for lead in leads], keep=("number", "received_at"))
        await _remember(tx, changes.values())


class PartnerFiles:
    """State by partner id."""

    async def load(self, tx: AsyncConnection, inputs: Sequence[Input]) -> dict[str, PartnerFile]:
        keys = sorted({item.key for item in inputs})
        found = await _partners(tx, keys)
        requests = await _requests(tx, [item.body.origin for item in inputs])
        scopes = await _scopes(tx, inputs)
        return {
            key: PartnerFile(partner=_partner(found[key]) if key in found else None, scopes=scopes, requests=requests)
            for key in keys
        }

    async def save(self, tx: AsyncConnection, changes: Mapping[str, tuple[PartnerFile, PartnerFile]]) -> None:
        partners = [
            after.partner
            for before, after in changes.values()
            if after.partner is not None and after.partner is not before.partner
        ]
        await upsert(
            tx,
            PartnerRow,
            [
                {
                    "partner_id": partner.partner_id,
                    "person": partner.person,
                    "digest": partner.digest,
                    "agreement": partner.agreement.model_dump_json(),
                    "status": partner.status,
                }
                for partner in partners
            ],
        )
        await _remember(tx, changes.values())


@dataclass(frozen=True, slots=True)
class LeadPage:
    """Leads, newest first; `next_number` is where the next page begins, if there is one."""

    leads: list[Lead]
    next_number: int | None


async def find_lead(engine: AsyncEngine, portal: str, lead_id: UUID) -> Lead | None:
    """A lead of this portal."""
    async with engine.connect() as tx:
        lead = (await _leads(tx, [lead_id])).get(lead_id)
    return lead if lead is not None and lead.portal == portal else None


async def list_leads(
    engine: AsyncEngine, portal: str, *, partner_id: str | None, status: str | None, below: int | None, limit: int
) -> LeadPage:
    """One page of a portal's leads, newest first."""
    async with engine.connect() as tx:
        found = await rows(
            tx,
            "SELECT * FROM leads WHERE portal = $1 AND ($2::text IS NULL OR partner_id = $2)"
            " AND ($3::text IS NULL OR status = $3) AND ($4::bigint IS NULL OR number < $4)"
            " ORDER BY number DESC LIMIT $5",
            portal,
            partner_id,
            status,
            below,
            limit + 1,
        )
    leads = [_lead(dict(row._mapping)) for row in found[:limit]]
    return LeadPage(leads, leads[-1].number if len(found) > limit else None)


async def find_request(engine: AsyncEngine, portal: str, request_id: UUID) -> Request | None:
    """A request of this portal that was answered."""
    async with engine.connect() as tx:
        found = await fetch(tx, RequestRow, "request_id", [request_id])
    return _request(found[0]) if found and found[0]["portal"] == portal else None


def hash_key(key: str) -> bytes:
    """How a portal's key rests. It has 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(key.encode()).digest()


async def portals(engine: AsyncEngine) -> list[PortalRow]:
    """All portals, revoked ones with no key."""
    async with engine.connect() as tx:
        found = await rows(tx, "SELECT name, scopes, key_hash, changed_at FROM portals ORDER BY name")
    return [PortalRow(**dict(row._mapping)) for row in found]


async def put_portal(engine: AsyncEngine, name: str, scopes: Sequence[str] | None, key: str | None) -> bool:
    """Make a portal, or (no `scopes`) give it another key, or none. False if it exists already, or does not."""
    now, hashed = datetime.now(UTC), None if key is None else hash_key(key)
    async with engine.begin() as tx:
        if scopes is None:
            sql = "UPDATE portals SET key_hash = $2, changed_at = $3 WHERE name = $1 RETURNING name"
            return bool(await rows(tx, sql, name, hashed, now))
        sql = (
            "INSERT INTO portals (name, scopes, key_hash, changed_at) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT DO NOTHING RETURNING name"
        )
        return bool(await rows(tx, sql, name, list(scopes), hashed, now))


async def _requests(tx: AsyncConnection, origins: Sequence[Origin]) -> dict[tuple[str, str], Request]:
    if not origins:
        return {}
    found = await rows(
        tx,
        # OFFSET 0: each is looked up by its key, whatever the planner knows of the table.
        "SELECT r.* FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS u (portal, key)) u,"
        " LATERAL (SELECT * FROM requests q WHERE q.portal = u.portal AND q.key = u.key OFFSET 0) r",
        [origin.portal for origin in origins],
        [origin.key for origin in origins],
    )
    return {(row.portal, row.key): _request(dict(row._mapping)) for row in found}


async def _remember(
    tx: AsyncConnection, changes: Iterable[tuple[Desk, Desk] | tuple[PartnerFile, PartnerFile]]
) -> None:
    new = sorted(
        (
            (key, request)
            for before, after in changes
            for key, request in after.requests.items()
            if key not in before.requests
        ),
        key=lambda item: item[0],
    )
    if new:
        # A plain insert: where two use one key at once, the second fails here, is decided again and sees the first.
        await execute(
            tx,
            "INSERT INTO requests (portal, key, request_id, kind, digest, reason, lead_id)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[])",
            [portal for (portal, _), _ in new],
            [key for (_, key), _ in new],
            [request.origin.request_id for _, request in new],
            [request.origin.kind for _, request in new],
            [request.origin.digest for _, request in new],
            [request.reason for _, request in new],
            [request.lead_id for _, request in new],
        )


async def _leads(tx: AsyncConnection, ids: Iterable[UUID]) -> dict[UUID, Lead]:
    wanted = sorted(ids)
    found = await fetch(tx, LeadRow, "lead_id", wanted) if wanted else []
    return {row["lead_id"]: _lead(row) for row in found}


async def _last_received(tx: AsyncConnection, keys: Sequence[str]) -> dict[str, datetime]:
    if not keys:
        return {}
    sql = (
        "SELECT client_key, max(received_at) AS last FROM leads WHERE client_key = ANY($1::text[]) GROUP BY client_key"
    )
    return {row.client_key: row.last for row in await rows(tx, sql, list(keys))}


async def _numbers(tx: AsyncConnection, count: int) -> list[int]:
    if not count:
        return []
    sql = "SELECT nextval('lead_numbers') AS number FROM generate_series(1, $1::integer)"
    return sorted(row.number for row in await rows(tx, sql, count))


async def _partners(tx: AsyncConnection, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    wanted = sorted(ids)
    found = await fetch(tx, PartnerRow, "partner_id", wanted) if wanted else []
    return {row["partner_id"]: row for row in found}


async def _scopes(tx: AsyncConnection, inputs: Sequence[Input]) -> dict[str, frozenset[str]]:
    """What the portals behind topic requests may do; HTTP has checked its own."""
    names = sorted({item.body.origin.portal for item in inputs if not item.body.origin.answered})
    if not names:
        return {}
    sql = "SELECT name, scopes FROM portals WHERE name = ANY($1::text[]) AND key_hash IS NOT NULL"
    return {row.name: frozenset(row.scopes) for row in await rows(tx, sql, names)}


def _request(row: Mapping[str, Any]) -> Request:
    origin = Origin(row["portal"], row["key"], row["digest"], row["kind"], answered=True)
    return Request(origin, row["reason"], row["lead_id"])


def _lead(row: Mapping[str, Any]) -> Lead:
    return Lead(**{name: value for name, value in row.items() if name != "status"})


def _lead_row(lead: Lead) -> dict[str, Any]:
    return {
        "lead_id": lead.lead_id,
        "number": lead.number,
        "portal": lead.portal,
        "partner_id": lead.partner_id,
        "client_key": lead.client_key,
        "client": lead.client,
        "status": lead.status,
        "received_at": lead.received_at,
        "rejected_at": lead.rejected_at,
        "reason": lead.reason,
        "confirmed_at": lead.confirmed_at,
        "reserved_through": lead.reserved_through,
        "reserved_until": lead.reserved_until,
        "expired_at": lead.expired_at,
    }


def _partner(row: Mapping[str, Any]) -> PartnerRequest:
    return PartnerRequest(
        origin=Origin("", "", "", "", answered=True),
        partner_id=row["partner_id"],
        agreement=Agreement.model_validate(row["agreement"]),
        status=row["status"],
        person=row["person"],
        digest=row["digest"],
    )
