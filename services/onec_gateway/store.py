"""The arbiter's facts at rest, the partners, and what was seen in 1C. Clients and partners stay sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Column, DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from chassis.decision import Cause
from chassis.service import (
    Connection,
    Database,
    Input,
    Rows,
    execute,
    fetch,
    fetch_each,
    row_of,
    rows,
    write_rows,
)
from contracts.partners import Partner
from contracts.portal import Agreement
from services.onec_gateway.domain import CheckOverdue, KnownPartner
from services.onec_gateway.facts import (
    Client,
    Deal,
    Enquiry,
    Hold,
    Lead,
    Reinstatement,
    Ruling,
    Sale,
    Sighting,
    Term,
    Verdict,
)

INSIDER: Final = "insider"
_SIGHTING: Final = TypeAdapter(Sighting)
_DEAL: Final = TypeAdapter(Deal)
_REINSTATEMENT: Final = TypeAdapter(Reinstatement)
_ENQUIRIES: Final = TypeAdapter(tuple[Enquiry, ...])
_SALES: Final = TypeAdapter(tuple[Sale, ...])
_RULING: Final = TypeAdapter(Ruling)


class Table(SQLModel, registry=registry()):
    """The tables of this service alone."""


class HoldRow(Table, table=True):
    """To whom a client was granted: one row a client. Given up by a withdrawal, it is `released`."""

    __tablename__ = "holds"

    client_key: str = Field(primary_key=True)
    lead_id: UUID
    partner_id: str
    confirmed_at: datetime = Field(sa_type=DateTime(timezone=True))
    released: bool = False


class LeadRow(Table, table=True):
    """A lead, what 1C said of it, and its verdict. `cause`, `enquiries`, `sales` and `ruling` are JSON."""

    __tablename__ = "leads"

    lead_id: UUID = Field(primary_key=True)
    client_key: str
    partner_id: str
    client: str
    received_at: datetime = Field(sa_type=DateTime(timezone=True))
    number: int = Field(sa_type=BigInteger)
    cause: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    check_asked: bool
    checked_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    enquiries: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    sales: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    delayed_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    ruling: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    status: str
    rule: str
    reason: str | None
    evidence: str | None
    decided_at: datetime | None = Field(sa_type=DateTime(timezone=True))


class TermRow(Table, table=True):
    """What is known of a lead's reservation, and what 1C was told of it."""

    __tablename__ = "terms"

    lead_id: UUID = Field(primary_key=True)
    client_key: str
    confirmed_at: datetime = Field(sa_type=DateTime(timezone=True))
    until: datetime = Field(sa_type=DateTime(timezone=True))
    through: date
    ended_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    ended_as: str | None
    journal_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    handed_over_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    enquiry_ref: str | None


class PartnerRow(Table, table=True):
    """A partner as it stands now; `person` is sealed and bound to the partner id."""

    __tablename__ = "partners"

    partner_id: str = Field(primary_key=True)
    person: str
    agreement_number: str
    signed_on: date
    status: str
    phone_key: str | None


class FactRow(Table, table=True):
    """What else is known of a client: a `sighting`, a `deal`, a `reinstatement`, or whose phone it is (`insider`)."""

    __tablename__ = "facts"

    client_key: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    ref: str = Field(primary_key=True)
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class SaleRow(Table, table=True):
    """A sale seen in 1C, whoever's it is; `lead_id` once it is tied to a lead."""

    __tablename__ = "sales"

    ref: str = Field(primary_key=True)
    number: str
    amount: Decimal
    currency: str
    contract_number: str
    sold_on: date
    cancelled: bool
    seen_at: datetime = Field(sa_type=DateTime(timezone=True))
    client_key: str | None
    lead_id: UUID | None


class MarkRow(Table, table=True):
    """How far the watching of a journal in 1C has come: the highest number seen, by a look that began at `at`."""

    __tablename__ = "watermarks"

    journal: str = Field(primary_key=True)
    number: str
    at: datetime = Field(sa_type=DateTime(timezone=True))


class ExchangeRow(Table, table=True):
    """A request to 1C and what came of it."""

    __tablename__ = "exchanges"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    operation: str
    leads: list[str] = Field(sa_column=Column(JSONB, nullable=False))
    set: str
    method: str
    status: int | None
    code: str | None
    text: str | None
    ms: int
    attempt: int
    outcome: str
    next_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    correlation: str | None


_TERM: Final = itemgetter(*Term.__dataclass_fields__)


