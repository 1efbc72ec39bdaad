"""Intake's tables: portals and their keys, requests answered, leads in the order of receipt, partners."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from chassis.service import Connection, Database, Input, Rows, execute, fetch, rows
from contracts.person import is_client_key
from contracts.portal import Agreement
from services.intake.domain import Desk, Lead, LeadRequest, Origin, PartnerFile, PartnerRequest, Request, Room
from services.intake.later import Later, Return, Settlement

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
    done_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))


class LeadRow(Table, table=True):
    """A lead. The client rests sealed."""

    __tablename__ = "leads"
    __table_args__ = (
        Index("leads_of_client", "client_key", "received_at"),
        Index("leads_of_partner", "partner_id", "number"),
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
    closed_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    closed_as: str | None = None
    story: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    told: int


class PartnerRow(Table, table=True):
    """A partner as it stands. The person rests sealed."""

    __tablename__ = "partners"

    partner_id: str = Field(primary_key=True)
    person: str
    digest: str
    agreement: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    status: str


@dataclass(frozen=True, slots=True)
class Quota:
    """How many leads of one partner are taken an hour and a day, and how many may be reserved at once; 0 for any."""

    hour: int = 0
    day: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Desks:
    """State by client key, for leads and for what becomes of them; by lead or claim, for what is asked later."""

    quota: Quota

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Desk]:
        asked = [item for item in inputs if isinstance(item.body, (LeadRequest, Later))]
        new = [item for item in inputs if isinstance(item.body, LeadRequest)]
        keys = sorted({item.key for item in inputs})
        found = await _around(tx, asked, self.quota) if asked else _Around()
        named = await _requests(tx, [body for item in inputs if not isinstance(body := item.body, LeadRequest)])
        requests = {**found.requests, **named}
        wanted = {request.lead_id for request in requests.values() if request.lead_id is not None}
        wanted |= {body.lead_id for item in inputs if hasattr(body := item.body, "lead_id")}
        leads = await _leads(tx, wanted)
        if returned := sorted({item.key for item in inputs if isinstance(item.body, Return)}):
            leads |= {row["lead_id"]: _lead(row) for row in await fetch(tx, LeadRow, "client_key", returned)}
        numbers, rooms = iter(found.numbers), iter(found.rooms)
        by_key: dict[str, list[tuple[int, Room]]] = {}
        for item in new:
            by_key.setdefault(item.key, []).append((next(numbers), next(rooms)))
        return {
            key: Desk(
                # A repeated request may name a lead of another client: then it is a conflict, and is shown as one.
                # What is asked about a lead later does not know its client.
                leads={one.lead_id: one for one in leads.values() if one.client_key == key or not is_client_key(key)},
                last_received_at=found.last_received.get(key),
                numbers=tuple(number for number, _ in by_key.get(key, ())),
                rooms=tuple(room for _, room in by_key.get(key, ())),
                partners=found.standing,
                scopes=found.scopes,
                requests=requests,
            )
            for key in keys
        }

    def save(self, changes: Mapping[str, tuple[Desk, Desk]]) -> Sequence[Rows]:
        leads = [
            lead
            for before, after in changes.values()
            for lead_id, lead in after.leads.items()
            if before.leads.get(lead_id) != lead
        ]
        rows = [_lead_row(lead) for lead in leads]
        return [Rows(LeadRow, rows, keep=("number", "received_at")), *_answered(changes.values())]


class PartnerFiles:
    """State by partner id."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, PartnerFile]:
        keys = sorted({item.key for item in inputs})
        partners = {row["partner_id"]: _partner(row) for row in await fetch(tx, PartnerRow, "partner_id", keys)}
        found = await _around(tx, inputs)
        return {
            key: PartnerFile(partner=partners.get(key), scopes=found.scopes, requests=found.requests) for key in keys
        }

    def save(self, changes: Mapping[str, tuple[PartnerFile, PartnerFile]]) -> Sequence[Rows]:
        partners = [
            after.partner
            for before, after in changes.values()
            if after.partner is not None and after.partner is not before.partner
        ]
        rows = [
            {
                "partner_id": partner.partner_id,
                "person": partner.person,
                "digest": partner.digest,
                "agreement": partner.agreement.model_dump(mode="json"),
                "status": partner.status,
            }
            for partner in partners
        ]
        return [Rows(PartnerRow, rows), *_answered(changes.values())]


@dataclass(frozen=True, slots=True)
class LeadPage:
    """Leads, newest first; `next_number` is where the next page begins, if there is one."""

    leads: list[Lead]
    next_number: int | None


async def find_lead(database: Database, portal: str, lead_id: UUID) -> Lead | None:
    """A lead of this portal."""
    async with database.single() as tx:
        lead = (await _leads(tx, [lead_id])).get(lead_id)
    return lead if lead is not None and lead.portal == portal else None


