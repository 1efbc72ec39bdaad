"""The tables of this service. Clients and partners are stored sealed."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Table(SQLModel, registry=registry()):
    """Base of this service's tables, with a registry of its own: other services have tables of the same names."""


class HoldRow(Table, table=True):
    """The lead to which a client was granted: at most one row a client. `released`: a withdrawal ended the hold."""

    __tablename__ = "holds"

    client_key: str = Field(primary_key=True)
    lead_id: UUID
    partner_id: str
    confirmed_at: datetime = Field(sa_type=DateTime(timezone=True))
    released: bool = False


class LeadRow(Table, table=True):
    """A lead, the result of its check in 1C, and its verdict. `cause`, `enquiries`, `sales` and `ruling` are JSON.

    `rule`, `reason`, `evidence` and `decided_at` are the verdict's; `rule` is empty and the others null without one.
    """

    __tablename__ = "leads"

    lead_id: UUID = Field(primary_key=True)
    client_key: str
    partner_id: str
    client: str
    received_at: datetime = Field(sa_type=DateTime(timezone=True))
    number: int = Field(sa_type=BigInteger)
    cause: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    check_requested: bool
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


class KnownReservationRow(Table, table=True):
    """What the gateway knows of a lead's reservation, and what it has written to 1C's journals about it."""

    __tablename__ = "known_reservations"

    lead_id: UUID = Field(primary_key=True)
    client_key: str
    confirmed_at: datetime = Field(sa_type=DateTime(timezone=True))
    reserved_until: datetime = Field(sa_type=DateTime(timezone=True))
    reserved_through: date
    ended_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    ended_as: str | None
    journal_entered_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    handed_over_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    enquiry_ref: str | None
    history_count: int | None = Field(default=None)


class PartnerRow(Table, table=True):
    """A partner as it is now. `person` is sealed and bound to the partner id; `phone_key` is its phone's client key."""

    __tablename__ = "partners"

    partner_id: str = Field(primary_key=True)
    person: str
    agreement_number: str
    signed_on: date
    status: str
    phone_key: str | None


class FactRow(Table, table=True):
    """Another fact about a client. `kind` is `sighting`, `deal`, `reinstatement` or `insider`.

    `ref` is 1C's reference (sighting, deal), the request's id (reinstatement) or the owner of the phone (insider).
    """

    __tablename__ = "facts"

    client_key: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    ref: str = Field(primary_key=True)
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class SaleRow(Table, table=True):
    """A sale in 1C, to any client. `client_key` and `lead_id` are null until the sale is linked to a lead."""

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


class WatermarkRow(Table, table=True):
    """How far the watch has read a journal of 1C: the highest document number, and when the read of it began."""

    __tablename__ = "watermarks"

    journal: str = Field(primary_key=True)
    number: str
    at: datetime = Field(sa_type=DateTime(timezone=True))


class ExchangeRow(Table, table=True):
    """A request to 1C and its outcome. `ms` is its duration in milliseconds, `next_at` the time of the next attempt."""

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