class Clients:
    """State by client key: the hold, the leads, their reservations, and what else is known."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Client]:
        keys = sorted({item.key for item in inputs})
        held, staked, reserved, known = await fetch_each(
            tx, "client_key", keys, (HoldRow, None), (LeadRow, "number"), (TermRow, None), (FactRow, None)
        )
        holds = {
            row["client_key"]: Hold(row["lead_id"], row["partner_id"], row["confirmed_at"])
            for row in held
            if not row["released"]
        }
        leads: dict[str, dict[UUID, Lead]] = {key: {} for key in keys}
        for row in staked:
            leads[row["client_key"]][row["lead_id"]] = _lead(row)
        terms: dict[str, dict[UUID, Term]] = {key: {} for key in keys}
        for row in reserved:
            terms[row["client_key"]][row["lead_id"]] = Term(*_TERM(row))
        facts: dict[str, list[Mapping[str, Any]]] = {}
        for row in known:
            facts.setdefault(row["client_key"], []).append(row)
        return {
            key: _with_facts(
                Client(key, holds.get(key), MappingProxyType(leads[key]), MappingProxyType(terms[key])),
                facts.get(key, ()),
            )
            for key in keys
        }

    def save(self, changes: Mapping[str, tuple[Client, Client]]) -> Sequence[Rows]:
        holds: list[dict[str, Any]] = []
        leads: list[dict[str, Any]] = []
        terms: list[dict[str, Any]] = []
        facts: list[dict[str, Any]] = []
        for key, (before, after) in changes.items():
            if (hold := after.hold or before.hold) is not None and after.hold != before.hold:
                holds.append({"client_key": key, **row_of(hold), "released": after.hold is None})
            leads.extend(
                _lead_row(key, lead) for lead_id, lead in after.leads.items() if before.leads.get(lead_id) != lead
            )
            terms.extend(
                {"client_key": key, **row_of(term)}
                for lead_id, term in after.terms.items()
                if before.terms.get(lead_id) != term
            )
            facts.extend(_changed(key, "sighting", before.sightings, after.sightings))
            facts.extend(_changed(key, "deal", before.deals, after.deals))
            facts.extend(_changed(key, "reinstatement", before.reinstatements, after.reinstatements))
        return [Rows(HoldRow, holds), Rows(LeadRow, leads), Rows(TermRow, terms), Rows(FactRow, facts)]


class Partners:
    """State by partner id: the partner as it stands now."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, KnownPartner | None]:
        keys = sorted({item.key for item in inputs})
        return {**dict.fromkeys(keys), **await _partners(tx, keys)}

    def save(self, changes: Mapping[str, tuple[KnownPartner | None, KnownPartner | None]]) -> Sequence[Rows]:
        partners: list[dict[str, Any]] = []
        phones: dict[tuple[str, str], bool] = {}
        for key, (before, after) in changes.items():
            if after is None:
                continue
            partner = after.partner
            partners.append(
                {
                    "partner_id": partner.partner_id,
                    "person": partner.person,
                    "agreement_number": partner.agreement.number,
                    "signed_on": partner.agreement.signed_on,
                    "status": partner.status,
                    "phone_key": after.phone_key,
                }
            )
            if before is not None and before.phone_key is not None:
                phones[before.phone_key, key] = False
            if after.phone_key is not None:
                phones[after.phone_key, key] = True
        insiders = [insider(phone_key, f"partner:{key}", is_now) for (phone_key, key), is_now in phones.items()]
        return [Rows(PartnerRow, partners), Rows(FactRow, insiders)]


def insider(phone_key: str, who: str, is_now: bool) -> dict[str, Any]:
    """The row that says whose phone it is, or that it is so no more."""
    return {"client_key": phone_key, "kind": INSIDER, "ref": who, "body": {"is": is_now}}


class PartnerReader:
    """Partners as the handlers see them, outside any decision."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, partner_ids: Sequence[str]) -> Mapping[str, Partner]:
        """The known ones among `partner_ids`."""
        async with self._database.single() as connection:
            return {key: known.partner for key, known in (await _partners(connection, partner_ids)).items()}

    async def close(self) -> None:
        await self._database.close()


async def _partners(tx: Connection, keys: Sequence[str]) -> dict[str, KnownPartner]:
    return {
        row["partner_id"]: KnownPartner(
            Partner(
                partner_id=row["partner_id"],
                person=row["person"],
                agreement=Agreement(number=row["agreement_number"], signed_on=row["signed_on"]),
                status=row["status"],
            ),
            row["phone_key"],
        )
        for row in await fetch(tx, PartnerRow, "partner_id", keys)
    }


def _with_facts(client: Client, facts: Sequence[Mapping[str, Any]]) -> Client:
    for fact in facts:
        match fact["kind"]:
            case "sighting":
                client = client.with_sighting(_SIGHTING.validate_python(fact["body"]))
            case "deal":
                client = client.with_deal(_DEAL.validate_python(fact["body"]))
            case "reinstatement":
                client = client.with_reinstatement(_REINSTATEMENT.validate_python(fact["body"]))
            case _ if fact["body"]["is"]:
                client = replace(client, insider=fact["ref"])
    return client


def _changed(key: str, kind: str, before: Mapping[Any, Any], after: Mapping[Any, Any]) -> list[dict[str, Any]]:
    if before is after:
        return []
    return [
        {"client_key": key, "kind": kind, "ref": str(ref), "body": fact}
        for ref, fact in after.items()
        if before.get(ref) != fact
    ]


def _lead(row: Mapping[str, Any]) -> Lead:
    decided = row["decided_at"]
    return Lead(
        lead_id=row["lead_id"],
        partner_id=row["partner_id"],
        client=row["client"],
        received_at=row["received_at"],
        number=row["number"],
        cause=Cause(**row["cause"]),
        check_asked=row["check_asked"],
        checked_at=row["checked_at"],
        enquiries=_ENQUIRIES.validate_python(row["enquiries"]) if row["enquiries"] else (),
        sales=_SALES.validate_python(row["sales"]) if row["sales"] else (),
        delayed_at=row["delayed_at"],
        ruling=_RULING.validate_python(row["ruling"]) if row["ruling"] else None,
        verdict=Verdict(decided, row["reason"], row["evidence"], row["rule"]) if decided else None,
    )


def _lead_row(key: str, lead: Lead) -> dict[str, Any]:
    verdict = lead.verdict
    status = "under-review" if verdict is None else "confirmed" if verdict.reason is None else "rejected"
    return {
        "lead_id": lead.lead_id,
        "client_key": key,
        "partner_id": lead.partner_id,
        "client": lead.client,
        "received_at": lead.received_at,
        "number": lead.number,
        "cause": lead.cause,
        "check_asked": lead.check_asked,
        "checked_at": lead.checked_at,
        "enquiries": lead.enquiries,
        "sales": lead.sales,
        "delayed_at": lead.delayed_at,
        "ruling": lead.ruling,
        "status": status,
        "reason": verdict.reason if verdict else None,
        "evidence": verdict.evidence if verdict else None,
        "rule": verdict.rule if verdict else "",
        "decided_at": verdict.at if verdict else None,
    }


_HELD = """
    SELECT client_key FROM holds WHERE client_key = ANY($1::text[]) AND NOT released
    UNION SELECT client_key FROM leads WHERE client_key = ANY($1::text[]) AND decided_at IS NULL