async def list_leads(
    database: Database, portal: str, *, partner_id: str | None, status: str | None, below: int | None, limit: int
) -> LeadPage:
    """One page of a portal's leads, newest first."""
    async with database.single() as tx:
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
    leads = [_lead(dict(row)) for row in found[:limit]]
    return LeadPage(leads, leads[-1].number if len(found) > limit else None)


async def find_request(database: Database, portal: str, request_id: UUID) -> Request | None:
    """A request of this portal that was answered."""
    async with database.single() as tx:
        found = await fetch(tx, RequestRow, "request_id", [request_id])
    return _request(found[0]) if found and found[0]["portal"] == portal else None


def hash_key(key: str) -> bytes:
    """How a portal's key rests. It has 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(key.encode()).digest()


async def portals(database: Database) -> list[PortalRow]:
    """All portals, revoked ones with no key."""
    async with database.single() as tx:
        found = await rows(tx, "SELECT name, scopes, key_hash, changed_at FROM portals ORDER BY name")
    return [PortalRow(**dict(row)) for row in found]


async def put_portal(database: Database, name: str, scopes: Sequence[str] | None, key: str | None) -> bool:
    """Make a portal, or (no `scopes`) give it another key, or none. False if it exists already, or does not."""
    now, hashed = datetime.now(UTC), None if key is None else hash_key(key)
    async with database.single() as tx:
        if scopes is None:
            sql = "UPDATE portals SET key_hash = $2, changed_at = $3 WHERE name = $1 RETURNING name"
            return bool(await rows(tx, sql, name, hashed, now))
        sql = (
            "INSERT INTO portals (name, scopes, key_hash, changed_at) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT DO NOTHING RETURNING name"
        )
        return bool(await rows(tx, sql, name, list(scopes), hashed, now))


@dataclass(frozen=True, slots=True)
class _Around:
    """What is known around a batch of requests. `numbers`: one for each, in the order of receipt."""

    requests: Mapping[tuple[str, str], Request] = field(default_factory=dict)
    last_received: Mapping[str, datetime] = field(default_factory=dict)
    numbers: Sequence[int] = ()
    rooms: Sequence[Room] = ()
    standing: Mapping[str, str] = field(default_factory=dict)
    scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)


# The inner OFFSET 0: each request is looked up by its key, whatever the planner knows of the table.
_AROUND = """
    SELECT
        (SELECT array_agg(ROW(r.portal, r.key, r.digest, r.kind, r.reason, r.lead_id, r.done_at, r.result))
         FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS u (portal, key)) u,
         LATERAL (SELECT * FROM requests q WHERE q.portal = u.portal AND q.key = u.key OFFSET 0) r),
        (SELECT array_agg(ROW(client_key, last)) FROM (
            SELECT client_key, max(received_at) AS last FROM leads WHERE client_key = ANY($3::text[])
            GROUP BY client_key) l),
        (SELECT array_agg(nextval('lead_numbers')) FROM generate_series(1, $4::integer)),
        (SELECT array_agg(ROW(partner_id, status)) FROM partners WHERE partner_id = ANY($5::text[])),
        (SELECT array_agg(ROW(name, scopes)) FROM portals WHERE name = ANY($6::text[]) AND key_hash IS NOT NULL)
"""


# The leads that must be older than an hour, or a day, for the next of this partner to be within quota.
_TAKEN = """
    SELECT p.partner_id,
        ARRAY(SELECT l.received_at FROM leads l WHERE l.partner_id = p.partner_id
              ORDER BY l.number DESC OFFSET greatest($3 - p.asked, 0) LIMIT least(p.asked, $3)) AS hour,
        ARRAY(SELECT l.received_at FROM leads l WHERE l.partner_id = p.partner_id
              ORDER BY l.number DESC OFFSET greatest($4 - p.asked, 0) LIMIT least(p.asked, $4)) AS day,
        (SELECT count(*) FROM (SELECT 1 FROM leads l WHERE l.partner_id = p.partner_id AND l.status = 'confirmed'
                               AND $5 > 0 LIMIT $5) r) AS reserved
    FROM unnest($1::text[], $2::integer[]) AS p (partner_id, asked)
