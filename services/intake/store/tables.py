"""Tables of intake: portals and their keys, recorded requests, leads in the order of receipt, partners."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

_TIME = DateTime(timezone=True)


class Table(SQLModel, registry=registry()):
    """Base of this service's tables; its registry keeps them apart from the tables of other services."""


class PortalRow(Table, table=True):
    """A portal, what it may do, and the hash of its key; a revoked portal has no key."""

    __tablename__ = "portals"

    name: str = Field(primary_key=True)
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    key_hash: bytes | None = Field(default=None, unique=True)
    changed_at: datetime = Field(sa_type=_TIME)


class RequestRow(Table, table=True):
    """A recorded request of a portal; `key` is the id that the portal chose."""

    __tablename__ = "requests"

    portal: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_id: UUID = Field(unique=True)
    kind: str
    digest: str
    reason: str | None = None
    lead_id: UUID | None = None
    done_at: datetime | None = Field(default=None, sa_type=_TIME)
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))


class LeadRow(Table, table=True):
    """A lead. `client` is sealed, and an empty text after erasure."""

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
    received_at: datetime = Field(sa_type=_TIME)
    rejected_at: datetime | None = Field(default=None, sa_type=_TIME)
    reason: str | None = None
    confirmed_at: datetime | None = Field(default=None, sa_type=_TIME)
    reserved_through: date | None = None
    reserved_until: datetime | None = Field(default=None, sa_type=_TIME)
    expired_at: datetime | None = Field(default=None, sa_type=_TIME)
    closed_at: datetime | None = Field(default=None, sa_type=_TIME)
    closed_as: str | None = None
    reservation_events: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    history_count: int


class PartnerRow(Table, table=True):
    """The newest registration of a partner, first read at `registered_at`. `person` is sealed, `digest` a keyed hash of
    it."""

    __tablename__ = "partners"

    partner_id: str = Field(primary_key=True)
    person: str
    digest: str
    agreement: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    status: str
    registered_at: datetime | None = Field(default=None, sa_type=_TIME)