"""
_WATCHED_ENQUIRIES = """
    SELECT f.ref, f.client_key FROM facts f JOIN holds h ON h.client_key = f.client_key AND NOT h.released
    JOIN terms t ON t.lead_id = h.lead_id AND t.ended_at IS NULL
    WHERE f.kind = 'sighting'
"""
_TIED_SALES = "SELECT ref, client_key FROM sales WHERE lead_id IS NOT NULL AND NOT cancelled"
_OVERDUE = """
    SELECT lead_id, client_key, cause::text AS cause FROM leads
    WHERE decided_at IS NULL AND delayed_at IS NULL AND received_at <= $1 ORDER BY received_at LIMIT $2
"""
_STAFF_GONE = """
    UPDATE facts SET body = '{"is": false}'
    WHERE kind = 'insider' AND ref = $1 AND client_key <> ALL($2::text[]) AND body <> '{"is": false}'
"""
STAFF: Final = "staff"


class Sightings:
    """What the watching of 1C remembers between its looks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mark(self, journal: str) -> tuple[str, datetime] | None:
        """The highest number seen in a journal of 1C, and when the look that saw it began."""
        async with self._database.single() as tx:
            found = await fetch(tx, MarkRow, "journal", [journal])
        return (found[0]["number"], found[0]["at"]) if found else None

    async def keep_mark(self, journal: str, number: str, at: datetime) -> None:
        await self._write(Rows(MarkRow, [{"journal": journal, "number": number, "at": at}]))

    async def ours(self, keys: Sequence[str]) -> set[str]:
        """The clients among `keys` that are held, or wait for a verdict."""
        async with self._database.single() as tx:
            return {row.client_key for row in await rows(tx, _HELD, keys)}

    async def enquiries(self) -> dict[str, str]:
        """Enquiries seen of clients that are held now: reference → client key."""
        async with self._database.single() as tx:
            return {row.ref: row.client_key for row in await rows(tx, _WATCHED_ENQUIRIES)}

    async def tied_sales(self) -> dict[str, str]:
        """Sales that are tied to leads and stand: reference → client key."""
        async with self._database.single() as tx:
            return {row.ref: row.client_key for row in await rows(tx, _TIED_SALES)}

    async def keep_sales(self, sales: Sequence[Mapping[str, Any]]) -> None:
        """Sales as 1C shows them, by the columns of SaleRow. When each was first seen stays, and its lead."""
        tied = [sale for sale in sales if sale["lead_id"] is not None]
        loose = [sale for sale in sales if sale["lead_id"] is None]
        await self._write(Rows(SaleRow, tied, keep=("seen_at",)))
        await self._write(Rows(SaleRow, loose, keep=("seen_at", "client_key", "lead_id")))

    async def keep_staff(self, phone_keys: Sequence[str]) -> None:
        """These are the phones of the builder's staff, and no others."""
        await self._write(Rows(FactRow, [insider(key, STAFF, True) for key in phone_keys]))
        async with self._database.single() as tx:
            await execute(tx, _STAFF_GONE, STAFF, phone_keys)

    async def _write(self, values: Rows) -> None:
        if values.values:
            async with self._database.single() as tx:
                await write_rows(tx, values)


async def overdue(tx: Connection, now: datetime, limit: int, *, after: timedelta) -> list[Input]:
    """Leads that have waited for their verdict for longer than `after`."""
    return [
        Input(row.client_key, CheckOverdue(row.lead_id), Cause(**orjson.loads(row.cause)))
        for row in await rows(tx, _OVERDUE, now - after, limit)
    ]