"""


_QUOTA_LOCK = 0x7275D0
_QUEUE = "SELECT pg_advisory_xact_lock($1, hashtext(p)) FROM (SELECT unnest($2::text[]) AS p ORDER BY p) q"


async def _around(tx: Connection, inputs: Sequence[Input], quota: Quota = Quota()) -> _Around:
    bodies = [item.body for item in inputs]
    origins = [body.origin for body in bodies]
    leads = [item for item in inputs if isinstance(item.body, LeadRequest)]
    ((requests, last, numbers, standing, scopes),) = await rows(
        tx,
        _AROUND,
        [origin.portal for origin in origins],
        [origin.key for origin in origins],
        sorted({item.key for item in leads}),
        len(leads),
        sorted({body.partner_id for body in bodies if isinstance(body, (LeadRequest, PartnerRequest))}),
        # What the portals behind topic requests may do; HTTP has checked its own.
        sorted({origin.portal for origin in origins if not origin.answered}),
    )
    return _Around(
        requests={
            (portal, key): Request(Origin(portal, key, digest, kind, answered=True), reason, lead_id, done_at, result)
            for portal, key, digest, kind, reason, lead_id, done_at, result in requests or ()
        },
        last_received=dict(last or ()),
        numbers=sorted(numbers or ()),
        rooms=await _rooms(tx, [item.body.partner_id for item in leads], quota),
        standing=dict(standing or ()),
        scopes={name: frozenset(allowed) for name, allowed in scopes or ()},
    )


async def _rooms(tx: Connection, partners: Sequence[str], quota: Quota) -> list[Room]:
    """One for each lead that is asked for, as if those before it were all taken."""
    if not partners or quota == Quota():
        return [Room()] * len(partners)
    asked = Counter(partners)
    # Counted one after another, by whichever copy of intake. A statement of its own, so that the next sees what others
    # committed; after the clients' locks and in one order, so that nobody waits for somebody who waits for us.
    await execute(tx, _QUEUE, _QUOTA_LOCK, sorted(asked))
    found = {
        row.partner_id: row
        for row in await rows(tx, _TAKEN, list(asked), list(asked.values()), quota.hour, quota.day, quota.reserved)
    }
    rooms: list[Room] = []
    before: Counter[str] = Counter()
    for partner in partners:
        row, ahead = found[partner], before[partner]
        hour, day = (
            _nth(stamps, limit, asked[partner], ahead)
            for stamps, limit in ((row.hour, quota.hour), (row.day, quota.day))
        )
        rooms.append(Room(hour, day, full=0 < quota.reserved <= row.reserved + ahead))
        before[partner] += 1
    return rooms


def _nth(stamps: Sequence[datetime], limit: int, asked: int, ahead: int) -> datetime | None:
    """The lead received `limit` leads before the next, of which `ahead` are of this batch; None: there is none."""
    if limit == 0:
        return None
    if ahead >= limit:
        return datetime.max.replace(tzinfo=UTC)
    place = min(asked, limit) - 1 - ahead
    return stamps[place] if 0 <= place < len(stamps) else None


async def _requests(tx: Connection, bodies: Sequence[Any]) -> dict[tuple[str, str], Request]:
    """The requests that messages answer, and the claims that are to be settled."""
    ids: set[UUID | None] = {getattr(body, "request_id", None) for body in bodies if not isinstance(body, Later)}
    ids |= {body.claim_id for body in bodies if isinstance(body, Settlement)}
    wanted = sorted(one for one in ids if one is not None)
    found = await fetch(tx, RequestRow, "request_id", wanted) if wanted else []
    return {(row["portal"], row["key"]): _request(row) for row in found}


def _answered(changes: Iterable[tuple[Desk, Desk] | tuple[PartnerFile, PartnerFile]]) -> list[Rows]:
    new: dict[tuple[str, str], Request] = {}
    changed: dict[tuple[str, str], Request] = {}
    for before, after in changes:
        for key, request in after.requests.items():
            known = before.requests.get(key)
            if known is None:
                new[key] = request
            elif known is not request:
                changed[key] = request
    return [
        # Where two use one key at once, the second fails here, is decided again and sees the first.
        Rows(RequestRow, [_request_row(new[key]) for key in sorted(new)], new=True),
        Rows(RequestRow, [_request_row(request) for request in changed.values()]),
    ]


def _request_row(request: Request) -> dict[str, Any]:
    origin = request.origin
    return {
        "portal": origin.portal,
        "key": origin.key,
        "request_id": origin.request_id,
        "kind": origin.kind,
        "digest": origin.digest,
        "reason": request.reason,
        "lead_id": request.lead_id,
        "done_at": request.done_at,
        "result": request.result,
    }


async def _leads(tx: Connection, ids: Iterable[UUID]) -> dict[UUID, Lead]:
    wanted = sorted(ids)
    found = await fetch(tx, LeadRow, "lead_id", wanted) if wanted else []
    return {row["lead_id"]: _lead(row) for row in found}


def _request(row: Mapping[str, Any]) -> Request:
    origin = Origin(row["portal"], row["key"], row["digest"], row["kind"], answered=True)
    return Request(origin, row["reason"], row["lead_id"], row["done_at"], row["result"])


def _lead(row: Mapping[str, Any]) -> Lead:
    story = tuple((at, what, detail) for at, what, detail in row["story"])
    return Lead(**{name: value for name, value in row.items() if name != "status"} | {"story": story})


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
        "closed_at": lead.closed_at,
        "closed_as": lead.closed_as,
        "story": lead.story,
        "told": lead.told,
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
