"""The arbiter's facts at rest, and the partners. Clients and partners stay sealed."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from chassis.database import Connection, Database, Rows, fetch, fetch_each, row_of
from chassis.decision import Cause
from chassis.processor import Input
from contracts.partners import Partner
from contracts.portal import Agreement
from services.onec_gateway.domain import Client, Enquiry, Hold, Lead, Term, Verdict


class Table(SQLModel, registry=registry()):
    """The tables of this service alone."""


class HoldRow(Table, table=True):
    """To whom a client was granted: one row a client."""

    __tablename__ = "holds"

    client_key: str = Field(primary_key=True)
    lead_id: UUID
    partner_id: str
    confirmed_at: datetime = Field(sa_type=DateTime(timezone=True))


class LeadRow(Table, table=True):
    """A lead, what 1C said of it, and its verdict. `cause` and `enquiries` are JSON."""

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
    status: str
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
    ended_at: datetime | None = Field(sa_type=DateTime(timezone=True))
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


class Clients:
    """State by client key: the hold, the leads and their reservations."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Client]:
        keys = sorted({item.key for item in inputs})
        held, staked, reserved = await fetch_each(
            tx, "client_key", keys, (HoldRow, None), (LeadRow, "number"), (TermRow, None)
        )
        holds = {row.pop("client_key"): Hold(**row) for row in held}
        leads: dict[str, dict[UUID, Lead]] = {key: {} for key in keys}
        for row in staked:
            leads[row["client_key"]][row["lead_id"]] = _lead(row)
        terms: dict[str, dict[UUID, Term]] = {key: {} for key in keys}
        for row in reserved:
            key = row.pop("client_key")
            terms[key][row["lead_id"]] = Term(**row)
        return {
            key: Client(key, holds.get(key), MappingProxyType(leads[key]), MappingProxyType(terms[key])) for key in keys
        }

    def save(self, changes: Mapping[str, tuple[Client, Client]]) -> Sequence[Rows]:
        holds: list[dict[str, Any]] = []
        leads: list[dict[str, Any]] = []
        terms: list[dict[str, Any]] = []
        for key, (before, after) in changes.items():
            if after.hold is not None and after.hold != before.hold:
                holds.append({"client_key": key, **row_of(after.hold)})
            leads.extend(
                _lead_row(key, lead) for lead_id, lead in after.leads.items() if before.leads.get(lead_id) != lead
            )
            terms.extend(
                {"client_key": key, **row_of(term)}
                for lead_id, term in after.terms.items()
                if before.terms.get(lead_id) != term
            )
        return [Rows(HoldRow, holds), Rows(LeadRow, leads), Rows(TermRow, terms)]


class Partners:
    """State by partner id: the partner as it stands now."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Partner | None]:
        keys = sorted({item.key for item in inputs})
        return {**dict.fromkeys(keys), **await _partners(tx, keys)}

    def save(self, changes: Mapping[str, tuple[Partner | None, Partner | None]]) -> Sequence[Rows]:
        rows = [
            {
                "partner_id": partner.partner_id,
                "person": partner.person,
                "agreement_number": partner.agreement.number,
                "signed_on": partner.agreement.signed_on,
                "status": partner.status,
            }
            for _, partner in changes.values()
            if partner is not None
        ]
        return [Rows(PartnerRow, rows)]


class PartnerReader:
    """Partners as the handlers see them, outside any decision."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, partner_ids: Sequence[str]) -> Mapping[str, Partner]:
        """The known ones among `partner_ids`."""
        async with self._database.single() as connection:
            return await _partners(connection, partner_ids)

    async def close(self) -> None:
        await self._database.close()


async def _partners(tx: Connection, keys: Sequence[str]) -> dict[str, Partner]:
    return {
        row["partner_id"]: Partner(
            partner_id=row["partner_id"],
            person=row["person"],
            agreement=Agreement(number=row["agreement_number"], signed_on=row["signed_on"]),
            status=row["status"],
        )
        for row in await fetch(tx, PartnerRow, "partner_id", keys)
    }


def _lead(row: dict[str, Any]) -> Lead:
    enquiries = row["enquiries"]
    return Lead(
        lead_id=row["lead_id"],
        partner_id=row["partner_id"],
        client=row["client"],
        received_at=row["received_at"],
        number=row["number"],
        cause=Cause(**row["cause"]),
        check_asked=row["check_asked"],
        checked_at=row["checked_at"],
        enquiries=tuple(Enquiry(one["ref"], datetime.fromisoformat(one["date"])) for one in enquiries),
        verdict=Verdict(row["decided_at"], row["reason"], row["evidence"]) if row["decided_at"] else None,
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
        "enquiries": [{"ref": one.ref, "date": one.date.isoformat()} for one in lead.enquiries],
        "status": status,
        "reason": verdict.reason if verdict else None,
        "evidence": verdict.evidence if verdict else None,
        "decided_at": verdict.at if verdict else None,
    }
