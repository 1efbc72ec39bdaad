"""The tables of reservations. Sealed names and phones stay sealed in them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Index, Numeric, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

_MOMENT = DateTime(timezone=True)


class Table(SQLModel, registry=registry()):
    """The base of this service's tables, with a registry of its own."""


class ReservationRow(Table, table=True):
    """A reservation, live or over; a partial unique index allows one live reservation a client.

    `client` is sealed, or empty once the personal data is erased. `opened_at` is the first confirmation;
    `confirmed_at` is the anchor, which a reinstatement moves.
    """

    __tablename__ = "reservations"
    __table_args__ = (
        Index("one_live_reservation", "client_key", unique=True, postgresql_where=text("status = 'live'")),
        Index("reservations_due", "next_due", postgresql_where=text("status = 'live'")),
        Index("reservations_client", "client_key"),
    )

    reservation_id: UUID = Field(primary_key=True)
    lead_id: UUID = Field(unique=True)
    client_key: str
    partner_id: str
    client: str
    opened_at: datetime = Field(sa_type=_MOMENT)
    confirmed_at: datetime = Field(sa_type=_MOMENT)
    reserved_through: date
    reserved_until: datetime = Field(sa_type=_MOMENT)
    term: str
    zone: str
    term_set_on: date
    next_due: datetime = Field(sa_type=_MOMENT)
    next_step: int
    previous_step: int | None = None
    status: str
    extensions: int
    returns: int
    ended_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    deal: str | None = None
    earlier_terms: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    returned_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    cause: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class FactRow(Table, table=True):
    """A request, sale, claim or rejected lead of a client; `kind` names which, `value` holds it.

    `due_at`: when the clock looks at a waiting request; null for everything else.
    """

    __tablename__ = "facts"
    __table_args__ = (Index("facts_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),)

    client_key: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    ref: str = Field(primary_key=True)
    due_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    value: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class ListRow(Table, table=True):
    """A list of reservations that a person ordered, or the daily list of a local `day`.

    `taken_at`: when its first page was published; null before that. `bounds`: the last lead id of each page but the
    last one. `page`: the next page. `published`: all pages are.
    """

    __tablename__ = "reservation_lists"
    __table_args__ = (
        Index("reservation_lists_day", "day", unique=True, postgresql_where=text("day IS NOT NULL")),
        Index("reservation_lists_due", "list_id", postgresql_where=text("NOT published")),
    )

    list_id: UUID = Field(primary_key=True)
    day: date | None = None
    taken_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    bounds: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    page: int
    published: bool


class HistoryRow(Table, table=True):
    """An entry of a client's history. `entry` is its canonical JSON; `hash` (hex) chains it to the entry before it."""

    __tablename__ = "history"

    client_key: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    entry: str
    hash: str


class HeadRow(Table, table=True):
    """The head of a client's history: the number of entries, the last hash, and the seal over both (hex)."""

    __tablename__ = "heads"

    client_key: str = Field(primary_key=True)
    count: int
    hash: str
    seal: str


class LedgerRow(Table, table=True):
    """A line of a partner's account, never edited. The view `ledger_balances` adds the running balance."""

    __tablename__ = "ledger"
    __table_args__ = (Index("ledger_partner", "partner_id", "currency", "number"),)

    number: int | None = Field(default=None, sa_type=BigInteger, unique=True)
    entry_id: UUID = Field(primary_key=True)
    partner_id: str
    client_key: str
    lead_id: UUID
    claim_id: UUID
    deal: str
    contract_number: str
    kind: str
    amount: Decimal = Field(sa_type=Numeric(18, 2))
    currency: str
    decided_by: str
    reason: str
    at: datetime = Field(sa_type=_MOMENT)
